// SPDX-License-Identifier: MIT
// Files: see file.h.
#include "file.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef NNC_HAVE_ZLIB
#include <zlib.h>
#endif

bool nnc_file_exists(const char *path) { return access(path, F_OK) == 0; }

NncStatus nnc_file_join(char joined[NNC_PATH], const char *folder, const char *name,
                        NncError *error) {
    bool slash = folder[0] && folder[strlen(folder) - 1] != '/';
    int length = snprintf(joined, NNC_PATH, "%s%s%s", folder, slash ? "/" : "", name);
    if (length >= 0 && length < NNC_PATH) return NNC_OK;
    return nnc_error(error, NNC_ERROR_FILE, "path too long: %.100s...", folder);
}

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

NncStatus nnc_file_find(char found[NNC_PATH], const char *data, const char *path, const char *what,
                        NncError *error) {
    if (!*path) return nnc_error(error, NNC_ERROR_VALUE, "the path of %s is empty", what);
    bool from_data = data && path[0] != '/';
    NncStatus status = nnc_file_join(found, from_data ? data : "", path, error);
    if (status || nnc_file_exists(found)) return status;
    if (!from_data)
        return nnc_error(
            error, NNC_ERROR_FILE, "cannot find %s: %s: %s%s", what, found, strerror(errno),
            path[0] == '/' ? "" : " (from the current folder; --data DIR names another)");
    if (last_part(path) == path)
        return nnc_error(error, NNC_ERROR_FILE,
                         "cannot find %s: %s is not there (--data says to start from %s)", what,
                         found, data);
    if ((status = nnc_file_join(found, data, last_part(path), error)) || nnc_file_exists(found))
        return status;
    return nnc_error(error, NNC_ERROR_FILE,
                     "cannot find %s: neither %s/%s nor %s is there (--data says to start from %s)",
                     what, data, path, found, data);
}

// --- Reading

struct NncReader {
    char path[NNC_PATH];
    unsigned long long offset;
#ifdef NNC_HAVE_ZLIB
    gzFile file; // reads plain files as well
#else
    FILE *file;
#endif
};

#ifdef NNC_HAVE_ZLIB

static bool open_file(NncReader *reader) {
    reader->file = gzopen(reader->path, "rb");
    if (reader->file) gzbuffer(reader->file, 1 << 17);
    return reader->file != NULL;
}

static size_t read_some(NncReader *reader, void *to, size_t size) {
    int got = gzread(reader->file, to, size > 1 << 30 ? 1 << 30 : (unsigned)size);
    return got > 0 ? (size_t)got : 0;
}

static const char *read_problem(NncReader *reader) {
    int code = Z_OK;
    const char *text = gzerror(reader->file, &code);
    if (code == Z_ERRNO) return strerror(errno);
    if (code == Z_BUF_ERROR) return "its compressed data is truncated";
    return code == Z_OK || code == Z_STREAM_END ? "it ends there" : text;
}

static bool has_failed(NncReader *reader) {
    int code = Z_OK;
    gzerror(reader->file, &code);
    return code != Z_OK && code != Z_STREAM_END;
}

static void close_file(NncReader *reader) { gzclose(reader->file); }

#else

static bool open_file(NncReader *reader) {
    return (reader->file = fopen(reader->path, "rb")) != NULL;
}

static size_t read_some(NncReader *reader, void *to, size_t size) {
    return fread(to, 1, size, reader->file);
}

static const char *read_problem(NncReader *reader) {
    return ferror(reader->file) ? strerror(errno) : "it ends there";
}

static bool has_failed(NncReader *reader) { return ferror(reader->file); }

static void close_file(NncReader *reader) { fclose(reader->file); }

#endif

// Without zlib a compressed file would only look like a wrong one.
static NncStatus refuse_compressed(NncReader *reader, NncError *error) {
#ifdef NNC_HAVE_ZLIB
    (void)reader;
    (void)error;
#else
    unsigned char magic[2];
    size_t got = fread(magic, 1, 2, reader->file);
    rewind(reader->file);
    if (got == 2 && magic[0] == 0x1f && magic[1] == 0x8b)
        return nnc_error(error, NNC_ERROR_FILE,
                         "%s is compressed, and this program was built without zlib: "
                         "gunzip it",
                         reader->path);
#endif
    return NNC_OK;
}

NncReader *nnc_reader_open(const char *path, NncError *error) {
    NncReader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        nnc_error(error, NNC_ERROR_MEMORY, "no memory to read %s", path);
        return NULL;
    }
    struct stat info;
    snprintf(reader->path, sizeof reader->path, "%s", path);
    if (stat(path, &info) || (S_ISDIR(info.st_mode) && (errno = EISDIR)) || !open_file(reader)) {
        nnc_error(error, NNC_ERROR_FILE, "cannot read %s: %s", path, strerror(errno));
        free(reader);
        return NULL;
    }
    if (refuse_compressed(reader, error)) {
        nnc_reader_close(reader);
        return NULL;
    }
    return reader;
}

void nnc_reader_close(NncReader *reader) {
    if (!reader) return;
    close_file(reader);
    free(reader);
}

NncStatus nnc_reader_read(NncReader *reader, void *to, size_t size, const char *what,
                          NncError *error) {
    for (size_t done = 0; done < size;) {
        size_t got = read_some(reader, (char *)to + done, size - done);
        if (!got)
            return nnc_error(error, NNC_ERROR_FORMAT,
                             "%s: at byte %llu: expected %zu more of %s: %s", reader->path,
                             reader->offset, size - done, what, read_problem(reader));
        done += got;
        reader->offset += got;
    }
    return NNC_OK;
}

