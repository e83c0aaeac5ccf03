/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading traces while they are written: a chunk at a time, a line at a time. Memory is bounded by
 * TRACE_EVENTS lines of TRACE_TEXT bytes and MAX_LINE for the line that is not complete yet; the
 * guest chooses what is in them.
 */
#include "runsc-c/compat/trace.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "syscall-table/syscall_info.h"

#define MAX_LINE    16384
#define MAX_THREADS 1024

struct open_call {
    char *begin; /* owned: a line of strace that ends in <unfinished ...>, without that */
};

struct trace {
    enum trace_format format;
    struct trace_event *events;
    unsigned count, threads;
    long tids[MAX_THREADS];
    struct open_call open[MAX_THREADS];
    json_t *calls; /* name -> {count, errors} */
    size_t line_size;
    bool line_too_long;
    char line[MAX_LINE];
};

struct trace *trace_new(enum trace_format format)
{
    struct trace *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->format = format;
    t->calls = json_object();
    t->events = calloc(TRACE_EVENTS, sizeof(*t->events));
    if (!t->calls || !t->events) {
        trace_free(t);
        return NULL;
    }
    return t;
}

void trace_free(struct trace *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < t->count; i++) {
        free(t->events[i].name);
        free(t->events[i].text);
        free(t->events[i].error);
    }
    for (unsigned i = 0; i < t->threads; i++)
        free(t->open[i].begin);
    free(t->events);
    json_decref(t->calls);
    free(t);
}

unsigned trace_count(const struct trace *t)
{
    return t->count;
}

unsigned trace_threads(const struct trace *t)
{
    return t->threads;
}

const struct trace_event *trace_at(const struct trace *t, unsigned index)
{
    return &t->events[index];
}

static unsigned thread_index(struct trace *t, long tid)
{
    for (unsigned i = 0; i < t->threads; i++) {
        if (t->tids[i] == tid)
            return i;
    }
    if (t->threads == MAX_THREADS)
        return MAX_THREADS - 1; /* the rest are shown as one */
    t->tids[t->threads] = tid;
    return t->threads++;
}

static void count_call(struct trace *t, const char *name, bool failed)
{
    json_t *entry = json_object_get(t->calls, name);

    if (!entry) {
        entry = json_pack("{s:i, s:i}", "count", 0, "errors", 0);
        if (!entry || json_object_set_new(t->calls, name, entry) < 0)
            return;
    }
    json_integer_set(json_object_get(entry, "count"),
                     json_integer_value(json_object_get(entry, "count")) + 1);
    if (failed)
        json_integer_set(json_object_get(entry, "errors"),
                         json_integer_value(json_object_get(entry, "errors")) + 1);
}

/* Copies what it is given. */
static void add_event(struct trace *t, const struct trace_event *event)
{
    struct trace_event *e = &t->events[t->count];

    count_call(t, event->name, event->error != NULL);
    if (t->count == TRACE_EVENTS)
        return;
    *e = *event;
    e->name = strdup(event->name);
    e->text = strndup(event->text, TRACE_TEXT);
    e->error = event->error ? strdup(event->error) : NULL;
    if (!e->name || !e->text || (event->error && !e->error)) {
        free(e->name);
        free(e->text);
        free(e->error);
        return;
    }
    t->count++;
}

/* ---- ours ------------------------------------------------------------------------------------ */

static void add_json_line(struct trace *t, const char *line, size_t size)
{
    json_t *v = json_loadb(line, size, 0, NULL), *arg;
    char text[TRACE_TEXT + 1];
    const char *key, *comma = "";
    const char *call = json_string_value(json_object_get(v, "call"));
    const char *result = json_string_value(json_object_get(v, "result"));
    struct trace_event event = {0};
    size_t at;

    if (!call) {
        json_decref(v);
        return;
    }
    at = (size_t)snprintf(text, sizeof(text), "%.40s(", call);
    json_object_foreach(json_object_get(v, "args"), key, arg)
    {
        if (at < sizeof(text))
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s", comma,
                                   json_string_value(arg));
        comma = ", ";
    }
    if (at < sizeof(text))
        snprintf(text + at, sizeof(text) - at, ") = %s", result ? result : "?");
    /* SAFETY: add_event copies them. */
    event.name = (char *)(uintptr_t)call;
    event.text = text;
    event.error = (char *)(uintptr_t)json_string_value(json_object_get(v, "errno"));
    event.has_ret = json_is_integer(json_object_get(v, "ret"));
    event.ret = (long)json_integer_value(json_object_get(v, "ret"));
    event.thread = thread_index(t, (long)json_integer_value(json_object_get(v, "tid")));
    add_event(t, &event);
    json_decref(v);
}

