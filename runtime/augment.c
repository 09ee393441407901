// SPDX-License-Identifier: MIT
// Augmentations: see augment.h.
#include "augment.h"
#include "draw.h"
#include <string.h>

typedef struct Planes { // an image: planes of height x width bytes
    long long count, height, width;
} Planes;

typedef struct Augmentation {
    const char *const *arguments; // their names
    const char *takes;            // and defaults, for messages
    NncStatus (*check)(const NncCall *call, Planes planes, NncError *error);
    void (*apply)(const NncCall *call, Planes planes, NncDraw *draw, unsigned char *image,
                  unsigned char *spare);
} Augmentation;

static NncStatus check_flip(const NncCall *call, Planes planes, NncError *error) {
    (void)call, (void)planes, (void)error;
    return NNC_OK;
}

static void apply_flip(const NncCall *call, Planes planes, NncDraw *draw, unsigned char *image,
                       unsigned char *spare) {
    (void)call, (void)spare;
    if (nnc_draw_below(draw, 2)) return;
    for (unsigned char *row = image, *end = image + planes.count * planes.height * planes.width;
         row < end; row += planes.width)
        for (long long left = 0, right = planes.width - 1; left < right; left++, right--) {
            unsigned char pixel = row[left];
            row[left] = row[right];
            row[right] = pixel;
        }
}

static NncStatus crop_padding(const NncCall *call, Planes planes, long long *padding,
                              NncError *error) {
    *padding = 4;
    long long most = planes.height < planes.width ? planes.height : planes.width;
    return nnc_argument_integer(call, "padding", 0, 0, most, padding, error);
}

static NncStatus check_crop(const NncCall *call, Planes planes, NncError *error) {
    long long padding;
    return crop_padding(call, planes, &padding, error);
}

static void apply_crop(const NncCall *call, Planes planes, NncDraw *draw, unsigned char *image,
                       unsigned char *spare) {
    NncError ignored; // it was checked
    long long padding;
    crop_padding(call, planes, &padding, &ignored);
    long long height = planes.height, width = planes.width;
    long long down = nnc_draw_below(draw, (uint32_t)(2 * padding + 1)) - padding;
    long long right = nnc_draw_below(draw, (uint32_t)(2 * padding + 1)) - padding;
    long long from = right > 0 ? right : 0, kept = width - (right > 0 ? right : -right);
    size_t size = (size_t)(planes.count * height * width);
    memcpy(spare, image, size);
    memset(image, 0, size);
    for (long long plane = 0; plane < planes.count; plane++)
        for (long long y = 0; y < height; y++)
            if (y + down >= 0 && y + down < height)
                memcpy(image + (plane * height + y) * width + from - right,
                       spare + (plane * height + y + down) * width + from, (size_t)kept);
}

static const char *const no_arguments[] = {NULL};
static const char *const crop_arguments[] = {"padding", NULL};

static const char *const names[] = {"random_flip", "random_crop"};
enum { AUGMENTATIONS = sizeof names / sizeof *names };

static const Augmentation augmentations[AUGMENTATIONS] = {
    {no_arguments, "", check_flip, apply_flip},
    {crop_arguments, "padding = 4", check_crop, apply_crop},
};

static const Augmentation *find(const char *name) {
    for (int i = 0; i < AUGMENTATIONS; i++)
        if (!strcmp(names[i], name)) return &augmentations[i];
    return NULL;
}

const char *const *nnc_augmentation_names(int *count) {
    *count = AUGMENTATIONS;
    return names;
}

const char *nnc_augmentation_takes(const char *name) {
    const Augmentation *found = find(name);
    return found ? found->takes : NULL;
}

NncStatus nnc_augmentation_arguments(const NncCall *call, NncError *error) {
    return nnc_arguments_check(call, find(call->name)->arguments, 1, error);
}

void nnc_data_hyper_name(char text[NNC_HYPER_NAME], const NncCall *augment, int count,
                         const char *argument) {
    int ordinal = 0;
    const char *name = count ? augment[count - 1].name : "source";
    for (int i = 0; i < count; i++)
        ordinal += !strcmp(augment[i].name, name);
    const char *before = count ? "augment." : "";
    if (ordinal < 2)
        snprintf(text, NNC_HYPER_NAME, "%s%s.%s", before, name, argument);
    else
        snprintf(text, NNC_HYPER_NAME, "%s%s_%d.%s", before, name, ordinal, argument);
}

static Planes planes_of(const NncField *image) {
    return (Planes){.count = image->rank == 3 ? image->extent[0] : 1,
                    .height = image->extent[image->rank - 2],
                    .width = image->extent[image->rank - 1]};
}

// What the call's column takes; NULL where that is no image.
static const NncField *image_of(const NncColumns *columns, const NncCall *call) {
    for (int i = 0; i < columns->program->input_count; i++) {
        int count;
        const int *taken = nnc_columns_fields(columns, i, &count);
        if (count != 1 || strcmp(columns->program->input[i].name, call->column) != 0) continue;
        const NncField *field = &columns->source->field[*taken];
        return field->kind == NNC_FIELD_BYTES && field->rank >= 2 ? field : NULL;
    }
    return NULL;
}

// Positional arguments: the column itself may stand first, where the front end passes it on.
static NncStatus check_call(const NncColumns *columns, const NncCall *call, NncError *error) {
    const Augmentation *kind = find(call->name);
    const NncField *image = image_of(columns, call);
    if (!kind)
        return nnc_error(error, NNC_ERROR_VALUE, "there is no augmentation named %s", call->name);
    if (!image)
        return nnc_error(error, NNC_ERROR_MATCH, "%s(%s): %s has no image for %s", call->name,
                         call->column, columns->source->info->name, call->column);
    NncStatus status = nnc_augmentation_arguments(call, error);
    return status ? status : kind->check(call, planes_of(image), error);
}

NncStatus nnc_augment_check(const NncColumns *columns, NncError *error) {
    NncStatus status = NNC_OK;
    for (int i = 0; i < columns->program->augment_count && !status; i++)
        status = check_call(columns, &columns->augment[i], error);
    return status;
}

void nnc_augment(const NncColumns *columns, long long seed, long long epoch,
                 const NncExample *example, void *spare) {
    NncDraw draw = nnc_draw((uint64_t)seed, (uint64_t)epoch, (uint64_t)example->index);
    for (int i = 0; i < columns->program->augment_count; i++) {
        const NncCall *call = &columns->augment[i];
        const NncField *image = image_of(columns, call);
        find(call->name)
            ->apply(call, planes_of(image), &draw, nnc_example_field(example, image), spare);
    }
}