NncStatus nnc_reader_take(NncReader *reader, unsigned char **bytes, size_t size, const char *what,
                          NncError *error) {
    const size_t most = (size_t)64 << 20;
    *bytes = NULL;
    size_t done = 0;
    do {
        size_t part = size - done < most ? size - done : most;
        unsigned char *larger = realloc(*bytes, done + part + (size == 0));
        NncStatus status =
            larger ? nnc_reader_read(reader, larger + done, part, what, error)
                   : nnc_error(error, NNC_ERROR_MEMORY, "%s: no memory for %zu bytes of %s",
                               reader->path, size, what);
        if (larger) *bytes = larger;
        if (status) {
            free(*bytes);
            *bytes = NULL;
            return status;
        }
        done += part;
    } while (done < size);
    return NNC_OK;
}

NncStatus nnc_reader_take_all(NncReader *reader, char **text, size_t *size, size_t most,
                              NncError *error) {
    size_t room = 1 << 16, got = 1;
    *text = malloc(room);
    for (*size = 0; *text && got && *size <= most; *size += got) {
        if (room - *size < 2) {
            char *grown = realloc(*text, room *= 2);
            if (!grown) free(*text);
            *text = grown;
        }
        if (*text) got = read_some(reader, *text + *size, room - *size - 1);
    }
    NncStatus status = NNC_OK;
    if (!*text)
        status = nnc_error(error, NNC_ERROR_MEMORY, "%s: no memory to read it", reader->path);
    else if (*size > most)
        status =
            nnc_error(error, NNC_ERROR_FORMAT, "%s has more than %zu bytes", reader->path, most);
    else if (has_failed(reader))
        status = nnc_error(error, NNC_ERROR_FORMAT, "%s: at byte %zu: %s", reader->path, *size,
                           read_problem(reader));
    if (*text) (*text)[*size] = 0;
    if (status) {
        free(*text);
        *text = NULL;
    }
    return status;
}

NncStatus nnc_reader_expect_end(NncReader *reader, NncError *error) {
    char more;
    if (read_some(reader, &more, 1) == 0) return NNC_OK;
    return nnc_error(error, NNC_ERROR_FORMAT,
                     "%s: at byte %llu: expected the end, but there is more", reader->path,
                     reader->offset);
}

// --- Writing

// The folder of a path, "." where it has none.
static void folder_of(char folder[NNC_PATH], const char *path) {
    snprintf(folder, NNC_PATH, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash && slash != folder)
        *slash = 0;
    else
        snprintf(folder, NNC_PATH, slash ? "/" : ".");
}

static bool make_folders(const char *folder) {
    char path[NNC_PATH];
    snprintf(path, sizeof path, "%s", folder);
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        if (mkdir(path, 0777) && errno != EEXIST) return false;
        *slash = '/';
    }
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

bool nnc_file_make_folder_of(const char *path) {
    char folder[NNC_PATH];
    folder_of(folder, path);
    return make_folders(folder);
}

static NncStatus write_error(NncWriter *writer, NncError *error) {
    NncStatus status =
        nnc_error(error, NNC_ERROR_FILE, "cannot write %s: %s", writer->path, strerror(errno));
    nnc_writer_drop(writer);
    return status;
}

NncStatus nnc_writer_open(NncWriter *writer, const char *path, NncError *error) {
    writer->file = NULL;
    writer->temporary[0] = 0;
    if (strlen(path) + 16 > NNC_PATH)
        return nnc_error(error, NNC_ERROR_FILE, "path too long: %.100s...", path);
    snprintf(writer->path, NNC_PATH, "%s", path);
    if (!nnc_file_make_folder_of(path)) return write_error(writer, error);
    memcpy(writer->temporary, writer->path, strlen(path) + 1);
    strcat(writer->temporary, ".XXXXXX");
    int descriptor = mkstemp(writer->temporary);
    if (descriptor < 0) {
        writer->temporary[0] = 0;
        return write_error(writer, error);
    }
    mode_t mask = umask(0); // mkstemp's files are their owner's alone
    umask(mask);
    fchmod(descriptor, 0666 & ~mask);
    writer->file = fdopen(descriptor, "wb");
    if (writer->file) return NNC_OK;
    close(descriptor);
    return write_error(writer, error);
}

// After the rename the folder is synced too, else the name may be lost with the power. A file
// system that cannot do that is no reason to fail.
static void sync_folder(const char *path) {
    char folder[NNC_PATH];
    folder_of(folder, path);
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;
    (void)!fsync(descriptor);
    close(descriptor);
}

NncStatus nnc_writer_commit(NncWriter *writer, NncError *error) {
    if (ferror(writer->file) || fflush(writer->file) || fsync(fileno(writer->file)))
        return write_error(writer, error);
    FILE *file = writer->file;
    writer->file = NULL;
    if (fclose(file) || rename(writer->temporary, writer->path)) return write_error(writer, error);
    writer->temporary[0] = 0;
    sync_folder(writer->path);
    return NNC_OK;
}

void nnc_writer_drop(NncWriter *writer) {
    if (writer->file) fclose(writer->file);
    if (writer->temporary[0]) unlink(writer->temporary);
    writer->file = NULL;
    writer->temporary[0] = 0;
}
