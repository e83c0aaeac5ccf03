/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Option parser shared by all commands. Understands `--name value`, `--name=value`, `-name value`
 * (as Go's flag package, which containerd's shim uses), `-x value`, `-xvalue` for one-letter
 * options and `--` as the end of options.
 */
#pragma once

#include "platform/base/compiler.h"
#include "runsc-c/support/err.h"

enum option_kind { OPTION_FLAG, OPTION_STRING, OPTION_INT, OPTION_LIST, OPTION_OPTIONAL };

struct option_list {
    const char **items;
    size_t count;
};

struct option_def {
    const char *name; /* long name; NULL ends the table */
    char letter;      /* or 0 */
    enum option_kind kind;
    /* bool *, const char **, long *, struct option_list *; OPTIONAL: const char **, set to "" for a
     * bare `--name`. */
    void *value;
    const char *help;
};

/* Parses from argv[*index]; stops at the first operand or after `--`, leaving *index there. */
int options_parse(const struct option_def *defs, int argc, char **argv, int *index, struct err *e);
/* Writes the option table for --help to stdout. */
void options_help(const struct option_def *defs);
