// SPDX-License-Identifier: MIT
// Files and folders of the cache and of compilation.
#include "jit/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *path_join(Arena *arena, const char *folder, const char *name) {
    return arena_printf(arena, "%s/%s", folder, name);
}

// --- Whose it is

static bool is_ours(const struct stat *info) {
    return info->st_uid == geteuid() && !(info->st_mode & (S_IWGRP | S_IWOTH));
}

// Can nobody else put another folder there? Each on the way has to be the system's or ours, and one
// that all may write to has to keep what is there to its owners (as /tmp does).
static bool is_safe_from_others(const struct stat *info, const struct stat *root) {
    bool owned = info->st_uid == 0 || info->st_uid == geteuid() || info->st_uid == root->st_uid;
    return S_ISDIR(info->st_mode) && owned &&
           (!(info->st_mode & S_IWOTH) || info->st_mode & S_ISVTX);
}

bool folder_is_safe(const char *path) {
    struct stat root, info;
    char *real = realpath(path, NULL);
    bool safe = real && stat("/", &root) == 0;
    while (safe) {
        safe = lstat(real, &info) == 0 && is_safe_from_others(&info, &root);
        char *slash = strrchr(real, '/');
        if (slash == real && !slash[1]) break;
        slash[slash == real] = 0;
    }
    free(real);
    return safe;
}

bool folder_is_ours(const char *path) {
    struct stat info;
    return folder_is_safe(path) && stat(path, &info) == 0 && is_ours(&info);
}

// --- Files and folders

bool folder_make(const char *path) {
    char *copy = strdup(path);
    if (!copy) return false;
    for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(copy, 0777); // an error shows at the last one
        *slash = '/';
    }
    bool made = mkdir(copy, 0700) == 0 || errno == EEXIST;
    free(copy);
    return made;
}

bool file_write(const char *path, const char *text, size_t length) {
    FILE *file = fopen(path, "wb");
    if (!file) return false;
    bool written = fwrite(text, 1, length, file) == length;
    return fclose(file) == 0 && written;
}

static char *read_open(Arena *arena, int fd, size_t *length, bool ours) {
    struct stat info;
    if (fd < 0) return NULL;
    if (fstat(fd, &info) || !S_ISREG(info.st_mode) || (ours && !is_ours(&info))) {
        close(fd);
        return NULL;
    }
    char *text = arena_alloc(arena, (size_t)info.st_size + 1);
    *length = 0;
    for (ssize_t got; *length < (size_t)info.st_size; *length += (size_t)got)
        if ((got = read(fd, text + *length, (size_t)info.st_size - *length)) <= 0) break;
    close(fd);
    return text;
}

char *file_read(Arena *arena, const char *path, size_t *length) {
    return read_open(arena, open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), length, false);
}

char *file_read_ours(Arena *arena, const char *path, size_t *length) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    return read_open(arena, fd, length, true);
}

const char *first_line(Arena *arena, const char *path) {
    size_t length;
    char *text = file_read(arena, path, &length);
    if (!text) return "";
    text[strcspn(text, "\n")] = 0;
    return text;
}

void folder_remove(const char *path) {
    DIR *folder = opendir(path);
    if (!folder) return;
    for (struct dirent *entry; (entry = readdir(folder));)
        unlinkat(dirfd(folder), entry->d_name, 0); // fails for . and .., as it should
    closedir(folder);
    rmdir(path);
}

const char no_folder[] =
    "no folder to compile in: $TMPDIR (or /tmp) cannot be written, or others could replace what "
    "is in it";

const char *folder_new(Arena *arena, const char *parent) {
    return mkdtemp(arena_printf(arena, "%s/nnc-XXXXXX", parent));
}

const char *temporary_folder(Arena *arena, const char *parent) {
    const char *own = getenv("TMPDIR");
    if (!parent && own && *own && folder_is_safe(own)) parent = own;
    if (!parent) parent = "/tmp";
    return folder_is_safe(parent) ? folder_new(arena, parent) : NULL;
}
