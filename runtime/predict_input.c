// SPDX-License-Identifier: MIT
// Reading what a network is asked about: an image, an example of the data source, a row of a table,
// a file of rows. See predict.h.
#include "csv.h"
#include "file.h"
#include "image.h"
#include "predict.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// --- An example of the data

// "test:17" or "train:17"
static bool parse_example(const char *input, NncSplit *split, long long *index) {
    for (*split = 0; *split < NNC_SPLITS; (*split)++) {
        const char *name = nnc_split_name(*split);
        size_t length = strlen(name);
        if (strncmp(input, name, length) || input[length] != ':') continue;
        char *end;
        const char *digits = input + length + 1;
        errno = 0;
        *index = strtoll(digits, &end, 10);
        return *digits && !*end && !errno;
    }
    return false;
}

// The checkpoint's number of a class that may have another one in a file of its own.
static int class_of(const NncCheckpoint *checkpoint, const NncField *field, int label) {
    if (!field->class_name || !checkpoint->class_name) return label;
    for (int i = 0; i < checkpoint->class_count; i++)
        if (!strcmp(checkpoint->class_name[i], field->class_name[label])) return i;
    return -1;
}

// Where the next example's elements of a column lie.
static char *place_of(const NncPrediction *p, const NncColumn *column) {
    return p->input + column->offset +
           p->count * nnc_column_elements(column) * nnc_type_size(column->type);
}

// The label of the example that was filled in, where its source has one.
static int find_label(const NncPrediction *p, const NncColumns *columns) {
    const NncProgram *program = columns->program;
    for (int i = 0; i < program->input_count; i++) {
        int count;
        const NncColumn *column = &program->input[i];
        const int *taken = nnc_columns_fields(columns, i, &count);
        if (!column->is_target || !column->classes || nnc_column_elements(column) != 1) continue;
        int label = *(const int32_t *)place_of(p, column);
        return count ? class_of(&p->session.checkpoint, &columns->source->field[*taken], label)
                     : -1;
    }
    return -1;
}

static NncStatus predict_example(NncPrediction *p, const NncColumns *columns, NncSplit split,
                                 long long index, const char *input, NncError *error) {
    const NncSource *source = columns->source;
    NncExample example = {split, index, malloc(source->example_bytes + 1)};
    NncStatus status = example.values ? source->read(source, &example, error)
                                      : nnc_error(error, NNC_ERROR_MEMORY, "no memory to predict");
    if (!status) status = nnc_columns_fill(columns, &example, p->input, p->count, error);
    free(example.values);
    if (status) return status;
    return nnc_prediction_add(p, input, find_label(p, columns), error);
}

// "test:17"
static NncStatus predict_indexed(NncPrediction *p, NncSplit split, long long index,
                                 const char *input, NncError *error) {
    NncSession *session = &p->session;
    NncStatus status = session->source.info ? NNC_OK : nnc_session_open_data(session, false, error);
    if (status) return status;
    const NncSource *source = &session->source;
    if (index < 0 || index >= source->count[split])
        return nnc_error(error, NNC_ERROR_VALUE, "%s: %s has examples 0 to %lld", input,
                         source->info->name, source->count[split] - 1);
    return predict_example(p, &session->columns, split, index, input, error);
}

// --- A file of rows

// As the data is read, where that is a csv too; but all rows are wanted.
static NncStatus open_rows(NncSource *source, const NncCall *data, const char *path,
                           NncError *error) {
    NncArgument argument[4] = {{"", path, 0}, {"test", NULL, 0}};
    NncCall call = {.name = "csv", .argument = argument, .argument_count = 2};
    for (int i = 0; data->name && !strcmp(data->name, "csv") && i < data->argument_count; i++) {
        const char *name = data->argument[i].name;
        if (call.argument_count < 4 && (!strcmp(name, "separator") || !strcmp(name, "names")))
            argument[call.argument_count++] = data->argument[i];
    }
    return nnc_source_open(source, &call, NULL, error);
}

static NncStatus predict_rows(NncPrediction *p, const char *path, NncError *error) {
    NncSource source;
    NncColumns columns = {0};
    const NncProgram *program = p->session.program;
    NncStatus status = open_rows(&source, &program->data, path, error);
    if (status) return status;
    status = nnc_columns_match(&columns, program, &source, false, error);
    for (long long i = 0; i < source.count[NNC_SPLIT_TRAIN] && !status; i++) {
        char place[NNC_PATH];
        source.place(&source, &(NncExample){.index = i}, place, sizeof place);
        status = predict_example(p, &columns, NNC_SPLIT_TRAIN, i, place, error);
    }
    nnc_columns_free(&columns);
    nnc_source_close(&source);
    return status;
}

// --- A row

