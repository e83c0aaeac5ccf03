/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine of --strace: keeps one call per guest thread, and writes lines.
 *
 * Arguments that the guest passes in are turned into text at entry, results and out arguments at
 * exit. A call that may block shows its first part at once; when another thread has something to
 * say meanwhile the line ends in "<unfinished ...>" and is taken up later with "<... name
 * resumed>". g_sink.open is the thread whose line has no end yet.
 *
 * Guest memory is copied before g_sink.lock is taken. Calls of a thread come from that thread only.
 */
#include "sentry/syscalls/strace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/lock.h"
#include "platform/host/file.h"
#include "sentry/core/clock.h"
#include "sentry/syscalls/strace_args.h"
#include "sentry/syscalls/strace_print.h"
#include "sentry/syscalls/strace_struct.h"

#define TEXT_SIZE     6144
#define LINE_SIZE     8192
#define RESULT_COLUMN 40
#define SYS_EXECVE    59

/* Lifetime: from the first event of a guest thread to its exit. Used by that thread only, but for
 * interrupted, which g_sink.lock guards. */
struct strace_thread {
    struct strace_call call; /* desc NULL: not in a call */
    uint64_t nr;
    uint64_t started; /* monotonic ns */
    size_t arg_at[6], arg_size[6];
    int shown;              /* arguments that the open line shows */
    bool open_shown;        /* the beginning was written, with or without its end */
    bool interrupted;       /* ... and somebody else ended it */
    struct strace_buf text; /* arguments, one after the other */
    struct strace_buf line;
    char text_data[TEXT_SIZE];
    char line_data[LINE_SIZE];
};

static struct {
    struct mutex lock;          /* rank LOG */
    int fd;                     /* I */
    bool json;                  /* I */
    struct strace_thread *open; /* lock */
    unsigned threads;           /* lock */
} g_sink;

static _Thread_local struct strace_thread *g_thread;

static const struct strace_syscall g_unknown = {
    .name = "syscall",
    .arg_count = 6,
    .ret = STRACE_RET_LONG,
    .args =
        {
            {.name = "a1", .type = STRACE_TYPE_ULONG, .kind = STRACE_KIND_HEX},
            {.name = "a2", .type = STRACE_TYPE_ULONG, .kind = STRACE_KIND_HEX},
            {.name = "a3", .type = STRACE_TYPE_ULONG, .kind = STRACE_KIND_HEX},
            {.name = "a4", .type = STRACE_TYPE_ULONG, .kind = STRACE_KIND_HEX},
            {.name = "a5", .type = STRACE_TYPE_ULONG, .kind = STRACE_KIND_HEX},
            {.name = "a6", .type = STRACE_TYPE_ULONG, .kind = STRACE_KIND_HEX},
        },
};

static struct strace_thread *thread_state(void)
{
    struct strace_thread *st = g_thread;

    if (st)
        return st;
    st = calloc(1, sizeof(*st));
    if (!st)
        return NULL;
    st->text = (struct strace_buf){.data = st->text_data, .cap = sizeof(st->text_data)};
    st->line = (struct strace_buf){.data = st->line_data, .cap = sizeof(st->line_data)};
    g_thread = st;
    mutex_lock(&g_sink.lock);
    g_sink.threads++;
    mutex_unlock(&g_sink.lock);
    return st;
}

static void buf_reset(struct strace_buf *b)
{
    b->len = 0;
    b->data[0] = '\0';
}

/* A trace that cannot be written is lost; the guest goes on. */
static void sink_write(const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = host_write(g_sink.fd, data, size);

        if (n == -EINTR)
            continue;
        if (n <= 0)
            return;
        data += n;
        size -= (size_t)n;
    }
}

static void put_prefix(struct strace_buf *b, struct task *t)
{
    if (g_sink.threads > 1)
        sprint(b, "[pid %5d] ", pid_nr(t->curr.tid));
}

/* Ends the open line of another thread. Caller holds g_sink.lock. */
static void sink_break_open_line(struct strace_thread *st)
{
    static const char mark[] = " <unfinished ...>\n";

    if (!g_sink.open || g_sink.open == st)
        return;
    g_sink.open->interrupted = true;
    g_sink.open = NULL;
    sink_write(mark, sizeof(mark) - 1);
}

/* ---- text ------------------------------------------------------------------------------------ */

