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
     * bare `--name` or `--name=true`, to NULL for `--name=false`. */
    void *value;
    const char *help;
};

/* Parses from argv[*index]; stops at the first operand or after `--`, leaving *index there. */
int options_parse(const struct option_def *defs, int argc, char **argv, int *index, struct err *e);
/* The same, but options may also stand behind operands: those are moved behind all options. */
int options_parse_anywhere(const struct option_def *defs, int argc, char **argv, int *index,
                           struct err *e);
/* One option by its long name: value as behind `--name=`, kept as it is. 1 when there is no such option. */
int options_set(const struct option_def *defs, const char *name, const char *value, struct err *e);
/* Writes the option table for --help to stdout. */
void options_help(const struct option_def *defs);
/* Checks the number of operands, in runc's words. */
int options_operands(const char *command, int count, int min, int max, struct err *e);
/* For a command without options of its own (--help apart): *argc and *argv become the operands. -1
 * with *e set, or with e->msg empty when the help was shown. */
int options_only_operands(const char *command, const char *operands, const char *what, int *argc,
                          char ***argv, int min, int max, struct err *e);