static NncStatus refuse_row(const NncPrediction *p, long long given, NncError *error) {
    char shape[160], names[300] = "";
    long long wanted = 0;
    size_t at = 0;
    for (int i = 0; i < p->session.program->input_count; i++) {
        const NncColumn *column = &p->session.program->input[i];
        if (column->is_target) continue;
        nnc_column_describe(column, shape, sizeof shape);
        if (at < sizeof names)
            at += (size_t)snprintf(names + at, sizeof names - at, "%s%s: %s", wanted ? ", " : "",
                                   column->name, shape);
        wanted += nnc_column_elements(column);
    }
    return nnc_error(error, NNC_ERROR_MATCH, "the row has %lld values, but %s takes %lld: %s",
                     given, p->session.program->model, wanted, names);
}

// The next value of the row as element i of a column.
static NncStatus read_element(NncPrediction *p, const NncColumn *column, long long i, NncCsv *csv,
                              NncError *error) {
    float number;
    char *place = place_of(p, column);
    NncStatus status = nnc_csv_value(csv, error);
    if (status) return status;
    if (!nnc_csv_number(csv->value, &number))
        return nnc_csv_error(csv, error, "%s is to be a number, not '%.32s'", column->name,
                             csv->value);
    if (!column->classes) {
        ((float *)place)[i] = number;
    } else if (number >= 0 && number < (float)column->classes && number == floorf(number)) {
        ((int32_t *)place)[i] = (int32_t)number;
    } else {
        return nnc_csv_error(csv, error, "%s is to be an integer below %lld, not %s", column->name,
                             column->classes, csv->value);
    }
    return NNC_OK;
}

// "5.1,3.5,1.4,0.2": the elements of all inputs, one behind the other.
static NncStatus read_row(NncPrediction *p, NncCsv *csv, NncError *error) {
    long long given = 0;
    const NncProgram *program = p->session.program;
    NncStatus status = NNC_OK;
    for (int c = 0; c < program->input_count && !status; c++) {
        const NncColumn *column = &program->input[c];
        for (long long i = 0; !column->is_target && i < nnc_column_elements(column); i++, given++) {
            if (given && csv->last) return refuse_row(p, given, error);
            if ((status = read_element(p, column, i, csv, error))) return status;
        }
    }
    for (; !status && !csv->last; given++)
        if ((status = nnc_csv_value(csv, error)) == NNC_OK && csv->last)
            return refuse_row(p, given + 1, error);
    return status;
}

static NncStatus predict_row(NncPrediction *p, const char *row, NncError *error) {
    NncCsv csv = nnc_csv("row", row, strlen(row), ',');
    NncStatus status = read_row(p, &csv, error);
    free(csv.value);
    if (!status) status = nnc_prediction_add(p, row, -1, error);
    return status;
}

// --- An image

// The one input column that is not a target.
static NncStatus find_image_column(const NncProgram *program, const NncColumn **column,
                                   NncError *error) {
    *column = NULL;
    for (int i = 0; i < program->input_count; i++) {
        if (program->input[i].is_target) continue;
        if (*column || program->input[i].type != NNC_F32)
            return nnc_error(error, NNC_ERROR_MATCH, "%s has an input %s: an image is not enough",
                             program->model, program->input[i].name);
        *column = &program->input[i];
    }
    return *column ? NNC_OK : nnc_error(error, NNC_ERROR_MATCH, "%s has no input", program->model);
}

static NncStatus predict_image(NncPrediction *p, const char *path, NncError *error) {
    const NncColumn *column;
    NncStatus status = find_image_column(p->session.program, &column, error);
    if (status) return status;
    unsigned char *pixels = malloc((size_t)nnc_column_elements(column) + 1);
    status = pixels ? nnc_image_read(path, column, pixels, error)
                    : nnc_error(error, NNC_ERROR_MEMORY, "no memory for an image");
    if (!status) {
        nnc_column_fill_image(column, pixels, place_of(p, column) - column->offset);
        status = nnc_prediction_add(p, path, -1, error);
    }
    free(pixels);
    return status;
}

// --- Any input

static bool ends_in(const char *text, const char *end) {
    size_t length = strlen(text), rest = strlen(end);
    return length >= rest && !strcmp(text + length - rest, end);
}

static bool is_row(const char *input) {
    char *end;
    strtod(input, &end);
    end += strspn(end, " \t");
    return end != input && (!*end || *end == ',');
}

NncStatus nnc_prediction_read(NncPrediction *p, const char *input, NncError *error) {
    NncSplit split;
    long long index;
    if (parse_example(input, &split, &index)) return predict_indexed(p, split, index, input, error);
    if (ends_in(input, ".csv") || ends_in(input, ".csv.gz")) return predict_rows(p, input, error);
    return is_row(input) ? predict_row(p, input, error) : predict_image(p, input, error);
}
