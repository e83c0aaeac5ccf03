/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker process for each program, jobs at a time. A worker is a child subreaper, so that it can
 * end whatever its program left running; it sends its result as JSON through a pipe and exits. A
 * worker that dies without a result is a program that fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "runsc-c/compat/compat.h"
#include "runsc-c/compat/tree.h"

#define MAX_JOBS 64

struct worker {
    pid_t pid; /* 0: free */
    int fd;    /* read end of its pipe */
    size_t index;
    char *data; /* owned */
    size_t size;
};

struct pool {
    const struct compat_options *o;
    const json_t *programs;
    json_t *results; /* array, in the order of the suite */
    struct worker workers[MAX_JOBS];
    size_t next, running;
    char top[64];
};

static int dump_to_fd(const char *buffer, size_t size, void *data)
{
    const int *fd = data;

    while (size > 0) {
        ssize_t n = write(*fd, buffer, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        buffer += n;
        size -= (size_t)n;
    }
    return 0;
}

static NORETURN void worker_main(const struct pool *p, size_t index, int fd)
{
    char scratch[128];
    json_t *result;

    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGPIPE, SIG_DFL);
    snprintf(scratch, sizeof(scratch), "%s/%zu", p->top, index);
    if (mkdir(scratch, 0755) < 0)
        _exit(1);
    result = program_run(p->o, json_array_get(p->programs, index), scratch);
    rmdir(scratch);
    _exit(json_dump_callback(result, dump_to_fd, &fd, JSON_COMPACT) < 0 ? 1 : 0);
}

static int start_worker(struct pool *p, struct worker *w, struct err *e)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(e, errno, "compat: pipe");
    fflush(NULL);
    *w = (struct worker){.fd = fds[0], .index = p->next};
    w->pid = fork();
    if (w->pid == 0)
        worker_main(p, p->next, fds[1]);
    close(fds[1]);
    if (w->pid < 0) {
        close(fds[0]);
        w->pid = 0;
        return err_errno(e, errno, "compat: fork");
    }
    p->next++;
    p->running++;
    return 0;
}

static json_t *lost_result(const struct pool *p, const struct worker *w)
{
    const json_t *program = json_array_get(p->programs, w->index);
    json_t *platforms = json_object();

    for (const char *const *name = p->o->platforms; *name; name++)
        json_object_set_new(platforms, *name,
                            json_pack("{s:s, s:s}", "verdict", "fail", "text", "no result"));
    return json_pack("{s:O, s:O, s:{s:s, s:s}, s:o}", "name", json_object_get(program, "name"),
                     "argv", json_object_get(program, "argv"), "native", "verdict", "fail", "text",
                     "the harness itself failed on this program", "platforms", platforms);
}

static void finish_worker(struct pool *p, struct worker *w)
{
    json_t *result = json_loadb(w->data ? w->data : "", w->size, 0, NULL);

    close(w->fd);
    while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (!result)
        result = lost_result(p, w);
    text_program(result);
    json_array_set_new(p->results, w->index, result);
    free(w->data);
    *w = (struct worker){0};
    p->running--;
}

static int read_worker(struct pool *p, struct worker *w)
{
    char buf[65536], *grown;
    ssize_t n = read(w->fd, buf, sizeof(buf));

    if (n < 0 && errno == EINTR)
        return 0;
    if (n <= 0) {
        finish_worker(p, w);
        return 0;
    }
    grown = realloc(w->data, w->size + (size_t)n);
    if (!grown)
        return -ENOMEM;
    memcpy(grown + w->size, buf, (size_t)n);
    w->data = grown;
    w->size += (size_t)n;
    return 0;
}

static int step(struct pool *p, struct err *e)
{
    size_t jobs = (size_t)MAX(1, MIN(p->o->jobs, (long)MAX_JOBS));
    struct pollfd fds[MAX_JOBS];

    for (size_t i = 0; i < jobs && p->next < json_array_size(p->programs); i++) {
        if (!p->workers[i].pid && start_worker(p, &p->workers[i], e) < 0)
            return -1;
    }
    for (size_t i = 0; i < jobs; i++)
        fds[i] = (struct pollfd){.fd = p->workers[i].pid ? p->workers[i].fd : -1, .events = POLLIN};
    if (poll(fds, jobs, -1) < 0 && errno != EINTR)
        return err_errno(e, errno, "compat: poll");
    for (size_t i = 0; i < jobs; i++) {
        if (p->workers[i].pid && fds[i].revents && read_worker(p, &p->workers[i]) < 0)
            return err_errno(e, ENOMEM, "compat");
    }
    return 0;
}

static json_t *describe_run(const struct compat_options *o, const json_t *suite)
{
    json_t *platforms = json_array();
    struct utsname u;
    time_t now = time(NULL);
    char date[64];
    struct tm tm;

    uname(&u);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&now, &tm));
    for (const char *const *name = o->platforms; *name; name++)
        json_array_append_new(platforms, json_string(*name));
    return json_pack("{s:O, s:s, s:s, s:o}", "suite", json_object_get(suite, "name"), "date", date,
                     "kernel", u.release, "platforms", platforms);
}

int pool_run(const struct compat_options *o, const json_t *suite, json_t **out, struct err *e)
{
    struct pool p = {
        .o = o, .programs = json_object_get(suite, "programs"), .results = json_array()};
    int ret = 0;

    snprintf(p.top, sizeof(p.top), "/tmp/runsc-c-compat-XXXXXX");
    if (!mkdtemp(p.top) || chmod(p.top, 0755) < 0) {
        json_decref(p.results);
        return err_errno(e, errno, "compat: scratch directory");
    }
    for (size_t i = 0; i < json_array_size(p.programs); i++)
        json_array_append_new(p.results, json_null());
    while (ret == 0 && (p.next < json_array_size(p.programs) || p.running > 0))
        ret = step(&p, e);
    for (size_t i = 0; ret < 0 && i < MAX_JOBS; i++) {
        if (p.workers[i].pid)
            kill(p.workers[i].pid, SIGKILL);
    }
    tree_remove(p.top);
    *out = describe_run(o, suite);
    json_object_set_new(*out, "programs", p.results);
    return ret;
}
