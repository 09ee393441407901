// SPDX-License-Identifier: MIT
// The manual page, and what it is made of.
#ifndef NNC_CLI_MANUAL_H
#define NNC_CLI_MANUAL_H

#include "cli/cli.h"

#include <argp.h>

typedef struct OptionRow {
    unsigned commands; // bits 1 << CMD_TRAIN ..
    struct argp_option option;
} OptionRow;

// cli/options.c
const OptionRow *option_rows(int *count);
const char *command_arguments(CommandId command);   // FILE
const char *command_description(CommandId command); // sentences
// cli/main.c
const char *command_name(CommandId command);

void manual_print(FILE *to); // in mdoc

#endif
