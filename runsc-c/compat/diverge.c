/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first difference of two traces. Threads are paired in the order in which they appear, calls
 * of a pair by their position. Two calls are the same when name and errno agree, and the results
 * too where a result is a fact and no address, process id or time. Of all pairs of threads the
 * divergence that comes first natively is taken; when there is none, data that was read is
 * compared.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runsc-c/compat/trace.h"

#define ROWS_BEFORE 14
#define ROWS_AFTER  26

/* The events of one thread. */
struct lane {
    const struct trace *trace;
    unsigned *at; /* owned; indices of events */
    unsigned count;
};

static int lane_init(struct lane *l, const struct trace *t, unsigned thread)
{
    *l = (struct lane){.trace = t, .at = malloc((trace_count(t) + 1) * sizeof(*l->at))};
    if (!l->at)
        return -1;
    for (unsigned i = 0; i < trace_count(t); i++) {
        const struct trace_event *e = trace_at(t, i);

        /* strace sees the program being started; a sandbox starts with its first instruction. */
        if (e->thread == thread && !(thread == 0 && l->count == 0 && !strcmp(e->name, "execve")))
            l->at[l->count++] = i;
    }
    return 0;
}

static const struct trace_event *lane_get(const struct lane *l, unsigned i)
{
    return i < l->count ? trace_at(l->trace, l->at[i]) : NULL;
}

/* Calls whose result differs from run to run on one kernel. */
static bool result_varies(const char *name)
{
    static const char *const names[] = {"getpid",
                                        "gettid",
                                        "getppid",
                                        "clone",
                                        "clone3",
                                        "fork",
                                        "vfork",
                                        "wait4",
                                        "waitid",
                                        "getpgrp",
                                        "getpgid",
                                        "getsid",
                                        "setsid",
                                        "brk",
                                        "mmap",
                                        "mremap",
                                        "shmat",
                                        "shmget",
                                        "semget",
                                        "msgget",
                                        "time",
                                        "times",
                                        "futex",
                                        "poll",
                                        "select",
                                        "ppoll",
                                        "pselect6",
                                        "epoll_wait",
                                        "epoll_pwait",
                                        "set_tid_address",
                                        "rt_sigreturn",
                                        "getcpu",
                                        "getrandom",
                                        "sched_getaffinity",
                                        NULL};

    for (size_t i = 0; names[i]; i++) {
        if (!strcmp(names[i], name))
            return true;
    }
    return false;
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

enum pass { PASS_CALLS, PASS_MISSING, PASS_DATA, PASS_COUNT };

static const char *const g_pass_texts[PASS_COUNT] = {
    [PASS_CALLS] = "the first call that differs in name, errno or result",
    [PASS_MISSING] = "only calls that the sandbox does not have differ; this is the first",
    [PASS_DATA] = "the same calls, but other data was read",
};

static bool same_call(const struct trace_event *a, const struct trace_event *b, enum pass pass)
{
    if (!a || !b)
        return a == b;
    if (pass == PASS_CALLS && !strcmp(a->name, b->name) && !strcmp(or_empty(b->error), "ENOSYS"))
        return true;
    if (strcmp(a->name, b->name) || strcmp(or_empty(a->error), or_empty(b->error)))
        return false;
    if (a->error || !a->has_ret || !b->has_ret || result_varies(a->name))
        return true;
    return a->ret == b->ret;
}

/* The first string argument, which for a read is what was read. */
static bool same_data(const struct trace_event *a, const struct trace_event *b)
{
    const char *x = strchr(a->text, '"'), *y = strchr(b->text, '"');
    size_t n, m;

    if (!x || !y ||
        (strncmp(a->name, "read", 4) && strcmp(a->name, "pread64") && strncmp(a->name, "get", 3) &&
         strncmp(a->name, "recv", 4)))
        return true;
    n = strcspn(x + 1, "\"");
    m = strcspn(y + 1, "\"");
    n = MIN(MIN(n, m), 32u);
    return strncmp(x + 1, y + 1, n) == 0;
}

/* Index in the lanes, or the longer one's length when they agree. */
static unsigned first_difference(const struct lane *a, const struct lane *b, enum pass pass)
{
    unsigned i = 0, n = MAX(a->count, b->count);

    while (i < n && same_call(lane_get(a, i), lane_get(b, i), pass) &&
           (pass != PASS_DATA || same_data(lane_get(a, i), lane_get(b, i))))
        i++;
    return i;
}

static json_t *rows(const struct lane *l, unsigned from, unsigned to)
{
    json_t *list = json_array();

    for (unsigned i = from; i < to && i < l->count; i++) {
        const char *text = lane_get(l, i)->text;

        json_array_append_new(list, text_visible(text, strlen(text), TRACE_TEXT));
    }
    return list;
}

/* Which rows agree. */
static json_t *row_marks(const struct lane *a, const struct lane *b, unsigned from, unsigned to)
{
    json_t *list = json_array();

    for (unsigned i = from; i < to && i < MAX(a->count, b->count); i++)
        json_array_append_new(
            list, json_boolean(same_call(lane_get(a, i), lane_get(b, i), PASS_MISSING)));
    return list;
}

static json_t *describe(const struct lane *a, const struct lane *b, unsigned thread, unsigned at,
                        const char *text)
{
    unsigned from = at > ROWS_BEFORE ? at - ROWS_BEFORE : 0;

    return json_pack("{s:s, s:i, s:i, s:i, s:o, s:o, s:o}", "text", text, "thread", (int)thread,
                     "first", (int)from + 1, "at", (int)(at - from), "native",
                     rows(a, from, at + ROWS_AFTER), "sandbox", rows(b, from, at + ROWS_AFTER),
                     "same", row_marks(a, b, from, at + ROWS_AFTER));
}

/* The best pair of threads; NULL when all agree. */
static json_t *search(const struct trace *native, const struct trace *sandbox, enum pass pass)
{
    unsigned threads = MAX(trace_threads(native), trace_threads(sandbox));
    unsigned best = trace_count(native) + 1;
    json_t *found = NULL;

    for (unsigned thread = 0; thread < threads; thread++) {
        struct lane a, b = {0};
        unsigned at, when;

        if (lane_init(&a, native, thread) < 0 || lane_init(&b, sandbox, thread) < 0) {
            free(a.at);
            break;
        }
        at = first_difference(&a, &b, pass);
        when = at < a.count ? a.at[at] : trace_count(native);
        if (at < MAX(a.count, b.count) && when < best) {
            json_decref(found);
            best = when;
            found = describe(&a, &b, thread, at, g_pass_texts[pass]);
        }
        free(a.at);
        free(b.at);
    }
    return found;
}

json_t *trace_diverge(const struct trace *native, const struct trace *sandbox)
{
    json_t *found = NULL;

    for (int pass = 0; !found && pass < PASS_COUNT; pass++)
        found = search(native, sandbox, (enum pass)pass);
    return found ? found
                 : json_pack("{s:s}", "text",
                             "both sides make the same calls with the same results; the difference "
                             "is in data or in time");
}
