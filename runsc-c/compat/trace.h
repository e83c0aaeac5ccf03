/* SPDX-License-Identifier: Apache-2.0 */
/* Traces of system calls: ours in JSON, strace's in text, as one list of events. */
#pragma once

#include "runsc-c/compat/compat.h"

#define TRACE_EVENTS 20000 /* kept; beyond that calls are only counted */
#define TRACE_TEXT   240   /* bytes of a line that are kept */

struct trace_event {
    char *name;  /* owned; the call */
    char *text;  /* owned; the line, printable */
    char *error; /* owned; errno's name or NULL */
    long ret;
    bool has_ret;    /* it returned a number */
    unsigned thread; /* index in order of appearance */
};

/* Lifetime: trace_new to trace_free. One thread. */
struct trace;

enum trace_format { TRACE_JSON, TRACE_STRACE };

/* NULL: out of memory. */
struct trace *trace_new(enum trace_format format);
void trace_free(struct trace *t);
/* A side_trace_fn: arg is the trace. Lines that do not parse are left out. */
void trace_add(void *arg, const char *data, size_t size);

unsigned trace_count(const struct trace *t);
unsigned trace_threads(const struct trace *t);
const struct trace_event *trace_at(const struct trace *t, unsigned index);
/* The calls used: [{name, count, errors, status, note}], most frequent first. New reference. */
json_t *trace_calls(const struct trace *t);

/* The first difference of two traces: {"text", "thread", "at", "native": [lines], "sandbox":
 * [lines]}, where line `at` is the one that differs; {"text"} alone when there is none. New
 * reference. */
json_t *trace_diverge(const struct trace *native, const struct trace *sandbox);
