// SPDX-License-Identifier: MIT
// A compiled network that steps when it is told to, for compare.py:
//
//     nnc_steps FILE BATCH THREADS FOLDER
//
// writes the initial parameters and the batch that it trains on to FOLDER, and a list of them to
// FOLDER/start.json. Then it says {"ready":true}, and answers each number of steps on its standard
// input, when they are done, with the time that they took and the loss before the last one:
//
//     100
//     {"seconds":0.25,"loss":2.1}
#include "cli/trainer.h"
#include "columns.h"
#include "json.h"
#include "support/samples.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool write_values(const char *path, const void *values, size_t bytes) {
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(values, 1, bytes, file) == bytes;
    written = file && fclose(file) == 0 && written;
    if (!written) report("%s cannot be written: %s", path, strerror(errno));
    return written;
}

// One array of four-byte numbers: a file, and an entry in the list.
static bool write_array(const Trainer *net, FILE *list, const char *folder, const char *name,
                        const char *kind, int rank, const long long *extent, const void *values) {
    long long count = 1;
    fprintf(list, "{\"name\":");
    nnc_json_write_string(list, name);
    fprintf(list, ",\"kind\":\"%s\",\"shape\":[", kind);
    for (int axis = 0; axis < rank; axis++) {
        fprintf(list, "%s%lld", axis ? "," : "", extent[axis]);
        count *= extent[axis];
    }
    fprintf(list, "]}");
    return write_values(arena_printf(net->settings.arena, "%s/%s.bin", folder, name), values,
                        4 * (size_t)count);
}

static bool write_start(const Trainer *net, const char *folder) {
    const NncProgram *program = &net->compiled->program;
    const char *path = arena_printf(net->settings.arena, "%s/start.json", folder);
    FILE *list = fopen(path, "w");
    if (!list) return report("%s cannot be written: %s", path, strerror(errno)), false;
    bool written = true;
    fprintf(list, "[");
    for (int i = 0; i < program->input_count; i++) {
        const NncColumn *column = &program->input[i];
        written &=
            write_array(net, list, folder, column->name, column->is_target ? "target" : "input",
                        column->rank, column->extent, net->batch + column->offset);
        fprintf(list, ",\n");
    }
    for (int i = 0, count = 0; i < program->tensor_count; i++) {
        const NncTensor *tensor = &program->tensor[i];
        if (tensor->kind != NNC_PARAMETER) continue;
        fprintf(list, "%s", count++ ? ",\n" : "");
        written &= write_array(net, list, folder, tensor->name, "parameter", tensor->rank,
                               tensor->extent, net->session.state + tensor->offset);
    }
    fprintf(list, "]\n");
    return fclose(list) == 0 && written;
}

static void answer(Trainer *net) {
    char line[64];
    printf("{\"ready\":true}\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        double begin = clock_seconds(), loss = 0;
        for (long i = 0, steps = strtol(line, NULL, 10); i < steps; i++)
            loss = trainer_step(net);
        printf("{\"seconds\":%.9g,\"loss\":%.9g}\n", clock_seconds() - begin, loss);
        fflush(stdout);
    }
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "Usage: %s FILE BATCH THREADS FOLDER\n", argv[0]);
        return EXIT_USAGE_ERROR;
    }
    Trainer *net = trainer_open(&(Settings){.file = argv[1],
                                            .jit.tier = JIT_NATIVE,
                                            .elab.batch = atoi(argv[2]),
                                            .run.threads = atoi(argv[3])});
    if (!net) return EXIT_USER;
    trainer_start(net);
    bool written = write_start(net, argv[4]);
    if (written) answer(net);
    trainer_free(net);
    return written ? EXIT_DONE : EXIT_USER;
}
