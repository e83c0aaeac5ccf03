/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model of a system call table: what x86_64.tbl says, after every check that can be made
 * without the rest of the program. Host tool code: no part of it runs in the sandbox.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TABLE_MAX_ROWS   600
#define TABLE_MAX_ARGS   6
#define TABLE_MAX_RANGES 8
#define TABLE_NAME_SIZE  32
#define TABLE_NOTE_SIZE  96

enum arg_type {
    ARG_INT,
    ARG_UINT,
    ARG_LONG,
    ARG_ULONG,
    ARG_SIZE,
    ARG_UADDR,
    ARG_OFF,
    ARG_PID,
    ARG_UID,
    ARG_GID,
    ARG_MODE,
    ARG_FD,
    ARG_DIRFD,
    ARG_PATH,
    ARG_STR,
    ARG_PTR,
    ARG_TYPE_COUNT,
};

enum arg_dir { DIR_IN, DIR_OUT, DIR_INOUT, DIR_NONE };

#define COUNT_NONE (-1) /* one object */
#define COUNT_RET  (-2) /* the result says how many */

enum row_status { STATUS_IMPL, STATUS_PARTIAL, STATUS_STUB, STATUS_NONE };

#define ATTR_BLOCK    1u /* may sleep */
#define ATTR_RESTART  2u /* an interrupted sleep may be restarted */
#define ATTR_NORETURN 4u /* its result never reaches the caller */

struct arg {
    enum arg_type type;
    char name[TABLE_NAME_SIZE];
    char hint[TABLE_NAME_SIZE]; /* pointer kind, built-in scalar or flag file; "" without */
    enum arg_dir dir;
    int count; /* index of the argument that holds the number of elements, or COUNT_* */
};

struct row {
    int line;
    int nr;
    char name[TABLE_NAME_SIZE];
    enum row_status status;
    char stub_errno[TABLE_NAME_SIZE]; /* "ENOSYS" */
    int arg_count;
    struct arg args[TABLE_MAX_ARGS];
    char ret[TABLE_NAME_SIZE];
    unsigned attrs;
    char family[TABLE_NAME_SIZE];
    char note[TABLE_NOTE_SIZE]; /* "" for "-" */
};

struct table {
    const char *file;
    int row_count;
    struct row rows[TABLE_MAX_ROWS]; /* sorted by number */
    int range_count;
    struct {
        int first, last;
    } ranges[TABLE_MAX_RANGES];
    int error_count;
    FILE *err; /* where "file:line: message" goes */
};

/* Reads the whole table. Returns false when anything was wrong; every error was printed with
 * file and line. t needs no initialisation. */
bool table_parse(struct table *t, const char *file, FILE *in, FILE *err);

const char *arg_type_name(enum arg_type type);
const char *arg_type_c(enum arg_type type);
const char *row_status_name(enum row_status status);
/* A pointer kind or built-in scalar of kinds.def? */
bool kind_is_pointer(const char *hint);
bool kind_is_scalar(const char *hint);
