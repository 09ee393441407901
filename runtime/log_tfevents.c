// SPDX-License-Identifier: MIT
// Event files, as TensorBoard reads them: TFRecord frames around Event messages of protobuf.
// Written by hand, since a frame is two checksums and of the message four fields are needed:
//
//     frame   = length: u64, masked crc32c of it: u32, message, masked crc32c of that: u32
//     Event   = 1 wall_time: double, 2 step: int64, 3 file_version: string, 5 summary: Summary
//     Summary = 1 value: Value, any number      Value = 1 tag: string, 2 simple_value: float
//
// (tensorflow/core/util/event.proto, framework/summary.proto, lib/hash/crc32c.h.) Numbers are
// little endian, whatever the machine is.
#include "log.h"
#include <math.h>
#include <string.h>

enum { MOST_BYTES = 1 << 10, FRAME = 12, WALL_TIME = 9, BYTES = 2 }; // BYTES: the wire type

typedef struct Bytes {
    unsigned char at[MOST_BYTES];
    size_t count;
} Bytes;

static void add(Bytes *to, const void *bytes, size_t count) {
    if (count > MOST_BYTES - to->count) return;
    memcpy(to->at + to->count, bytes, count);
    to->count += count;
}

static void add_fixed(Bytes *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        add(to, &(unsigned char){(unsigned char)(value >> (8 * i))}, 1);
}

static void add_varint(Bytes *to, uint64_t value) {
    for (; value >= 0x80; value >>= 7)
        add_fixed(to, (value & 0x7f) | 0x80, 1);
    add_fixed(to, value, 1);
}

static void add_key(Bytes *to, int field, int type) {
    add_varint(to, (uint64_t)field << 3 | (uint64_t)type);
}

static void add_block(Bytes *to, int field, const void *bytes, size_t count) {
    add_key(to, field, BYTES);
    add_varint(to, count);
    add(to, bytes, count);
}

// The polynomial of Castagnoli, bit by bit: a summary has a few hundred bytes.
static uint32_t masked_crc(const unsigned char *bytes, size_t count) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void write_frame(FILE *file, const Bytes *message) {
    Bytes head = {.count = 0}, foot = {.count = 0};
    add_fixed(&head, message->count, 8);
    add_fixed(&head, masked_crc(head.at, 8), 4);
    add_fixed(&foot, masked_crc(message->at, message->count), 4);
    fwrite(head.at, 1, head.count, file);
    fwrite(message->at, 1, message->count, file);
    fwrite(foot.at, 1, foot.count, file);
}

static void begin_event(Bytes *event, double wall_time) {
    uint64_t bits;
    memcpy(&bits, &wall_time, sizeof bits);
    event->count = 0;
    add_key(event, 1, 1);
    add_fixed(event, bits, 8);
}

void nnc_tfevents_begin(FILE *file) {
    static const char version[] = "brain.Event:2";
    Bytes event;
    begin_event(&event, 0);
    add_block(&event, 3, version, sizeof version - 1);
    write_frame(file, &event);
}

// An event for each value: so one has a greatest length, however many metrics there are.
typedef struct Writer {
    FILE *file;
    double wall_time;
    long long step;
} Writer;

static void write_value(const Writer *writer, const char *group, const char *name, double number) {
    char tag[300];
    uint32_t bits;
    Bytes event, summary = {.count = 0}, value = {.count = 0};
    float real = (float)number;
    if (isnan(number)) return;
    memcpy(&bits, &real, sizeof bits);
    snprintf(tag, sizeof tag, "%s/%s", group, name);
    add_block(&value, 1, tag, strlen(tag));
    add_key(&value, 2, 5);
    add_fixed(&value, bits, 4);
    add_block(&summary, 1, value.at, value.count);
    begin_event(&event, writer->wall_time);
    add_key(&event, 2, 0);
    add_varint(&event, (uint64_t)writer->step);
    add_block(&event, 5, summary.at, summary.count);
    write_frame(writer->file, &event);
}

static void write_scores(const Writer *writer, const char *group, const NncScores *scores) {
    for (int i = 0; scores && i < scores->count; i++)
        write_value(writer, group, scores->name[i], scores->value[i]);
}

void nnc_tfevents_write(FILE *file, const NncRecord *record, double wall_time) {
    const Writer writer = {file, wall_time, record->step};
    write_scores(&writer, record->event, record->train);
    write_scores(&writer, record->event, record->rates);
    write_value(&writer, record->event, "examples_per_second", record->examples_per_second);
    for (NncSplit split = NNC_SPLIT_TEST; record->board && split < NNC_ALL_SPLITS; split++)
        write_scores(&writer, nnc_split_name(split), &record->board->of[split]);
}

// --- Reading one's own

static uint64_t fixed_at(const unsigned char *bytes, int count) {
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static bool read_frame(FILE *file, Bytes *message) {
    unsigned char head[FRAME], foot[4];
    if (fread(head, 1, FRAME, file) != FRAME) return false;
    uint64_t count = fixed_at(head, 8);
    message->count = count < MOST_BYTES ? (size_t)count : 0;
    return message->count && fixed_at(head + 8, 4) == masked_crc(head, 8) &&
           fread(message->at, 1, message->count, file) == message->count &&
           fread(foot, 1, 4, file) == 4 &&
           fixed_at(foot, 4) == masked_crc(message->at, message->count);
}

// The step stands behind the wall time; 0 where there is none.
static long long step_of(const Bytes *event) {
    uint64_t step = 0;
    if (event->count <= WALL_TIME || event->at[WALL_TIME] != 2 << 3) return 0;
    for (size_t i = WALL_TIME + 1, shift = 0; i < event->count && shift < 63; i++, shift += 7) {
        step |= (uint64_t)(event->at[i] & 0x7f) << shift;
        if (event->at[i] < 0x80) break;
    }
    return (long long)step;
}

long nnc_tfevents_end(FILE *file, long long step) {
    Bytes event;
    long end = 0;
    while (read_frame(file, &event) && step_of(&event) <= step)
        end = ftell(file);
    return end;
}
