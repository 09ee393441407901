// SPDX-License-Identifier: MIT
// Compiled objects, kept by content: what would make another object makes another key.
//
// An object carries a seal after its last byte (where the loader of shared objects does not look):
// its key and a hash of all before it. A file that was cut short, damaged or renamed is compiled
// anew, never loaded: loading a damaged one would end the process. The hash is no signature: that
// nobody else's code runs follows from owners and modes alone. The folder, all on the way to it,
// and the object have to be such that others can write to none of them; so what was read and
// checked is what is loaded by its name a moment later.
#include "jit/internal.h"

#include "support/hash.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const long long size_limit = 1LL << 30; // bytes of objects that are kept
static const int abandoned_after =
    24 * 3600; // seconds: of a process that was killed while compiling

typedef struct Seal {
    char magic[8];
    char key[32];
    Hash128 hash; // of the object, without the seal
} Seal;

static const char seal_magic[8] = "nncobj1";

// --- The folder

static const char *default_folder(Arena *arena) {
    const char *own = getenv("NNC_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own && *own) return own;
    if (xdg && *xdg) return path_join(arena, xdg, "nnc");
    return home && *home ? path_join(arena, home, ".cache/nnc") : NULL;
}

Cache cache_open(Arena *arena, const char *folder) {
    if (!folder) folder = default_folder(arena);
    bool usable =
        folder && folder_make(folder) && folder_is_ours(folder) && access(folder, W_OK | X_OK) == 0;
    return (Cache){usable ? folder : NULL};
}

// --- The key

static bool starts(const char *at, const char *text) {
    return strncmp(at, text, strlen(text)) == 0;
}

char *source_normalize(Arena *arena, const char *source) {
    char *out = arena_alloc(arena, strlen(source) + 2), *to = out; // a last line gets its end
    for (const char *line = source; *line;) {
        line += strspn(line, " ");
        size_t length = strcspn(line, "\n"), keep = length;
        if (starts(line, JIT_UNIT_MARKER)) // changes code: inlining stops there
            keep = strlen(JIT_UNIT_MARKER);
        else if (starts(line, "//") || starts(line, "#line "))
            keep = 0;
        memcpy(to, line, keep);
        to += keep;
        if (keep) *to++ = '\n';
        line += length + (line[length] == '\n');
    }
    *to = 0;
    return out;
}

// The lines of the first processor that say what it can do; those about its clock change all the
// time.
static const char *processor(Arena *arena) {
    static const char *const fields[] = {"vendor_id", "cpu family", "model", "stepping", "flags",
                                         "CPU ",      "Features",   "isa",   "uarch",    "cpu\t"};
    FILE *file = fopen("/proc/cpuinfo", "r");
    Buf text = buf_new(arena);
    char *line = NULL;
    size_t capacity = 0;
    while (file && getline(&line, &capacity, file) > 0 && *line != '\n')
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
            if (starts(line, fields[i])) buf_add(&text, line);
    free(line);
    if (file) fclose(file);
    return text.length ? text.text : "";
}

const char *cache_target_file(Arena *arena, Cache cache, const Target *target) {
    const CCompiler *compiler = target->compiler;
    if (!cache.folder || !compiler || !target->lanes) return NULL;
    const char *text =
        arena_printf(arena, "%s %d %d\n%s\n%s\n%s", target->name, target->lanes, target->registers,
                     compiler->identity, target->tools, processor(arena));
    Hash128 hash = hash128(text, strlen(text));
    return arena_printf(arena, "%s/tuned-%016llx.json", cache.folder, (unsigned long long)hash.low);
}

CacheKey cache_key(Arena *arena, const CCompiler *compiler, const JitOptions *options,
                   const char *source) {
    Args args = compiler_args(arena, compiler, options->march, options->debug);
    Buf text = buf_new(arena);
    buf_printf(&text, "2\n%s\n", compiler->identity);
    for (int i = 0; i < args.list.count - 1; i++)
        buf_printf(&text, "%s ", args.list.at[i]);
    const char *kept = options->debug ? source : source_normalize(arena, source);
    Hash128 of_source = hash128(kept, strlen(kept));
    buf_printf(&text, "\n%s\n", processor(arena));
    buf_printf(&text, "%llx %llx\n", (unsigned long long)of_source.high,
               (unsigned long long)of_source.low);
    Hash128 hash = hash128(text.text, text.length);
    CacheKey key;
    snprintf(key.hex, sizeof key.hex, "%016llx%016llx", (unsigned long long)hash.high,
             (unsigned long long)hash.low);
    return key;
}

const char *cache_path(Arena *arena, Cache cache, CacheKey key) {
    return arena_printf(arena, "%s/%s.so", cache.folder, key.hex);
}

// --- The objects

bool cache_check(Arena *arena, const char *path, CacheKey key) {
    size_t length;
    Seal seal;
    const char *object = file_read_ours(arena, path, &length);
    if (!object || length < sizeof seal) return false;
    length -= sizeof seal;
    memcpy(&seal, object + length, sizeof seal);
    Hash128 hash = hash128(object, length);
    if (memcmp(seal.magic, seal_magic, sizeof seal.magic) ||
        memcmp(seal.key, key.hex, sizeof seal.key) || hash.low != seal.hash.low ||
        hash.high != seal.hash.high)
        return false;
    utimensat(AT_FDCWD, path, NULL, 0); // used now: the last to be taken out
    return true;
}

static bool seal_object(Arena *arena, const char *object, CacheKey key) {
    size_t length;
    const char *bytes = file_read(arena, object, &length);
    if (!bytes) return false;
    Seal seal = {.hash = hash128(bytes, length)};
    memcpy(seal.magic, seal_magic, sizeof seal.magic);
    memcpy(seal.key, key.hex, sizeof seal.key);
    FILE *file = fopen(object, "ab");
    if (!file) return false;
    bool written = fwrite(&seal, sizeof seal, 1, file) == 1;
    return fclose(file) == 0 && written;
}

typedef struct Kept {
    const char *path;
    struct timespec used;
    long long size;
} Kept;

static int by_use(const void *a, const void *b) {
    const struct timespec *first = &((const Kept *)a)->used, *second = &((const Kept *)b)->used;
    if (first->tv_sec != second->tv_sec) return first->tv_sec < second->tv_sec ? -1 : 1;
    return (first->tv_nsec > second->tv_nsec) - (first->tv_nsec < second->tv_nsec);
}

// Keeps to the size limit, the oldest going first, and clears up after processes that were killed.
static void trim(Arena *arena, Cache cache) {
    DIR *folder = opendir(cache.folder);
    VEC(Kept) kept = {0};
    long long total = 0;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        const char *path = path_join(arena, cache.folder, entry->d_name), *end = strrchr(path, '.');
        struct stat info;
        if (lstat(path, &info)) continue;
        if (S_ISDIR(info.st_mode) && starts(entry->d_name, "nnc-") &&
            info.st_mtime + abandoned_after < time(NULL))
            folder_remove(path);
        if (!S_ISREG(info.st_mode) || !end || strcmp(end, ".so")) continue;
        VEC_PUSH(arena, kept, ((Kept){path, info.st_mtim, info.st_size}));
        total += info.st_size;
    }
    if (folder) closedir(folder);
    if (total > size_limit) qsort(kept.at, (size_t)kept.count, sizeof *kept.at, by_use);
    for (int i = 0; i < kept.count && total > size_limit; i++) {
        unlink(kept.at[i].path); // a process that has it loaded keeps it
        total -= kept.at[i].size;
    }
}

bool cache_store(Arena *arena, Cache cache, const char *object, const char *path, CacheKey key) {
    if (!seal_object(arena, object, key) || chmod(object, 0600) || rename(object, path))
        return false;
    trim(arena, cache);
    return true;
}
