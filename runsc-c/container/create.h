/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a container: create, start, delete. `do` has no container in this sense: run.h.
 * README.md says which process does what.
 */
#pragma once

#include <jansson.h>

#include "runsc-c/container/proxy.h"
#include "runsc-c/container/state.h"
#include "runsc-c/support/err.h"

struct create_request {
    const char *id;
    const char *bundle;         /* absolute */
    const json_t *spec;         /* borrowed, checked */
    const char *pid_file;       /* or NULL */
    const char *console_socket; /* or NULL */
    int console_fd;             /* the caller's own terminal, raw, or -1 */
    long preserve_fds;
    bool attached; /* `run` in the foreground: the sandbox ends when the caller does */
};

/* Everything up to "created"; the caller owns *out_proxy, a child that was let go. On error
 * everything is undone. */
int container_create(const struct create_request *rq, struct proxy *out_proxy, struct err *e);
/* Lets the program run. */
int container_start(const char *id, struct err *e);
/* Removes a stopped container, with force a running one too; one that does not exist is then fine.
 */
int container_delete(const char *id, bool force, struct err *e);

int container_write_pid_file(const char *path, pid_t pid, struct err *e);
/* Adds the descriptors of LISTEN_FDS to those of --preserve-fds, and tells the program of them as
 * systemd does. Refuses what the caller did not leave open: the number may be one of ours. */
int container_preserved(json_t *process, long *preserve_fds, struct err *e);
/* Descriptor for --strace, -1 when off; e->msg is set on failure. */
int container_open_strace(struct err *e);
/* Is a process's terminal served somewhere? runc's rules, and words, for -d and --console-socket.*/
int container_check_terminal(const json_t *process, bool detach, const char *console_socket,
                             struct err *e);