/* ---- strace's -------------------------------------------------------------------------------- */

/* A whole call: "name(args) = result". */
static void add_strace_call(struct trace *t, unsigned thread, char *line)
{
    char name[64], error[32] = "";
    size_t len = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789_");
    char *result = NULL, *end;
    struct trace_event event = {.thread = thread, .name = name, .text = line};

    if (len == 0 || len >= sizeof(name) || line[len] != '(')
        return;
    memcpy(name, line, len);
    name[len] = '\0';
    for (char *p = line; (p = strstr(p, ") ")); p++) {
        char *equals = p + 1 + strspn(p + 1, " ");

        if (equals[0] == '=' && equals[1] == ' ')
            result = equals + 2; /* the last one: strings may hold the same */
    }
    if (result && (isdigit((unsigned char)*result) || *result == '-')) {
        event.ret = strtol(result, &end, 0);
        event.has_ret = true;
        if (event.ret == -1 && sscanf(end, " %31[A-Z0-9]", error) == 1 && error[0] == 'E')
            event.error = error;
    } else if (result && sscanf(result, "? %31[A-Z0-9]", error) == 1 && error[0] == 'E') {
        event.error = error;
    }
    add_event(t, &event);
}

static void add_strace_line(struct trace *t, char *line)
{
    char *at = line, *mark;
    long tid = strtol(line, &at, 10);
    unsigned thread = thread_index(t, at == line ? 0 : tid);
    char whole[MAX_LINE];

    at += strspn(at, " ");
    mark = strstr(at, " <unfinished ...>");
    if (mark && isalpha((unsigned char)*at)) {
        *mark = '\0';
        free(t->open[thread].begin);
        t->open[thread].begin = strdup(at);
        return;
    }
    if (strncmp(at, "<... ", 5) == 0 && (mark = strstr(at, " resumed>")) && t->open[thread].begin) {
        snprintf(whole, sizeof(whole), "%s%s", t->open[thread].begin, mark + strlen(" resumed>"));
        free(t->open[thread].begin);
        t->open[thread].begin = NULL;
        add_strace_call(t, thread, whole);
        return;
    }
    if (isalpha((unsigned char)*at))
        add_strace_call(t, thread, at);
}

/* ---- both ------------------------------------------------------------------------------------ */

static void end_line(struct trace *t)
{
    t->line[t->line_size] = '\0';
    if (t->line_size > 0 && !t->line_too_long) {
        if (t->format == TRACE_JSON)
            add_json_line(t, t->line, t->line_size);
        else
            add_strace_line(t, t->line);
    }
    t->line_size = 0;
    t->line_too_long = false;
}

void trace_add(void *arg, const char *data, size_t size)
{
    struct trace *t = arg;

    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n')
            end_line(t);
        else if (t->line_size < MAX_LINE - 1)
            t->line[t->line_size++] = data[i];
        else
            t->line_too_long = true;
    }
}

static int by_count(const void *a, const void *b)
{
    json_t *const *x = a, *const *y = b;
    json_int_t n = json_integer_value(json_object_get(*x, "count"));
    json_int_t m = json_integer_value(json_object_get(*y, "count"));

    return n < m ? 1 : n > m ? -1 : 0;
}

static const struct syscall_info *find_info(const char *name)
{
    for (unsigned i = 0; i < g_syscall_info_count; i++) {
        if (strcmp(g_syscall_infos[i].name, name) == 0)
            return &g_syscall_infos[i];
    }
    return NULL;
}

json_t *trace_calls(const struct trace *t)
{
    size_t count = json_object_size(t->calls), n = 0;
    json_t **list = calloc(count + 1, sizeof(*list)), *out = json_array(), *entry;
    const char *name;

    json_object_foreach(t->calls, name, entry)
    {
        const struct syscall_info *info = find_info(name);

        if (list && n < count)
            list[n++] = json_pack(
                "{s:s, s:O, s:O, s:s, s:s}", "name", name, "count", json_object_get(entry, "count"),
                "errors", json_object_get(entry, "errors"), "status", info ? info->status : "none",
                "note", info ? info->note : "no such system call");
    }
    if (list)
        qsort(list, n, sizeof(*list), by_count);
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, list[i]);
    free(list);
    return out;
}
