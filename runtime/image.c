// SPDX-License-Identifier: MIT
// PNG images through libpng: see image.h.
#include "image.h"
#include "columns.h"
#include <stdlib.h>

#ifdef NNC_HAVE_PNG
#include <png.h>

typedef struct Size {
    int channels;
    long long width, height; // 0: whatever the image has
} Size;

// What a column wants; false where it is no image.
static bool wanted_size(const NncColumn *column, Size *size) {
    const long long *extent = column->extent;
    switch (column->rank) {
    case 4:
        *size = (Size){(int)extent[1], extent[3], extent[2]};
        return extent[1] == 1 || extent[1] == 3;
    case 3:
        *size = (Size){1, extent[2], extent[1]};
        return true;
    case 2:
        *size = (Size){1, 0, 0};
        return true;
    default:
        return false;
    }
}

static NncStatus check_size(const char *path, const png_image *image, const NncColumn *column,
                            Size *size, NncError *error) {
    char shape[160];
    nnc_column_describe(column, shape, sizeof shape);
    if (!wanted_size(column, size))
        return nnc_error(error, NNC_ERROR_MATCH, "%s: the program's input %s: %s is no image", path,
                         column->name, shape);
    bool fits = size->width
                    ? size->width == image->width && size->height == image->height
                    : (long long)image->width * image->height == nnc_column_elements(column);
    if (!fits)
        return nnc_error(error, NNC_ERROR_MATCH,
                         "%s has %u x %u pixels, but the program's input %s is %s", path,
                         image->width, image->height, column->name, shape);
    *size = (Size){size->channels, image->width, image->height};
    return NNC_OK;
}

// From pixels of interleaved channels to planes.
static void split_planes(unsigned char *planes, const unsigned char *pixels, Size size) {
    long long count = size.width * size.height;
    for (long long i = 0; i < count; i++)
        for (int c = 0; c < size.channels; c++)
            planes[c * count + i] = pixels[i * size.channels + c];
}

static NncStatus read_pixels(const char *path, png_image *image, const NncColumn *column,
                             unsigned char *planes, NncError *error) {
    Size size = {0};
    const png_color black = {0, 0, 0};
    NncStatus status = check_size(path, image, column, &size, error);
    if (status) return status;
    image->format = size.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
    unsigned char *pixels = malloc(PNG_IMAGE_SIZE(*image));
    if (!pixels) return nnc_error(error, NNC_ERROR_MEMORY, "no memory to read %s", path);
    if (png_image_finish_read(image, &black, pixels, 0, NULL))
        split_planes(planes, pixels, size);
    else
        status = nnc_error(error, NNC_ERROR_FORMAT, "%s: %s", path, image->message);
    free(pixels);
    return status;
}

NncStatus nnc_image_read(const char *path, const NncColumn *column, unsigned char *planes,
                         NncError *error) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_file(&image, path))
        return nnc_error(error, NNC_ERROR_FORMAT, "cannot read the PNG image %s: %s", path,
                         image.message);
    NncStatus status = read_pixels(path, &image, column, planes, error);
    png_image_free(&image);
    return status;
}

#else

NncStatus nnc_image_read(const char *path, const NncColumn *column, unsigned char *planes,
                         NncError *error) {
    (void)column, (void)planes;
    return nnc_error(error, NNC_ERROR_FILE,
                     "cannot read %s: this program was built without libpng (test:17 names an "
                     "example of the data)",
                     path);
}

#endif
