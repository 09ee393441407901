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

char *file_read(Arena *arena, const char *path, size_t *length) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0) return NULL;
    if (fstat(fd, &info) || !S_ISREG(info.st_mode)) {
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

const char *temporary_folder(Arena *arena, const char *parent) {
    if (!parent) parent = getenv("TMPDIR") && *getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
    char *path = arena_printf(arena, "%s/nnc-XXXXXX", parent);
    return mkdtemp(path);
}
