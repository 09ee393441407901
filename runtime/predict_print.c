// SPDX-License-Identifier: MIT
// What came out, for people and for programs: see predict.h.
//
//     test:17                  truck 93.1 %, automobile 4.0 %, ship 1.2 %  (is truck)
//     5.1,3.5,1.4,0.2          setosa 99.8 %, versicolor 0.2 %, virginica 0.0 %
//
// An output of floats with as many elements as the target has classes is taken as their logits (as
// their probabilities, where it sums up to one); any other is printed as numbers.
#include "json.h"
#include "predict.h"
#include <math.h>

enum { TOP = 3, MAX_PRINTED = 16 };

// --- Outputs

// Element i of an output of the example `of`.
static double output_element(const NncPrediction *p, const NncColumn *output, long long of,
                             long long i) {
    NncColumn element = *output;
    if (output->per_example) i += of * nnc_column_elements(output);
    element.offset += i * nnc_type_size(output->type);
    return nnc_session_output(&p->session, &element);
}

// How many classes an output tells of: those of a target with as many. 0: it is none of that.
static long long class_count(const NncProgram *program, const NncColumn *output) {
    long long elements = nnc_column_elements(output);
    for (int i = 0; i < program->input_count; i++) {
        const NncColumn *column = &program->input[i];
        if (column->is_target && column->classes == elements && elements > 1 &&
            output->per_example && output->type == NNC_F32)
            return elements;
    }
    return 0;
}

static void find_probabilities(NncPrediction *p, const NncColumn *output, long long of,
                               long long classes) {
    double sum = 0, most = -INFINITY, least = INFINITY, exponentials = 0;
    for (long long i = 0; i < classes; i++) {
        p->probability[i] = output_element(p, output, of, i);
        sum += p->probability[i];
        most = fmax(most, p->probability[i]);
        least = fmin(least, p->probability[i]);
    }
    if (least >= 0 && fabs(sum - 1) < 1e-3) return; // they are what the network gives
    for (long long i = 0; i < classes; i++)
        exponentials += p->probability[i] = exp(p->probability[i] - most);
    for (long long i = 0; i < classes; i++)
        p->probability[i] /= exponentials;
}

static int find_top(const double *probability, long long classes, long long top[TOP]) {
    int count = 0;
    for (; count < TOP && count < classes; count++) {
        top[count] = -1;
        for (long long i = 0; i < classes; i++) {
            bool taken = false;
            for (int j = 0; j < count; j++)
                taken |= top[j] == i;
            if (!taken && (top[count] < 0 || probability[i] > probability[top[count]]))
                top[count] = i;
        }
    }
    return count;
}

static const char *class_name(const NncPrediction *p, long long class, char text[32]) {
    const NncCheckpoint *checkpoint = &p->session.checkpoint;
    if (class >= 0 && class < checkpoint->class_count) return checkpoint->class_name[class];
    snprintf(text, 32, "class %lld", class);
    return text;
}

// --- Lines for people

static void print_classes(NncPrediction *p, FILE *out, long long of, long long classes) {
    char digits[32];
    long long top[TOP];
    int count = find_top(p->probability, classes, top);
    for (int i = 0; i < count; i++)
        fprintf(out, "%s%s %.1f %%", i ? ", " : "", class_name(p, top[i], digits),
                100 * p->probability[top[i]]);
    if (p->asked[of].label >= 0)
        fprintf(out, "  (is %s)", class_name(p, p->asked[of].label, digits));
}

static void print_numbers(const NncPrediction *p, FILE *out, long long of,
                          const NncColumn *output) {
    long long elements = nnc_column_elements(output);
    fprintf(out, "%s", output->name);
    for (long long i = 0; i < elements && i < MAX_PRINTED; i++)
        fprintf(out, " %.6g", output_element(p, output, of, i));
    if (elements > MAX_PRINTED) fprintf(out, " .. (%lld in all; --json has them)", elements);
}

static void print_lines(NncPrediction *p, FILE *out, long long of) {
    const NncFunction *function = &p->session.program->function[NNC_PREDICT];
    for (int i = 0; i < function->output_count; i++) {
        const NncColumn *output = &function->output[i];
        long long classes = class_count(p->session.program, output);
        fprintf(out, "%-24s ", p->asked[of].name);
        if (classes) {
            find_probabilities(p, output, of, classes);
            print_classes(p, out, of, classes);
        } else {
            print_numbers(p, out, of, output);
        }
        fputc('\n', out);
    }
}

// --- JSON

static void write_classes(NncPrediction *p, FILE *out, long long classes) {
    long long top[TOP];
    const NncCheckpoint *checkpoint = &p->session.checkpoint;
    int count = find_top(p->probability, classes, top);
    fputs(",\"classes\":[", out);
    for (int i = 0; i < count; i++) {
        fprintf(out, "%s{\"index\":%lld,", i ? "," : "", top[i]);
        if (top[i] < checkpoint->class_count) {
            fputs("\"class\":", out);
            nnc_json_write_string(out, checkpoint->class_name[top[i]]);
            fputc(',', out);
        }
        fprintf(out, "\"probability\":%.6g}", p->probability[top[i]]);
    }
    fputc(']', out);
}

static void write_values(const NncPrediction *p, FILE *out, long long of, const NncColumn *output) {
    nnc_json_write_string(out, output->name);
    fputs(":[", out);
    for (long long i = 0; i < nnc_column_elements(output); i++) {
        if (i) fputc(',', out);
        nnc_json_write_number(out, output_element(p, output, of, i));
    }
    fputc(']', out);
}

static void write_json(NncPrediction *p, FILE *out, long long of) {
    const NncFunction *function = &p->session.program->function[NNC_PREDICT];
    fputs("{\"event\":\"predict\",\"input\":", out);
    nnc_json_write_string(out, p->asked[of].name);
    fputs(",\"outputs\":{", out);
    for (int i = 0; i < function->output_count; i++) {
        if (i) fputc(',', out);
        write_values(p, out, of, &function->output[i]);
    }
    fputc('}', out);
    for (int i = 0; i < function->output_count; i++) {
        long long classes = class_count(p->session.program, &function->output[i]);
        if (!classes) continue;
        find_probabilities(p, &function->output[i], of, classes);
        write_classes(p, out, classes);
        break;
    }
    if (p->asked[of].label >= 0) fprintf(out, ",\"label\":%d", p->asked[of].label);
    fputs("}\n", out);
}

void nnc_prediction_print(NncPrediction *p, long long i, FILE *out) {
    (p->session.options->json ? write_json : print_lines)(p, out, i);
}
