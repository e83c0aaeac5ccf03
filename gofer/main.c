/* SPDX-License-Identifier: Apache-2.0 */
/* gofer_main: isolation, choice of the loop, service, exit code. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gofer/gofer_internal.h"

/* The process outside the pid namespace: passes the end of the inner one on, and dies with its
 * parent as the inner one dies with it. */
static int wait_for_inner(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return 1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int start_loop(struct server *sv, enum gofer_io io)
{
    int ret = -ENOSYS;

    if (io != GOFER_IO_POLL) {
        ret = server_start(sv, &g_gofer_uring);
        if (ret < 0 && io == GOFER_IO_AUTO)
            log_info(LOG_GOFER, "io_uring is not available (%s): plain loop", strerror(-ret));
    }
    if (ret < 0 && io != GOFER_IO_URING)
        ret = server_start(sv, &g_gofer_poll);
    return ret;
}

static int serve(const struct gofer_config *config)
{
    struct gofer_isolation iso = {.proc_fd = -1};
    struct server sv;
    int ret;

    signal(SIGPIPE, SIG_IGN);
    iso.root_fds = calloc(config->count, sizeof(int));
    if (!iso.root_fds)
        return 1;
    ret = isolate_enter(config, &iso);
    if (ret < 0) {
        free(iso.root_fds);
        return 1; /* isolate_enter said why */
    }
    ret = server_init(&sv, config, &iso);
    free(iso.root_fds);
    if (ret == 0)
        ret = start_loop(&sv, config->io);
    if (ret == 0 && !config->unjailed)
        ret = isolate_seal();
    log_phase("gofer jailed");
    if (ret == 0) {
        log_info(LOG_GOFER, "serving %zu tree(s), %s loop", config->count, sv.async->name);
        ret = sv.async->run(&sv);
    }
    if (ret < 0)
        log_error(LOG_GOFER, "the gofer ends: %s", strerror(-ret));
    for (size_t i = 0; i < sv.session_count; i++)
        ret |= sv.sessions[i].broke_protocol;
    server_destroy(&sv);
    return ret ? 1 : 0;
}

int gofer_main(const struct gofer_config *config)
{
    pid_t pid;

    if (config->count == 0 || config->count > GOFER_TREES_MAX)
        return 1;
    if (config->unjailed || getpid() == 1)
        return serve(config);
    /* Without CAP_SYS_ADMIN the pid namespace comes with the user namespace of stage 1's kind. */
    if (unshare(CLONE_NEWPID) < 0) {
        log_debug(LOG_GOFER, "no pid namespace of its own: %s", strerror(errno));
        return serve(config);
    }
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        _exit(serve(config));
    }
    if (pid < 0) {
        log_error(LOG_GOFER, "fork: %s", strerror(errno));
        return 1;
    }
    for (size_t i = 0; i < config->count; i++)
        close(config->trees[i].conn_fd);
    return wait_for_inner(pid);
}
