/* SPDX-License-Identifier: Apache-2.0 */
/* One run of one program on one side, with everything that it writes held within bounds. */
#pragma once

#include "runsc-c/compat/compat.h"

#define SIDE_STREAM_MAX (4u << 20) /* bytes kept of each stream; the rest is counted */

/* Receives one chunk of a trace. */
typedef void side_trace_fn(void *arg, const char *data, size_t size);

struct side_stream {
    char *data; /* owned */
    size_t size, cap;
    uint64_t total; /* what the program wrote; more than size when it was cut */
};

/* Lifetime: side_run to side_result_destroy. */
struct side_result {
    int status;     /* exit code, 128 + n when signal n ended it */
    bool timed_out; /* was ended by us */
    bool launched;  /* false: the runtime could not run it; stderr says why */
    double seconds; /* until the first process ended */
    struct side_stream out, err;
};

struct side_request {
    const json_t *program;
    const char *platform; /* NULL: natively */
    const char *work;     /* existing empty directory */
    bool native_strace;   /* natively below strace -f */
    double timeout;
    side_trace_fn *trace; /* or NULL: no trace */
    void *trace_arg;
};

/* Runs the program to its end. The caller must be a child subreaper with no other children: what
 * the program leaves running is ended and reaped. -ENOMEM and errors of fork and pipe. */
int MUST_CHECK side_run(const struct side_request *rq, struct side_result *out);
void side_result_destroy(struct side_result *r);
