// SPDX-License-Identifier: MIT
// Columns: see columns.h.
#include "columns.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int nnc_type_size(NncType type) { return type == NNC_F64 ? 8 : type == NNC_BOOL ? 1 : 4; }

long long nnc_column_elements(const NncColumn *column) {
    long long elements = 1;
    for (int i = column->per_example; i < column->rank; i++)
        elements *= column->extent[i];
    return elements;
}

void nnc_column_describe(const NncColumn *column, char *text, size_t size) {
    static const char *const names[] = {
        [NNC_F32] = "f32", [NNC_I32] = "i32", [NNC_BOOL] = "bool", [NNC_F64] = "f64"};
    size_t at = (size_t)(column->classes ? snprintf(text, size, "index(%lld)[", column->classes)
                                         : snprintf(text, size, "%s[", names[column->type]));
    for (int i = 0; i < column->rank && at < size; i++) {
        const char *comma = i ? ", " : "";
        at += (size_t)(i == 0 && column->per_example
                           ? snprintf(text + at, size - at, "N")
                           : snprintf(text + at, size - at, "%s%lld", comma, column->extent[i]));
    }
    if (at < size) snprintf(text + at, size - at, "]");
}

// --- Names

// Is the column's name the field's? What a name of the language cannot hold is '_' in it: the
// column sepal_length takes the field "sepal length".
static bool same_name(const char *column, const char *field) {
    for (; *column && *field; column++, field++)
        if (*column != *field && (*column != '_' || isalnum((unsigned char)*field))) return false;
    return !*column && !*field;
}

static bool is_named(const NncProgram *program, const NncField *field) {
    for (int i = 0; i < program->input_count; i++)
        if (same_name(program->input[i].name, field->name)) return true;
    return false;
}

// --- Messages

static void describe_field(const NncField *field, char *text, size_t size) {
    NncColumn column = {.type = NNC_F32, .rank = field->rank + 1, .per_example = true};
    memcpy(column.extent + 1, field->extent, (size_t)field->rank * sizeof *field->extent);
    if (field->kind == NNC_FIELD_TEXTS)
        snprintf(text, size, "texts");
    else if (field->kind == NNC_FIELD_LABEL)
        snprintf(text, size, field->classes ? "index(%lld)[N]" : "index[N]", field->classes);
    else
        nnc_column_describe(&column, text, size);
}

// "image: f32[N, 3, 32, 32], label: index(10)[N]"
static void list_fields(const NncSource *source, char *text, size_t size) {
    char shape[160];
    size_t at = 0;
    *text = 0;
    for (int i = 0; i < source->field_count && at < size; i++) {
        describe_field(&source->field[i], shape, sizeof shape);
        at += (size_t)snprintf(text + at, size - at, "%s%s: %s", i ? ", " : "",
                               source->field[i].name, shape);
    }
    if (at >= size && size > 4) memcpy(text + size - 4, "...", 4);
}

static const char *nearest_field(const NncSource *source, const char *name) {
    const char *nearest = NULL;
    const char **names = malloc((size_t)source->field_count * sizeof *names + 1);
    for (int i = 0; names && i < source->field_count; i++)
        names[i] = source->field[i].name;
    if (names) nearest = nnc_nearest(name, names, source->field_count);
    free(names);
    return nearest;
}

static const char *role(const NncColumn *column) { return column->is_target ? "target" : "input"; }

static NncStatus refuse_missing(const NncColumn *column, const NncSource *source, NncError *error) {
    char shape[160], fields[240];
    const char *near = nearest_field(source, column->name);
    nnc_column_describe(column, shape, sizeof shape);
    list_fields(source, fields, sizeof fields);
    return nnc_error(error, NNC_ERROR_MATCH,
                     "%s has nothing for the program's %s %s: %s%s%s%s; it has %s",
                     source->info->name, role(column), column->name, shape,
                     near ? "; did you mean " : "", near ? near : "", near ? "?" : "", fields);
}

static NncStatus refuse_shape(const NncColumn *column, const NncSource *source,
                              const NncField *field, NncError *error) {
    char shape[160], other[160];
    nnc_column_describe(column, shape, sizeof shape);
    describe_field(field, other, sizeof other);
    return nnc_error(error, NNC_ERROR_MATCH,
                     "the program's %s %s: %s does not fit %s of %s: %s%s%s%s", role(column),
                     column->name, shape, field->name, source->info->name, other,
                     field->why ? " (" : "", field->why ? field->why : "", field->why ? ")" : "");
}

