/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runsc-c compat: the same programs on Linux and in sandboxes. The way of a program:
 *
 *   suite.c (what to run) -> pool.c (a worker process each) -> side.c (one run of one side)
 *     -> compare.c (streams), tree.c (files), trace.c (system calls), diverge.c (first difference)
 *     -> one JSON object -> report_text.c, report_html.c, and the JSON file itself
 *
 * Everything is a json_t: what a worker sends is what the reports read, and what --json writes.
 * Output, file names and traces of the programs are hostile: they are bounded where they are read
 * (side.h), made printable where they enter JSON (text_visible) and escaped where they enter HTML.
 */
#pragma once

#include <jansson.h>

#include "platform/base/compiler.h"
#include "runsc-c/support/err.h"

#define COMPAT_MAX_PLATFORMS 8

struct compat_options {
    const char *suite;                               /* directory or manifest */
    const char *platforms[COMPAT_MAX_PLATFORMS + 1]; /* NULL-terminated; empty with --native */
    const char *report, *json, *expected;            /* paths or NULL */
    long timeout;                                    /* seconds a run, unless the program says */
    long jobs;
};

/* Verdicts, in the order of the reports. "expected" is a property beside the verdict. */
#define COMPAT_VERDICTS 5
extern const char *const g_compat_verdicts[COMPAT_VERDICTS]; /* pass differ fail skip timeout */

/* What to run: {"name", "programs": [{name, argv, env, cwd, stdin, timeout, status, files, stderr,
 * normalise}]}, checked and complete (README.md has the format). NULL on error. */
json_t *suite_load(const char *path, struct err *e);

/* Runs all programs, jobs at a time; *out is {"suite", "platforms", "programs": [...]}. The text
 * lines are written as programs end. */
int pool_run(const struct compat_options *o, const json_t *suite, json_t **out, struct err *e);

/* One program on every side: the object that README.md describes. Runs in a worker process. */
json_t *program_run(const struct compat_options *o, const json_t *program, const char *scratch);

/* Errors of the list (or NULL), before minutes are spent on programs. */
int expected_check(const char *path, struct err *e);
/* Marks expected differences of the list in o->expected, and adds "unexpected_passes". */
int expected_apply(const char *path, json_t *result, struct err *e);
/* True when nothing differs beyond the list. */
bool result_is_clean(const json_t *result);
/* Adds "totals": {platform: {verdict: count}}. */
int result_count(json_t *result);

/* One line for a program; the closing lines. */
void text_program(const json_t *program);
void text_summary(const json_t *result);
/* One self-contained page. */
int html_write(const json_t *result, const char *path, struct err *e);

/* Bytes as JSON text: printable UTF-8, newline and tab stay, all else becomes \xNN. At most max
 * bytes are used. New reference. */
json_t *text_visible(const char *data, size_t size, size_t max);
