/* SPDX-License-Identifier: Apache-2.0 */
#include "runsc-c/oci/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "platform/base/log.h"
#include "runsc-c/oci/namespaces.h"
#include "runsc-c/support/json.h"

enum { OUTPUT_MAX = 400 };

static char **string_array(const json_t *array)
{
    char **out = calloc(json_array_size(array) + 1, sizeof(char *));
    const json_t *v;
    size_t i;

    json_array_foreach(array, i, v)
    {
        if (out)
            out[i] = strdup(json_string_value(v)); /* an allocation that fails ends the list */
    }
    return out;
}

/* A memfd with the state, read from its start: the hook may leave it unread. */
static int state_fd(const json_t *state, struct err *e)
{
    char *text = json_dumps(state, JSON_COMPACT);
    int fd = memfd_create("state", MFD_CLOEXEC);

    if (!text || fd < 0 || write(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0) {
        (void)err_errno(e, errno, "state for hooks");
        if (fd >= 0)
            close(fd);
        fd = -1;
    }
    free(text);
    return fd;
}

static NORETURN void hook_child(const json_t *hook, int stdin_fd, int out_fd, pid_t join)
{
    const json_t *args = json_object_get(hook, "args"), *env = json_object_get(hook, "env");
    const char *path = json_get_string(hook, "path", "");
    char *only[] = {strdup(path), NULL};
    char **argv = json_array_size(args) ? string_array(args) : only;
    char **envp = json_array_size(env) ? string_array(env) : environ;
    struct err e = {0};
    sigset_t none;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (dup2(stdin_fd, 0) < 0 || dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0)
        _exit(126);
    if (join && namespaces_join_process(join, &e) < 0) {
        fprintf(stderr, "%s", e.msg);
        _exit(126);
    }
    execve(path, argv, envp);
    fprintf(stderr, "fork/exec %s: %s", path, strerror(errno));
    _exit(127);
}

struct output {
    char text[OUTPUT_MAX];
    size_t size;
};

static long long now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/* Until it has ended or the time is over; what it prints beyond the buffer is thrown away. A
 * background process of the hook may keep the pipe open: the hook's own end counts. */
static bool wait_for_hook(int pidfd, int out_fd, long long deadline, struct output *out)
{
    struct pollfd fds[] = {{.fd = pidfd, .events = POLLIN}, {.fd = out_fd, .events = POLLIN}};
    char buf[4096];

    for (;;) {
        long long left = deadline < 0 ? -1 : deadline - now_ms();
        ssize_t n = 0;

        if (deadline >= 0 && left <= 0)
            return false;
        if (poll(fds, 2, (int)left) < 0 && errno != EINTR)
            return false;
        if (fds[1].revents) {
            n = read(out_fd, buf, sizeof(buf));
            if (n <= 0)
                fds[1].fd = -1;
        }
        for (ssize_t i = 0; i < n && out->size + 1 < sizeof(out->text); i++)
            out->text[out->size++] = buf[i];
        if (n <= 0 && fds[0].revents)
            return true;
    }
}

static int judge(const char *kind, size_t index, int status, bool in_time, int64_t timeout,
                 const struct output *out, struct err *e)
{
    if (!in_time)
        return err_set(e,
                       "error running hook #%zu: error running %s hook: hook ran past specified "
                       "timeout of %.1fs",
                       index, kind, (double)timeout);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    return err_set(e,
                   "error running hook #%zu: error running %s hook: %s %d, stdout and stderr: %s",
                   index, kind, WIFSIGNALED(status) ? "signal" : "exit status",
                   WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), out->text);
}

static int run_hook(const json_t *hook, const char *kind, size_t index, int stdin_fd, pid_t join,
                    struct err *e)
{
    int64_t timeout = json_integer_value(json_object_get(hook, "timeout"));
    struct output out = {.size = 0};
    int pipe_fds[2], pidfd, status = 0;
    bool in_time;
    pid_t pid;

    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return err_errno(e, errno, "pipe");
    fflush(NULL);
    pid = fork();
    if (pid == 0)
        hook_child(hook, stdin_fd, pipe_fds[1], join);
    close(pipe_fds[1]);
    pidfd = pid < 0 ? -1 : pidfd_open(pid, 0);
    if (pidfd < 0) {
        (void)err_errno(e, errno, "cannot run the %s hook", kind);
        close(pipe_fds[0]);
        return -1;
    }
    in_time = wait_for_hook(pidfd, pipe_fds[0], timeout > 0 ? now_ms() + timeout * 1000 : -1, &out);
    if (!in_time)
        kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(pidfd);
    close(pipe_fds[0]);
    return judge(kind, index, status, in_time, timeout, &out, e);
}

int hooks_run(const json_t *spec, const char *kind, const json_t *state, pid_t join, struct err *e)
{
    const json_t *list = json_object_get(json_object_get(spec, "hooks"), kind), *hook;
    size_t i;

    json_array_foreach(list, i, hook)
    {
        int fd = state_fd(state, e), ret;

        if (fd < 0)
            return -1;
        ret = run_hook(hook, kind, i, fd, join, e);
        close(fd);
        if (ret < 0)
            return -1;
    }
    return 0;
}
