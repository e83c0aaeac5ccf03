/* SPDX-License-Identifier: Apache-2.0 */
/* runsc-c delete [--force] ID */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "runsc-c/cmd.h"
#include "runsc-c/container/state.h"
#include "runsc-c/support/options.h"

/* Kills the sentry, which is pid 1 of its namespace, and waits until it is gone. */
static int kill_sandbox(const struct container *c, struct err *e)
{
    int fd = pidfd_open(c->pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (fd < 0)
        return errno == ESRCH ? 0 : err_errno(e, errno, "pidfd of %s", c->id);
    /* The pid may have been reused between the look and the open. */
    if (strcmp(container_status(c), "stopped")) {
        if (pidfd_send_signal(fd, SIGKILL, NULL, 0) < 0 && errno != ESRCH) {
            close(fd);
            return err_errno(e, errno, "cannot kill the sandbox of %s", c->id);
        }
        (void)poll(&p, 1, 10000); /* a process that does not die in 10 s is the host's problem */
    }
    close(fd);
    return 0;
}

int cmd_delete(int argc, char **argv, struct err *e)
{
    bool force = false, help = false;
    const struct option_def options[] = {
        {"force", 'f', OPTION_FLAG, &force, "kill the container first if it is running"},
        {"help", 'h', OPTION_FLAG, &help, "show this text"},
        {NULL, 0, OPTION_FLAG, NULL, NULL},
    };
    struct container c;
    int index = 1;

    if (options_parse(options, argc, argv, &index, e) < 0)
        return -1;
    if (help || index + 1 != argc) {
        printf("Usage: runsc-c delete [--force] ID\n\nRemoves a stopped container.\n\n");
        options_help(options);
        return help ? 0 : 1;
    }
    if (container_load(argv[index], &c, e) < 0)
        return force && strstr(e->msg, "does not exist") ? 0 : -1;
    container_destroy(&c);
    if (!strcmp(container_status(&c), "running") && !force)
        return err_set(e, "cannot delete container %s that is not stopped: running", c.id);
    if (kill_sandbox(&c, e) < 0)
        return -1;
    return container_remove_dir(c.id, e);
}
