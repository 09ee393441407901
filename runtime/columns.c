// SPDX-License-Identifier: MIT
// Columns: see columns.h.
#include "columns.h"
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

static bool takes_image(const NncColumn *column) { return column->type == NNC_F32; }
static bool takes_label(const NncColumn *column) {
    return column->classes > 0 && column->type == NNC_I32;
}

static NncStatus refuse(const NncColumn *column, const NncSource *source, NncError *error) {
    char shape[160], image[160];
    NncColumn as_column = {.type = NNC_F32, .rank = source->rank + 1, .per_example = true};
    memcpy(as_column.extent + 1, source->extent, (size_t)source->rank * sizeof *source->extent);
    nnc_column_describe(column, shape, sizeof shape);
    nnc_column_describe(&as_column, image, sizeof image);
    return nnc_error(error, NNC_ERROR_MATCH,
                     "the program's input %s: %s does not fit the images of %s: %s", column->name,
                     shape, source->info->name, image);
}

NncStatus nnc_columns_check(const NncProgram *program, const NncSource *source, bool with_targets,
                            NncError *error) {
    for (int i = 0; i < program->input_count; i++) {
        const NncColumn *column = &program->input[i];
        if (column->is_target && !with_targets) continue;
        if (takes_label(column) && nnc_column_elements(column) == 1) {
            if (source->classes > column->classes)
                return nnc_error(error, NNC_ERROR_MATCH,
                                 "the program's target %s has %lld classes, but %s has %lld",
                                 column->name, column->classes, source->info->name,
                                 source->classes);
        } else if (!takes_image(column) || nnc_column_elements(column) != source->pixels) {
            return refuse(column, source, error);
        }
    }
    return NNC_OK;
}

// Division, not multiplication by 1 / 255: the quotient is the float nearest to the true one on
// every compiler.
static void bytes_to_floats(float *to, const unsigned char *from, long long count) {
    for (long long i = 0; i < count; i++)
        to[i] = (float)from[i] / 255.0f;
}

void nnc_columns_fill(const NncProgram *program, char *batch, long long slot,
                      const unsigned char *image, int label) {
    for (int i = 0; i < program->input_count; i++) {
        const NncColumn *column = &program->input[i];
        if (column->is_target && label < 0) continue;
        long long elements = nnc_column_elements(column);
        char *place = batch + column->offset + slot * elements * nnc_type_size(column->type);
        if (takes_label(column))
            memcpy(place, &label, sizeof label);
        else
            bytes_to_floats((float *)place, image, elements);
    }
}
