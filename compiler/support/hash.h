// SPDX-License-Identifier: MIT
// Hashes of bytes: xxHash where its header was found when building, else a slower one of our own.
// Values are for tables and caches of this build, never for files that others read.
#ifndef NNC_SUPPORT_HASH_H
#define NNC_SUPPORT_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct Hash128 {
    uint64_t low, high;
} Hash128;

#ifdef NNC_HAVE_XXHASH

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t hash64(const void *data, size_t size) { return XXH3_64bits(data, size); }

static inline Hash128 hash128(const void *data, size_t size) {
    XXH128_hash_t hash = XXH3_128bits(data, size);
    return (Hash128){hash.low64, hash.high64};
}

#else

// FNV-1a, then the finalizer of MurmurHash3, since FNV leaves its upper bits poorly mixed.
static inline uint64_t hash64_from(uint64_t hash, const void *data, size_t size) {
    const unsigned char *byte = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3u;
    hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdu;
    hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53u;
    return hash ^ (hash >> 33);
}

static inline uint64_t hash64(const void *data, size_t size) {
    return hash64_from(0xcbf29ce484222325u, data, size);
}

static inline Hash128 hash128(const void *data, size_t size) {
    return (Hash128){hash64(data, size), hash64_from(0x9e3779b97f4a7c15u, data, size)};
}

#endif
#endif
