/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run is a child in a session of its own with pipes for stdout, stderr and the trace. The parent
 * reads all of them, keeps SIDE_STREAM_MAX of each stream, and ends when the first process ended:
 * then whatever else is left is killed, as the end of a sandbox's first process does to the rest.
 *
 * Natively the child becomes the program; for a sandbox the child is the command of that sandbox
 * (container_run), with the scratch directory bound into it at the same path.
 */
#include "runsc-c/compat/side.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runsc-c/container/run.h"
#include "runsc-c/oci/spec.h"
#include "runsc-c/support/globals.h"
#include "runsc-c/support/json.h"

enum { PIPE_OUT, PIPE_ERR, PIPE_TRACE, PIPE_LAUNCH, PIPE_COUNT };

#define DRAIN_SECONDS 5 /* for pipes that somebody holds open after all was killed */

struct run {
    const struct side_request *rq;
    struct side_result *result;
    int pipes[PIPE_COUNT][2];
    pid_t child;
    int pidfd;
    double started, deadline;
    char fifo[PATH_MAX]; /* strace's output: an inherited descriptor would move the program's own */
};

static double now_seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- the child: never returns ---------------------------------------------------------------- */

static int open_stdin(const json_t *program)
{
    const json_t *in = json_object_get(program, "stdin");
    const char *text = json_string_value(in);
    int fd;

    if (!text)
        return open(in ? json_string_value(json_object_get(in, "file")) : "/dev/null",
                    O_RDONLY | O_CLOEXEC);
    fd = memfd_create("stdin", MFD_CLOEXEC);
    if (fd >= 0 && (write(fd, text, json_string_length(in)) < 0 || lseek(fd, 0, SEEK_SET) < 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void set_environment(const json_t *program, const char *work)
{
    const char *key;
    json_t *v;

    clearenv();
    setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
    setenv("HOME", work, 1);
    setenv("LANG", "C.UTF-8", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    setenv("TZ", "UTC", 1);
    setenv("TERM", "dumb", 1);
    /* SAFETY: jansson's iterator wants a mutable object, and does not change it. */
    json_object_foreach((json_t *)(uintptr_t)json_object_get(program, "env"), key, v)
        setenv(key, json_string_value(v), 1);
}

/* NULL-terminated, for the lifetime of the child. */
static char **build_argv(const json_t *program, const char *const *prefix, size_t prefix_count)
{
    const json_t *list = json_object_get(program, "argv");
    size_t count = json_array_size(list);
    char **argv = calloc(prefix_count + count + 1, sizeof(*argv));

    for (size_t i = 0; argv && i < prefix_count + count; i++) {
        const char *s = i < prefix_count
                            ? prefix[i]
                            : json_string_value(json_array_get(list, i - prefix_count));

        argv[i] = strdup(s);
    }
    return argv;
}

static NORETURN void launch_failed(const struct run *r, const char *text)
{
    fprintf(stderr, "%s\n", text);
    fflush(stderr);
    (void)!write(r->pipes[PIPE_LAUNCH][1], "x", 1); /* a reader that is gone needs no answer */
    _exit(127);
}

static NORETURN void child_native(const struct run *r)
{
    static const char *const prefix[] = {"strace", "-f", "-a", "1", "-o"};
    const char *words[ARRAY_COUNT(prefix) + 2];
    char text[PATH_MAX + 64];
    size_t count = 0;
    char **argv;

    if (r->rq->native_strace) {
        memcpy(words, prefix, sizeof(prefix));
        count = ARRAY_COUNT(prefix);
        words[count++] = r->fifo;
        words[count++] = "--";
    }
    argv = build_argv(r->rq->program, words, count);
    if (argv)
        execvp(argv[0], argv);
    snprintf(text, sizeof(text), "%s: %s", argv ? argv[0] : "argv", strerror(errno));
    launch_failed(r, text);
}

static void bind_work(json_t *spec, const char *work)
{
    json_array_append_new(json_object_get(spec, "mounts"),
                          json_pack("{s:s, s:s, s:s, s:[s, s]}", "destination", work, "type",
                                    "bind", "source", work, "options", "rbind", "rw"));
}

static NORETURN void child_sandbox(const struct run *r, const char *cwd)
{
    char id[64], trace[32], text[1200];
    struct err e = {0};
    char **argv = build_argv(r->rq->program, NULL, 0);
    json_t *spec = argv ? spec_for_do(argv, cwd, /*terminal=*/false) : NULL;
    int ret;

    if (!spec)
        launch_failed(r, "out of memory");
    bind_work(spec, r->rq->work);
    snprintf(id, sizeof(id), "compat-%d", getpid());
    g_options.platform = r->rq->platform;
    g_options.strace = NULL;
    if (r->rq->trace) {
        snprintf(trace, sizeof(trace), "/proc/self/fd/%d", r->pipes[PIPE_TRACE][1]);
        g_options.strace = trace;
        g_options.strace_format = "json";
    }
    ret = run_standalone(id, spec, &e);
    if (ret >= 0)
        _exit(ret);
    snprintf(text, sizeof(text), "runsc-c: %s", e.msg);
    launch_failed(r, text);
}

static NORETURN void child(const struct run *r)
{
    const char *sub = json_string_value(json_object_get(r->rq->program, "cwd"));
    int in = open_stdin(r->rq->program);
    char cwd[PATH_MAX];

    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    snprintf(cwd, sizeof(cwd), "%s%s%s", r->rq->work, sub ? "/" : "", sub ? sub : "");
    /* What our caller left open is not the program's. */
    syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    dup2(r->pipes[PIPE_OUT][1], STDOUT_FILENO);
    dup2(r->pipes[PIPE_ERR][1], STDERR_FILENO);
    set_environment(r->rq->program, r->rq->work);
    if (in < 0 || dup2(in, STDIN_FILENO) < 0)
        launch_failed(r, "stdin cannot be opened");
    if ((sub && mkdir(cwd, 0755) < 0 && errno != EEXIST) || chdir(cwd) < 0)
        launch_failed(r, "cwd cannot be made");
    if (r->rq->platform)
        child_sandbox(r, cwd);
    child_native(r);
}

/* ---- the parent ------------------------------------------------------------------------------ */

/* -ENOMEM; beyond the bound bytes are counted only. */
static int stream_add(struct side_stream *s, const char *data, size_t size)
{
    size_t keep = MIN(size, SIDE_STREAM_MAX - s->size);

    s->total += size;
    if (s->size + keep > s->cap) {
        size_t cap = MIN(MAX(2 * s->cap, s->size + keep + 4096), (size_t)SIDE_STREAM_MAX);
        char *grown = realloc(s->data, cap);

        if (!grown)
            return -ENOMEM;
        s->data = grown;
        s->cap = cap;
    }
    if (keep > 0)
        memcpy(s->data + s->size, data, keep);
    s->size += keep;
    return 0;
}

/* What one pipe has; closes it at its end. */
static int read_pipe(struct run *r, int which)
{
    char buf[65536];
    ssize_t n = read(r->pipes[which][0], buf, sizeof(buf));

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0) {
        close(r->pipes[which][0]);
        r->pipes[which][0] = -1;
        return 0;
    }
    switch (which) {
    case PIPE_OUT:
        return stream_add(&r->result->out, buf, (size_t)n);
    case PIPE_ERR:
        return stream_add(&r->result->err, buf, (size_t)n);
    case PIPE_TRACE:
        r->rq->trace(r->rq->trace_arg, buf, (size_t)n);
        return 0;
    default:
        r->result->launched = false;
        return 0;
    }
}

/* Reads until the deadline, the end of all pipes or, when given, that of the child. */
static int read_until(struct run *r, double deadline, int pidfd)
{
    for (;;) {
        struct pollfd fds[PIPE_COUNT + 1];
        double left = deadline - now_seconds();
        bool any = pidfd >= 0;
        int ret;

        for (int i = 0; i < PIPE_COUNT; i++) {
            fds[i] = (struct pollfd){.fd = r->pipes[i][0], .events = POLLIN};
            any = any || r->pipes[i][0] >= 0;
        }
        fds[PIPE_COUNT] = (struct pollfd){.fd = pidfd, .events = POLLIN};
        if (!any)
            return 0;
        if (left <= 0)
            return -ETIMEDOUT;
        if (poll(fds, PIPE_COUNT + 1, (int)(left * 1000) + 1) < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < PIPE_COUNT; i++) {
            if (r->pipes[i][0] >= 0 && fds[i].revents && (ret = read_pipe(r, i)) < 0)
                return ret;
        }
        if (fds[PIPE_COUNT].revents)
            return 0;
    }
}

/* Everything that the run left is a child of this subreaper, now or once its parent is dead. */
static void kill_rest(void)
{
    char path[64], text[4096];
    int rounds = 200;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    while (rounds-- > 0) {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
        char *at = text, *end;

        if (fd >= 0)
            close(fd);
        text[MAX(n, 0)] = '\0';
        for (long pid; (pid = strtol(at, &end, 10)) > 0 && end != at; at = end)
            kill((pid_t)pid, SIGKILL);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (n <= 0)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static void close_end(struct run *r, int which, int end)
{
    if (r->pipes[which][end] >= 0)
        close(r->pipes[which][end]);
    r->pipes[which][end] = -1;
}

static void close_ends(struct run *r, int end)
{
    for (int i = 0; i < PIPE_COUNT; i++)
        close_end(r, i, end);
}

static int follow(struct run *r)
{
    int ret = read_until(r, r->deadline, r->pidfd), status = 0, drained;

    r->result->timed_out = ret == -ETIMEDOUT;
    if (ret < 0)
        kill(r->child, SIGKILL);
    r->result->seconds = now_seconds() - r->started;
    while (waitpid(r->child, &status, 0) < 0 && errno == EINTR)
        ;
    r->result->status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    kill_rest();
    close_ends(r, 1);
    drained = read_until(r, now_seconds() + DRAIN_SECONDS, -1);
    if (ret == -ETIMEDOUT)
        ret = 0;
    return ret < 0 || drained == -ETIMEDOUT ? ret : drained;
}

/* The write end stays open with us until the child is dead: before strace opens the FIFO its end
 * would be seen. */
static int open_fifo(struct run *r, int ends[2])
{
    snprintf(r->fifo, sizeof(r->fifo), "%.4000s.fifo", r->rq->work);
    if (mkfifo(r->fifo, 0600) < 0)
        return -errno;
    ends[0] = open(r->fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ends[1] = open(r->fifo, O_WRONLY | O_CLOEXEC);
    return ends[0] < 0 || ends[1] < 0 ? -errno : 0;
}

static int open_pipes(struct run *r)
{
    int ret;

    for (int i = 0; i < PIPE_COUNT; i++)
        r->pipes[i][0] = r->pipes[i][1] = -1;
    for (int i = 0; i < PIPE_COUNT; i++) {
        if (i == PIPE_TRACE && !r->rq->trace)
            continue;
        if (i == PIPE_TRACE && r->rq->native_strace) {
            ret = open_fifo(r, r->pipes[i]);
            if (ret < 0)
                return ret;
            continue;
        }
        if (pipe2(r->pipes[i], O_CLOEXEC) < 0)
            return -errno;
        fcntl(r->pipes[i][0], F_SETFL, O_NONBLOCK);
    }
    return 0;
}

int side_run(const struct side_request *rq, struct side_result *out)
{
    struct run r = {.rq = rq, .result = out, .pidfd = -1};
    int ret = open_pipes(&r);

    *out = (struct side_result){.launched = true};
    if (ret < 0)
        goto out;
    r.started = now_seconds();
    r.deadline = r.started + rq->timeout;
    fflush(NULL);
    r.child = fork();
    if (r.child == 0)
        child(&r);
    if (r.child < 0) {
        ret = -errno;
        goto out;
    }
    for (int i = 0; i < PIPE_COUNT; i++) {
        if (i != PIPE_TRACE || !rq->native_strace)
            close_end(&r, i, 1);
    }
    r.pidfd = (int)syscall(SYS_pidfd_open, r.child, 0);
    ret = follow(&r);
    if (r.pidfd >= 0)
        close(r.pidfd);
out:
    close_ends(&r, 0);
    close_ends(&r, 1);
    if (*r.fifo)
        (void)unlink(r.fifo); /* it is in a scratch directory that goes away */
    return ret;
}

void side_result_destroy(struct side_result *r)
{
    free(r->out.data);
    free(r->err.data);
}
