// SPDX-License-Identifier: MIT
// Hash map from bytes to a pointer, in an arena (open addressing). Keys are copied.
#ifndef NNC_SUPPORT_MAP_H
#define NNC_SUPPORT_MAP_H

#include "support/arena.h"
#include <stdbool.h>

typedef struct Map Map;

Map *map_new(Arena *arena);
void *map_get(const Map *map, const char *key);          // NULL where absent
void map_put(Map *map, const char *key, void *value);    // replaces
void *map_get_bytes(const Map *map, const void *key, size_t size);
void map_put_bytes(Map *map, const void *key, size_t size, void *value);
// Where the key's value is, NULL of a key that was absent, until another one is put.
void **map_at_bytes(Map *map, const void *key, size_t size);

#endif