// Why a field that no column names is of texts: maybe because of one value alone.
static const char *text_instead(const NncColumns *columns) {
    for (int i = 0; i < columns->source->field_count; i++) {
        const NncField *field = &columns->source->field[i];
        if (field->why && !is_named(columns->program, field)) return field->why;
    }
    return NULL;
}

static NncStatus refuse_rest(const NncColumns *columns, int input, long long elements,
                             NncError *error) {
    char shape[160], names[240] = "";
    int count;
    size_t at = 0;
    const NncColumn *column = &columns->program->input[input];
    const int *taken = nnc_columns_fields(columns, input, &count);
    nnc_column_describe(column, shape, sizeof shape);
    for (int i = 0; i < count && at < sizeof names; i++)
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "",
                               columns->source->field[taken[i]].name);
    if (at >= sizeof names) memcpy(names + sizeof names - 4, "...", 4);
    const char *why = text_instead(columns);
    return nnc_error(error, NNC_ERROR_MATCH,
                     "the program's %s %s: %s takes %lld numbers, but %s has %lld that no column "
                     "names: %s%s%s%s",
                     role(column), column->name, shape, nnc_column_elements(column),
                     columns->source->info->name, elements, names, why ? " (" : "", why ? why : "",
                     why ? ")" : "");
}

// --- Matching

// The index of the only field of a kind; -1: none, or several.
static int only_field(const NncSource *source, NncFieldKind kind) {
    int found = -1;
    for (int i = 0; i < source->field_count; i++) {
        if (source->field[i].kind != kind) continue;
        if (found >= 0) return -1;
        found = i;
    }
    return found;
}

static int find_field(const NncSource *source, const NncColumn *column) {
    for (int i = 0; i < source->field_count; i++)
        if (same_name(column->name, source->field[i].name)) return i;
    return only_field(source, column->classes ? NNC_FIELD_LABEL : NNC_FIELD_BYTES);
}

// An index takes a label, or a number that is to be an integer; floats take anything but a label.
static NncStatus check_field(const NncColumns *columns, const NncColumn *column,
                             const NncField *field, NncError *error) {
    const NncSource *source = columns->source;
    bool fits = field->kind != NNC_FIELD_TEXTS &&
                field->kind != (column->classes ? NNC_FIELD_BYTES : NNC_FIELD_LABEL);
    if (!fits || nnc_column_elements(column) != nnc_field_elements(field))
        return refuse_shape(column, source, field, error);
    if (field->classes > column->classes && column->classes)
        return nnc_error(error, NNC_ERROR_MATCH,
                         "the program's %s %s has %lld classes, but %s has %lld", role(column),
                         column->name, column->classes, source->info->name, field->classes);
    return NNC_OK;
}

// All numbers that no column names: for the one column of floats that has no name of its own.
static NncStatus take_rest(NncColumns *columns, int input, int *rest_of, NncError *error) {
    const NncSource *source = columns->source;
    const NncColumn *column = &columns->program->input[input];
    long long elements = 0;
    for (int i = 0; i < source->field_count && !column->classes; i++) {
        const NncField *field = &source->field[i];
        if (field->kind != NNC_FIELD_REALS || is_named(columns->program, field)) continue;
        columns->taken[columns->start[input + 1]++] = i;
        elements += nnc_field_elements(field);
    }
    if (!elements) return refuse_missing(column, source, error);
    if (*rest_of >= 0)
        return nnc_error(error, NNC_ERROR_MATCH,
                         "%s has no columns named %s or %s: one of both can take all others",
                         source->info->name, columns->program->input[*rest_of].name, column->name);
    if (elements != nnc_column_elements(column))
        return refuse_rest(columns, input, elements, error);
    *rest_of = input;
    return NNC_OK;
}

static NncStatus match_column(NncColumns *columns, int input, int *rest_of, NncError *error) {
    const NncColumn *column = &columns->program->input[input];
    int found = find_field(columns->source, column);
    if (found < 0) return take_rest(columns, input, rest_of, error);
    columns->taken[columns->start[input + 1]++] = found;
    return check_field(columns, column, &columns->source->field[found], error);
}