static const char *call_name(const struct strace_thread *st, char buf[32])
{
    if (st->call.desc != &g_unknown)
        return st->call.desc->name;
    snprintf(buf, 32, "syscall_%#llx", (unsigned long long)st->nr);
    return buf;
}

/* Arguments [from, to) with what separates them from those before. */
static void put_args(struct strace_thread *st, int from, int to)
{
    for (int i = from; i < to; i++) {
        if (st->arg_size[i] == 0)
            continue;
        if (i > 0)
            sput(&st->line, ", ");
        for (size_t k = 0; k < st->arg_size[i]; k++)
            sputc(&st->line, st->text.data[st->arg_at[i] + k]);
    }
}

static void render_arg(struct strace_thread *st, int i, bool over, long ret)
{
    st->arg_at[i] = st->text.len;
    if (!strace_arg_hidden(&st->call, i))
        strace_arg_put(&st->text, &st->call, i, over, ret);
    st->arg_size[i] = st->text.len - st->arg_at[i];
}

/* Shows the beginning of a call that may take its time. */
static void show_open_line(struct task *t, struct strace_thread *st)
{
    char name[32];
    int n = 0;

    while (n < st->call.desc->arg_count && !strace_arg_late(&st->call, n))
        n++;
    st->shown = n;
    mutex_lock(&g_sink.lock);
    sink_break_open_line(st);
    buf_reset(&st->line);
    put_prefix(&st->line, t);
    sprint(&st->line, "%s(", call_name(st, name));
    put_args(st, 0, n);
    if (n < st->call.desc->arg_count && n > 0 && st->arg_size[n - 1])
        sput(&st->line, ", ");
    sink_write(st->line.data, st->line.len);
    g_sink.open = st;
    st->open_shown = true;
    mutex_unlock(&g_sink.lock);
}

static void put_rest_of_args(struct strace_thread *st)
{
    int n = st->shown;

    /* The separator before the first late argument is on the screen already. */
    if (n < st->call.desc->arg_count && n > 0 && st->arg_size[n - 1] && st->arg_size[n]) {
        for (size_t k = 0; k < st->arg_size[n]; k++)
            sputc(&st->line, st->text.data[st->arg_at[n] + k]);
        n++;
    }
    put_args(st, n, st->call.desc->arg_count);
}

static void put_result(struct strace_thread *st, size_t column, const struct strace_buf *result)
{
    sputc(&st->line, ')');
    for (column++; column < RESULT_COLUMN - 1; column++)
        sputc(&st->line, ' ');
    sprint(&st->line, " = %s", result->data);
}

