/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flag files (flags/NAME.in): the names that --strace prints for an integer argument.
 *
 *   # comment
 *   @bits            the lines that follow are independent bits (this is how a file starts)
 *   @field 0x3       the lines that follow are values of the field under this mask
 *   @enum            the lines that follow are whole values
 *   O_CREAT 0100     a name and its value: decimal, 0x hexadecimal or 0 octal
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define FLAGSET_MAX_FLAGS 256
#define FLAGSET_NAME_SIZE 64

struct flag {
    char name[FLAGSET_NAME_SIZE];
    uint64_t value;
    uint64_t mask; /* the value is present when (v & mask) == value */
};

struct flagset {
    int flag_count;
    struct flag flags[FLAGSET_MAX_FLAGS];
};

/* False when anything was wrong; every error was printed to err as file:line: message. */
bool flagset_parse(struct flagset *s, const char *file, FILE *in, FILE *err);
