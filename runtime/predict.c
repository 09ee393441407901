// SPDX-License-Identifier: MIT
// nnc_predict: what a checkpoint's network says of images, of examples of the data source, of rows
// of a table.
//
//     test:17                  truck 93.1 %, automobile 4.0 %, ship 1.2 %  (is truck)
//     5.1,3.5,1.4,0.2          setosa 99.8 %, versicolor 0.2 %, virginica 0.0 %
//     flowers.csv              one such line for each row
//
// An output of floats with as many elements as the target has classes is taken as their logits (as
// their probabilities, where it sums up to one); any other is printed as numbers.
#include "columns.h"
#include "csv.h"
#include "file.h"
#include "image.h"
#include "json.h"
#include "session.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOP = 3, MAX_PRINTED = 16 };

typedef struct Prediction {
    NncSession session;
    char *input;         // the input arena, with one example
    int label;           // of the example at hand; -1: not known
    double *probability; // of each class
} Prediction;

// --- Outputs

static double output_element(const NncSession *session, const NncColumn *output, long long i) {
    NncColumn element = *output;
    element.offset += i * nnc_type_size(output->type);
    return nnc_session_output(session, &element);
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

static void find_probabilities(Prediction *p, const NncColumn *output, long long classes) {
    double sum = 0, most = -INFINITY, least = INFINITY, exponentials = 0;
    for (long long i = 0; i < classes; i++) {
        p->probability[i] = output_element(&p->session, output, i);
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

static const char *class_name(const Prediction *p, long long class, char text[32]) {
    const NncCheckpoint *checkpoint = &p->session.checkpoint;
    if (class >= 0 && class < checkpoint->class_count) return checkpoint->class_name[class];
    snprintf(text, 32, "class %lld", class);
    return text;
}

// --- Lines for people

static void print_classes(Prediction *p, FILE *out, long long classes) {
    char digits[32];
    long long top[TOP];
    int count = find_top(p->probability, classes, top);
    for (int i = 0; i < count; i++)
        fprintf(out, "%s%s %.1f %%", i ? ", " : "", class_name(p, top[i], digits),
                100 * p->probability[top[i]]);
    if (p->label >= 0) fprintf(out, "  (is %s)", class_name(p, p->label, digits));
}

static void print_numbers(const Prediction *p, FILE *out, const NncColumn *output) {
    long long elements = nnc_column_elements(output);
    fprintf(out, "%s", output->name);
    for (long long i = 0; i < elements && i < MAX_PRINTED; i++)
        fprintf(out, " %.6g", output_element(&p->session, output, i));
    if (elements > MAX_PRINTED) fprintf(out, " .. (%lld in all; --json has them)", elements);
}

static void print_lines(Prediction *p, FILE *out, const char *input) {
    const NncFunction *function = &p->session.program->function[NNC_PREDICT];
    for (int i = 0; i < function->output_count; i++) {
        const NncColumn *output = &function->output[i];
        long long classes = class_count(p->session.program, output);
        fprintf(out, "%-24s ", input);
        if (classes) {
            find_probabilities(p, output, classes);
            print_classes(p, out, classes);
        } else {
            print_numbers(p, out, output);
        }
        fputc('\n', out);
    }
}

// --- JSON

static void write_classes(Prediction *p, FILE *out, long long classes) {
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

static void write_values(const Prediction *p, FILE *out, const NncColumn *output) {
    nnc_json_write_string(out, output->name);
    fputs(":[", out);
    for (long long i = 0; i < nnc_column_elements(output); i++) {
        if (i) fputc(',', out);
        nnc_json_write_number(out, output_element(&p->session, output, i));
    }
    fputc(']', out);
}

static void write_json(Prediction *p, FILE *out, const char *input) {
    const NncFunction *function = &p->session.program->function[NNC_PREDICT];
    fputs("{\"event\":\"predict\",\"input\":", out);
    nnc_json_write_string(out, input);
    fputs(",\"outputs\":{", out);
    for (int i = 0; i < function->output_count; i++) {
        if (i) fputc(',', out);
        write_values(p, out, &function->output[i]);
    }
    fputc('}', out);
    for (int i = 0; i < function->output_count; i++) {
        long long classes = class_count(p->session.program, &function->output[i]);
        if (!classes) continue;
        find_probabilities(p, &function->output[i], classes);
        write_classes(p, out, classes);
        break;
    }
    if (p->label >= 0) fprintf(out, ",\"label\":%d", p->label);
    fputs("}\n", out);
}

// What the network says of the example in the input arena.
static NncStatus print_prediction(Prediction *p, const char *input, NncError *error) {
    nnc_session_run(&p->session, NNC_PREDICT, p->input, 1);
    if (nnc_session_check(&p->session, error)) return error->status;
    FILE *out = nnc_report(p->session.options, NULL).out;
    (p->session.options->json ? write_json : print_lines)(p, out, input);
    return NNC_OK;
}

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

// The label of the example that was filled in, where its source has one.
static int find_label(const Prediction *p, const NncColumns *columns) {
    const NncProgram *program = columns->program;
    for (int i = 0; i < program->input_count; i++) {
        int count;
        const NncColumn *column = &program->input[i];
        const int *taken = nnc_columns_fields(columns, i, &count);
        if (!column->is_target || !column->classes || nnc_column_elements(column) != 1) continue;
        int label = *(const int32_t *)(p->input + column->offset);
        return count ? class_of(&p->session.checkpoint, &columns->source->field[*taken], label)
                     : -1;
    }
    return -1;
}

static NncStatus predict_example(Prediction *p, const NncColumns *columns, NncSplit split,
                                 long long index, const char *input, NncError *error) {
    const NncSource *source = columns->source;
    NncExample example = {split, index, malloc(source->example_bytes + 1)};
    NncStatus status = example.values ? source->read(source, &example, error)
                                      : nnc_error(error, NNC_ERROR_MEMORY, "no memory to predict");
    if (!status) status = nnc_columns_fill(columns, &example, p->input, 0, error);
    free(example.values);
    if (status) return status;
    p->label = find_label(p, columns);
    return print_prediction(p, input, error);
}

// "test:17"
static NncStatus predict_indexed(Prediction *p, NncSplit split, long long index, const char *input,
                                 NncError *error) {
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

static NncStatus predict_rows(Prediction *p, const char *path, NncError *error) {
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

static NncStatus refuse_row(const Prediction *p, long long given, NncError *error) {
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
static NncStatus read_element(Prediction *p, const NncColumn *column, long long i, NncCsv *csv,
                              NncError *error) {
    float number;
    char *place = p->input + column->offset;
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
static NncStatus read_row(Prediction *p, NncCsv *csv, NncError *error) {
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

static NncStatus predict_row(Prediction *p, const char *row, NncError *error) {
    NncCsv csv = nnc_csv("row", row, strlen(row), ',');
    NncStatus status = read_row(p, &csv, error);
    free(csv.value);
    if (!status) status = print_prediction(p, row, error);
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

static NncStatus predict_image(Prediction *p, const char *path, NncError *error) {
    const NncColumn *column;
    NncStatus status = find_image_column(p->session.program, &column, error);
    if (status) return status;
    unsigned char *pixels = malloc((size_t)nnc_column_elements(column) + 1);
    status = pixels ? nnc_image_read(path, column, pixels, error)
                    : nnc_error(error, NNC_ERROR_MEMORY, "no memory for an image");
    if (!status) {
        nnc_column_fill_image(column, pixels, p->input);
        status = print_prediction(p, path, error);
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

static NncStatus predict_input(Prediction *p, const char *input, NncError *error) {
    NncSplit split;
    long long index;
    p->label = -1;
    if (parse_example(input, &split, &index)) return predict_indexed(p, split, index, input, error);
    if (ends_in(input, ".csv") || ends_in(input, ".csv.gz")) return predict_rows(p, input, error);
    return is_row(input) ? predict_row(p, input, error) : predict_image(p, input, error);
}

// --- All of it

static NncStatus allocate(Prediction *p, NncError *error) {
    const NncProgram *program = p->session.program;
    size_t bytes = ((size_t)program->input_bytes + NNC_ALIGN) / NNC_ALIGN * NNC_ALIGN + NNC_ALIGN;
    long long classes = 1;
    for (int i = 0; i < program->input_count; i++)
        if (program->input[i].classes > classes) classes = program->input[i].classes;
    p->input = aligned_alloc(NNC_ALIGN, bytes);
    p->probability = malloc((size_t)classes * sizeof *p->probability);
    if (!p->input || !p->probability)
        return nnc_error(error, NNC_ERROR_MEMORY, "no memory to predict");
    memset(p->input, 0, bytes);
    return NNC_OK;
}

static NncStatus predict(Prediction *p, const char *const *inputs, int count, NncError *error) {
    char path[NNC_PATH];
    NncSession *session = &p->session;
    const NncProgram *program = session->program;
    if (!program->function[NNC_PREDICT].run)
        return nnc_error(error, NNC_ERROR_VALUE, "%s has no output to predict", program->model);
    NncStatus status = allocate(p, error);
    if (!status) status = nnc_session_checkpoint_path(session, path, error);
    if (!status) status = nnc_session_restore(session, path, false, error);
    for (int i = 0; i < count && !status; i++)
        status = predict_input(p, inputs[i], error);
    return status;
}

NncStatus nnc_predict(const NncProgram *program, const NncOptions *options,
                      const char *const *inputs, int count, NncError *error) {
    Prediction p = {.label = -1};
    NncStatus status = nnc_session_open(&p.session, program, options, error);
    if (!status) status = predict(&p, inputs, count, error);
    nnc_session_close(&p.session);
    free(p.input);
    free(p.probability);
    return status;
}
