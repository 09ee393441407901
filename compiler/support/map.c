// SPDX-License-Identifier: MIT
// Hash map with linear probing, at most half full; nothing is ever taken out. Text and byte keys
// share it: a text's key is its bytes without the NUL.
#include "support/map.h"
#include "support/hash.h"

#include <string.h>

typedef struct Entry {
    const void *key; // NULL: free
    size_t size;
    uint64_t hash;
    void *value;
} Entry;

struct Map {
    Arena *arena;
    Entry *entry;
    size_t count, capacity; // a power of two
};

static void reset(Map *map, size_t capacity) {
    map->entry = ARENA_ARRAY(map->arena, Entry, capacity);
    map->capacity = capacity;
    map->count = 0;
}

Map *map_new(Arena *arena) {
    Map *map = ARENA_NEW(arena, Map);
    map->arena = arena;
    reset(map, 16);
    return map;
}

// The entry of the key, or the free one where it would go.
static Entry *find(const Map *map, const void *key, size_t size, uint64_t hash) {
    for (size_t i = hash & (map->capacity - 1);; i = (i + 1) & (map->capacity - 1)) {
        Entry *entry = &map->entry[i];
        if (!entry->key) return entry;
        if (entry->hash == hash && entry->size == size && !memcmp(entry->key, key, size))
            return entry;
    }
}

static void grow(Map *map) {
    Entry *old = map->entry;
    size_t count = map->count, capacity = map->capacity;
    reset(map, capacity * 2);
    for (size_t i = 0; i < capacity; i++)
        if (old[i].key) *find(map, old[i].key, old[i].size, old[i].hash) = old[i];
    map->count = count;
}

void *map_get_bytes(const Map *map, const void *key, size_t size) {
    const Entry *entry = find(map, key, size, hash64(key, size));
    return entry->key ? entry->value : NULL;
}

void **map_at_bytes(Map *map, const void *key, size_t size) {
    uint64_t hash = hash64(key, size);
    Entry *entry = find(map, key, size, hash);
    if (!entry->key) {
        if (2 * (map->count + 1) > map->capacity) {
            grow(map);
            entry = find(map, key, size, hash);
        }
        map->count++;
        *entry = (Entry){arena_strndup(map->arena, key, size), size, hash, NULL};
    }
    return &entry->value;
}

void map_put_bytes(Map *map, const void *key, size_t size, void *value) {
    *map_at_bytes(map, key, size) = value;
}

void *map_get(const Map *map, const char *key) { return map_get_bytes(map, key, strlen(key)); }

void map_put(Map *map, const char *key, void *value) {
    map_put_bytes(map, key, strlen(key), value);
}