NncStatus nnc_columns_match(NncColumns *columns, const NncProgram *program, const NncSource *source,
                            bool needs_targets, NncError *error) {
    // A column takes one field, or is the one that takes the rest.
    size_t most = (size_t)program->input_count + (size_t)source->field_count;
    *columns = (NncColumns){.program = program, .source = source, .augment = program->augment};
    columns->start = calloc((size_t)program->input_count + 1, sizeof *columns->start);
    columns->taken = calloc(most + 1, sizeof *columns->taken);
    if (!columns->start || !columns->taken)
        return nnc_error(error, NNC_ERROR_MEMORY, "no memory for %d columns", program->input_count);
    int rest_of = -1;
    for (int i = 0; i < program->input_count; i++) {
        columns->start[i + 1] = columns->start[i];
        NncStatus status = match_column(columns, i, &rest_of, error);
        if (!status) continue;
        if (needs_targets || !program->input[i].is_target) return status;
        columns->start[i + 1] = columns->start[i];
    }
    return NNC_OK;
}

void nnc_columns_free(NncColumns *columns) {
    free(columns->start);
    free(columns->taken);
    *columns = (NncColumns){0};
}

const int *nnc_columns_fields(const NncColumns *columns, int input, int *count) {
    *count = columns->start[input + 1] - columns->start[input];
    return columns->taken + columns->start[input];
}

const NncField *nnc_columns_label(const NncColumns *columns) {
    for (int i = 0; i < columns->program->input_count; i++) {
        int count;
        const NncColumn *column = &columns->program->input[i];
        const int *taken = nnc_columns_fields(columns, i, &count);
        if (column->is_target && column->classes && count == 1)
            return &columns->source->field[*taken];
    }
    return NULL;
}

// --- Filling

// Division, not multiplication by 1 / 255: the quotient is the float nearest to the true one on
// every compiler.
static void bytes_to_floats(float *to, const unsigned char *from, long long count) {
    for (long long i = 0; i < count; i++)
        to[i] = (float)from[i] / 255.0f;
}

static NncStatus fill_index(const NncColumns *columns, const NncColumn *column,
                            const NncExample *example, const NncField *field, int32_t *to,
                            NncError *error) {
    const void *from = nnc_example_field(example, field);
    bool is_real = field->kind == NNC_FIELD_REALS;
    for (long long i = 0; i < nnc_field_elements(field); i++) {
        double value = is_real ? ((const float *)from)[i] : ((const int32_t *)from)[i];
        bool fits = value >= 0 && value < (double)column->classes && value == floor(value);
        if (!fits) {
            char place[400];
            columns->source->place(columns->source, example, place, sizeof place);
            return nnc_error(
                error, NNC_ERROR_VALUE, "%s: the label is %g, but %s is to be %sbelow %lld", place,
                value, column->name, value == floor(value) ? "" : "an integer ", column->classes);
        }
        to[i] = (int32_t)value;
    }
    return NNC_OK;
}

static void fill_floats(const NncExample *example, const NncField *field, float *to) {
    const void *from = nnc_example_field(example, field);
    if (field->kind == NNC_FIELD_BYTES)
        bytes_to_floats(to, from, nnc_field_elements(field));
    else
        memcpy(to, from, (size_t)nnc_field_bytes(field));
}

NncStatus nnc_columns_fill(const NncColumns *columns, const NncExample *example, char *batch,
                           long long slot, NncError *error) {
    NncStatus status = NNC_OK;
    for (int i = 0; i < columns->program->input_count && !status; i++) {
        int count;
        const NncColumn *column = &columns->program->input[i];
        const int *taken = nnc_columns_fields(columns, i, &count);
        float *to = (float *)(batch + column->offset) + slot * nnc_column_elements(column);
        for (int k = 0; k < count && !status; k++) {
            const NncField *field = &columns->source->field[taken[k]];
            if (column->classes)
                status = fill_index(columns, column, example, field, (int32_t *)to, error);
            else
                fill_floats(example, field, to);
            to += nnc_field_elements(field);
        }
    }
    return status;
}

void nnc_column_fill_image(const NncColumn *column, const unsigned char *image, char *batch) {
    bytes_to_floats((float *)(batch + column->offset), image, nnc_column_elements(column));
}
