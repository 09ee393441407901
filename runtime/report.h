// SPDX-License-Identifier: MIT
// How a run says something: a line for people, or an object of JSON for programs, which the files
// of
// --log get in any case.
//
//     if (nnc_report_is_for_people(report)) {
//         fprintf(report->out, "wrote %s", path);
//         nnc_report_end_line(report);
//     }
//     if (nnc_report_event(report, "done")) {
//         nnc_report_text(report, "checkpoint", path);
//         nnc_report_end(report);
//     }
#ifndef NNC_REPORT_H
#define NNC_REPORT_H

#include "log.h"

typedef enum NncReportMode {
    NNC_REPORT_NONE,
    NNC_REPORT_LINES,
    NNC_REPORT_BAR, // lines, and below them one that changes
    NNC_REPORT_JSON
} NncReportMode;

typedef struct NncReport {
    FILE *out;
    NncReportMode mode;
    NncLog *log; // gets the same events and figures; or NULL
    FILE *line;  // of JSON, that is being written into `json`
    char *json;
    size_t size;
} NncReport;

NncReport nnc_report(const NncOptions *options, NncLog *log);

// --- For people

bool nnc_report_is_for_people(const NncReport *report);
void nnc_report_clear_bar(const NncReport *report); // before a line, where there may be one
void nnc_report_end_line(const NncReport *report);
void nnc_report_figures(const NncReport *report,
                        const NncScores *scores); // " loss 0.5, accuracy 0.9"
void nnc_report_split(const NncReport *report, const NncBoard *board, NncSplit split);

// Splits in the order of their use.
extern const NncSplit nnc_split_order[NNC_ALL_SPLITS];

// --- For programs

// Begins an event; false where nobody wants one. Then its fields, and the end.
bool nnc_report_event(NncReport *report, const char *event);
void nnc_report_text(const NncReport *report, const char *name, const char *text);
void nnc_report_integer(const NncReport *report, const char *name, long long value);
void nnc_report_figure(const NncReport *report, const char *name,
                       double value); // as exact as a float
void nnc_report_measure(const NncReport *report, const char *name, double value); // of time
void nnc_report_truth(const NncReport *report, const char *name, bool value);
void nnc_report_scores(const NncReport *report, NncSplit split, const NncScores *scores);
void nnc_report_end(NncReport *report);

#endif