static void write_text_exit(struct task *t, struct strace_thread *st, const struct strace_buf *res)
{
    size_t shown_columns = st->line.len;
    char name[32];

    mutex_lock(&g_sink.lock);
    sink_break_open_line(st);
    buf_reset(&st->line);
    if (st->open_shown && !st->interrupted) {
        put_rest_of_args(st);
        put_result(st, shown_columns + st->line.len, res);
    } else if (st->open_shown) {
        put_prefix(&st->line, t);
        sprint(&st->line, "<... %s resumed>", call_name(st, name));
        put_rest_of_args(st);
        put_result(st, st->line.len, res);
    } else {
        put_prefix(&st->line, t);
        sprint(&st->line, "%s(", call_name(st, name));
        put_args(st, 0, st->call.desc->arg_count);
        put_result(st, st->line.len, res);
    }
    if (st->line.len + 1 == st->line.cap)
        st->line.len--; /* cut, but ended */
    sputc(&st->line, '\n');
    sink_write(st->line.data, st->line.len);
    if (g_sink.open == st)
        g_sink.open = NULL;
    mutex_unlock(&g_sink.lock);
    st->open_shown = st->interrupted = false;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Decoders write printable ASCII only. */
static void put_json_text(struct strace_buf *b, const char *s, size_t size)
{
    sputc(b, '"');
    for (size_t i = 0; i < size; i++) {
        if (s[i] == '"' || s[i] == '\\')
            sputc(b, '\\');
        sputc(b, s[i]);
    }
    sputc(b, '"');
}

static void put_json_head(struct strace_buf *b, struct task *t)
{
    uint64_t now = clock_realtime();

    buf_reset(b);
    sprint(b, "{\"time\":%llu.%09llu,\"pid\":%d,\"tid\":%d",
           (unsigned long long)(now / NSEC_PER_SEC), (unsigned long long)(now % NSEC_PER_SEC),
           pid_nr(t->curr.tgid), pid_nr(t->curr.tid));
}

/* A line that did not fit is replaced by one that says so: readers get JSON in every case. */
static void write_json_line(struct task *t, struct strace_buf *b)
{
    if (b->len + 3 > b->cap) {
        put_json_head(b, t);
        sput(b, ",\"error\":\"line too long\"");
    }
    sput(b, "}\n");
    mutex_lock(&g_sink.lock);
    sink_write(b->data, b->len);
    mutex_unlock(&g_sink.lock);
}

static void write_json_exit(struct task *t, struct strace_thread *st, const long *ret,
                            const struct strace_buf *result)
{
    struct strace_buf *b = &st->line;
    const struct strace_syscall *d = st->call.desc;
    const char *comma = "";

    put_json_head(b, t);
    sprint(b, ",\"nr\":%llu,\"call\":\"%s\",\"args\":{", (unsigned long long)st->nr, d->name);
    for (int i = 0; i < d->arg_count; i++) {
        if (st->arg_size[i] == 0)
            continue;
        sprint(b, "%s\"%s\":", comma, d->args[i].name);
        put_json_text(b, st->text.data + st->arg_at[i], st->arg_size[i]);
        comma = ",";
    }
    sputc(b, '}');
    if (ret) {
        const char *error = strace_error_name(*ret);

        sprint(b, ",\"ret\":%ld", *ret);
        if (error)
            sprint(b, ",\"errno\":\"%s\"", error);
        sput(b, ",\"result\":");
        put_json_text(b, result->data, result->len);
    }
    sprint(b, ",\"ns\":%llu", (unsigned long long)(clock_monotonic() - st->started));
    write_json_line(t, b);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void finish_call(struct task *t, struct strace_thread *st, const long *ret)
{
    char result_data[512];
    struct strace_buf result = {.data = result_data, .cap = sizeof(result_data)};

    buf_reset(&result);
    if (ret)
        strace_result_put(&result, &st->call, *ret);
    else
        sputc(&result, '?');
    if (g_sink.json)
        write_json_exit(t, st, ret, &result);
    else
        write_text_exit(t, st, &result);
    st->call.desc = NULL;
}

static void strace_enter(struct task *t, const struct lx_regs *regs)
{
    struct strace_thread *st = thread_state();
    const struct strace_syscall *d = NULL;

    if (!st)
        return;
    st->nr = (uint32_t)regs->orig_rax;
    if (st->nr < g_strace_syscall_count)
        d = g_strace_syscalls[st->nr];
    if (!d)
        d = &g_unknown;
    st->call.desc = d;
    memcpy(st->call.args,
           (uint64_t[]){regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9},
           sizeof(st->call.args));
    st->started = clock_monotonic();
    st->shown = 0;
    st->open_shown = st->interrupted = false;
    buf_reset(&st->text);
    buf_reset(&st->line);
    strace_call_remember(&st->call);
    for (int i = 0; i < d->arg_count; i++) {
        st->arg_size[i] = 0;
        if (!strace_arg_late(&st->call, i))
            render_arg(st, i, /*over=*/false, /*ret=*/0);
    }
    if (d->noreturn)
        finish_call(t, st, NULL);
    else if (d->may_block && !g_sink.json)
        show_open_line(t, st);
}

static void strace_exit(struct task *t, const struct lx_regs *regs, long ret)
{
    struct strace_thread *st = g_thread;

    if (!st || !st->call.desc)
        return;
    for (int i = 0; i < st->call.desc->arg_count; i++) {
        if (strace_arg_late(&st->call, i))
            render_arg(st, i, /*over=*/true, ret);
    }
    finish_call(t, st, &ret);
}

/* The exec that started the first program: there was no call, but readers look for the line. */
static void strace_first_exec(struct task *t, const char *filename, const char *const *argv,
                              size_t env_count)
{
    struct strace_thread *st = calloc(1, sizeof(*st));
    const struct strace_syscall *d = g_strace_syscalls[SYS_EXECVE];

    if (!st)
        return;
    st->text = (struct strace_buf){.data = st->text_data, .cap = sizeof(st->text_data)};
    st->line = (struct strace_buf){.data = st->line_data, .cap = sizeof(st->line_data)};
    st->call.desc = d;
    st->nr = SYS_EXECVE;
    st->started = clock_monotonic();
    sput_quoted(&st->text, filename, strlen(filename), /*more=*/false);
    st->arg_size[0] = st->text.len;
    st->arg_at[1] = st->text.len;
    for (size_t i = 0; argv[i] && i <= STRACE_ARRAY_MAX; i++) {
        size_t size = strlen(argv[i]), shown = MIN(size, (size_t)STRACE_STRING_MAX);

        sput(&st->text, i ? ", " : "[");
        if (i == STRACE_ARRAY_MAX)
            sput(&st->text, "...");
        else
            sput_quoted(&st->text, argv[i], shown, shown < size);
    }
    sput(&st->text, argv[0] ? "]" : "[]");
    st->arg_size[1] = st->text.len - st->arg_at[1];
    st->arg_at[2] = st->text.len;
    sprint(&st->text, "[/* %zu vars */]", env_count);
    st->arg_size[2] = st->text.len - st->arg_at[2];
    finish_call(t, st, &(long){0});
    free(st);
}

/* A line of its own: signals and ends. */
static void write_event(struct task *t, struct strace_thread *st, const char *text)
{
    mutex_lock(&g_sink.lock);
    if (g_sink.open == st) {
        /* Killed inside the call. */
        g_sink.open = NULL;
        sink_write(" <unfinished ...>\n", 18);
    }
    sink_break_open_line(st);
    buf_reset(&st->line);
    put_prefix(&st->line, t);
    sprint(&st->line, "%s\n", text);
    sink_write(st->line.data, st->line.len);
    mutex_unlock(&g_sink.lock);
}

static void strace_signal(struct task *t, int signo, const struct lx_siginfo *info)
{
    struct strace_thread *st = thread_state();
    char data[512];
    struct strace_buf b = {.data = data, .cap = sizeof(data)};

    if (!st)
        return;
    buf_reset(&b);
    if (g_sink.json) {
        char info_data[400];
        struct strace_buf info_text = {.data = info_data, .cap = sizeof(info_data)};

        buf_reset(&info_text);
        if (info)
            sput_siginfo(&info_text, info);
        put_json_head(&st->line, t);
        sput_signal(&b, signo);
        sprint(&st->line, ",\"signal\":\"%s\",\"info\":", b.data);
        put_json_text(&st->line, info_text.data, info_text.len);
        write_json_line(t, &st->line);
        return;
    }
    sput(&b, "--- ");
    sput_signal(&b, signo);
    sputc(&b, ' ');
    if (info)
        sput_siginfo(&b, info);
    sput(&b, " ---");
    write_event(t, st, b.data);
}

static void strace_exited(struct task *t, int wstatus)
{
    struct strace_thread *st = thread_state();
    char data[128];
    struct strace_buf b = {.data = data, .cap = sizeof(data)};

    if (!st)
        return;
    buf_reset(&b);
    if ((wstatus & 0x7f) == 0) {
        sprint(&b, "exited with %d", (wstatus >> 8) & 0xff);
    } else {
        sput(&b, "killed by ");
        sput_signal(&b, wstatus & 0x7f);
        sput(&b, wstatus & 0x80 ? " (core dumped)" : "");
    }
    if (g_sink.json) {
        put_json_head(&st->line, t);
        sput(&st->line, ",\"end\":");
        put_json_text(&st->line, b.data, b.len);
        write_json_line(t, &st->line);
    } else {
        char text[160];

        snprintf(text, sizeof(text), "+++ %s +++", b.data);
        write_event(t, st, text);
    }
    mutex_lock(&g_sink.lock);
    g_sink.threads--;
    mutex_unlock(&g_sink.lock);
    g_thread = NULL;
    free(st);
}

static const struct syscall_trace_ops g_strace_ops = {
    .first_exec = strace_first_exec,
    .enter = strace_enter,
    .exit = strace_exit,
    .signal = strace_signal,
    .exited = strace_exited,
};

int strace_init(int fd, bool json)
{
    mutex_init(&g_sink.lock, RANK_LOG);
    g_sink.fd = fd;
    g_sink.json = json;
    g_syscall_trace_ops = &g_strace_ops;
    return 0;
}
