/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The containers of the sandbox and the processes that boot started in them. The first container is
 * the sandbox's own: its network and ipc namespaces are those of all others, and the sandbox ends
 * when its first process does. Others (a pod's) come and go through requests.
 */
#pragma once

#include "sentry/boot/container.h"
#include "sentry/boot/mounts.h"

enum process_state {
    PROCESS_CREATED, /* loaded, not running: start, kill; loses its owner: aborted */
    PROCESS_RUNNING, /* kill; loses its owner: killed */
    PROCESS_EXITED,  /* status is valid; nothing else may be asked of it */
};

struct console;
struct sandbox_container;

/*
 * Lifetime: refcounted (sandbox_process_get/put); its container holds one until it has exited.
 * Keys: I immutable; a atomic; s the sandbox's lock
 */
struct sandbox_process {
    struct refs refs;                    /* a */
    struct list node;                    /* s: container->processes */
    struct sandbox_container *container; /* I, +1 */
    struct task *task;                   /* I, +1 */
    struct console *console;             /* s: its own terminal or NULL */
    atomic_int state;                    /* a: enum process_state; EXITED after status is set */
    int status;                          /* I once EXITED: wait status */
    atomic_int host_pid;                 /* a: the proxy process outside, 0: unknown */
    bool is_init;                        /* I */
};

struct sandbox_process *sandbox_process_get(struct sandbox_process *p);
void sandbox_process_put(struct sandbox_process *p);

/* Once, by the main thread, before the rest. limits: the host's, for containers that set none. */
void sandbox_init(const struct lx_rlimit *limits);
/*
 * Builds the container that c describes and creates its first process, with the calling thread's
 * curr (which has no file system context before and after). Takes the descriptors in c over, also
 * on failure. -EINVAL with *e set; *out is +1.
 */
int MUST_CHECK sandbox_container_create(struct boot_config *c, struct sandbox_process **out,
                                        struct boot_error *e);
/* A further process in a running container, from {process, stdio, console, preserved}. As above. */
int MUST_CHECK sandbox_exec(struct sandbox_container *sc, struct boot_config *c,
                            struct sandbox_process **out, struct boot_error *e);
/* The container called id (NULL: the first one), +1; NULL when there is none. */
struct sandbox_container *sandbox_find_get(const char *id);
struct sandbox_container *sandbox_container_get(struct sandbox_container *sc);
void sandbox_container_put(struct sandbox_container *sc);
struct sandbox_process *sandbox_container_init(struct sandbox_container *sc); /* borrowed */
struct kcontainer *sandbox_container_kernel(struct sandbox_container *sc);    /* borrowed */
bool sandbox_container_is_first(const struct sandbox_container *sc);
const char *sandbox_container_status(struct sandbox_container *sc);

/* -EALREADY when it was started before. */
int MUST_CHECK sandbox_process_start(struct sandbox_process *p);
/* Whoever answered for the process outside is gone: a running one is killed, one that was only
 * created takes its container along. */
void sandbox_process_abandon(struct sandbox_process *p);
void sandbox_process_resize(struct sandbox_process *p, uint16_t rows, uint16_t cols);
/* Processes of the container for `ps`: an array of objects, new reference. */
json_t *sandbox_container_processes(struct sandbox_container *sc);
/* Lets the last output of its terminal out, at most ~2 s, and gives the terminal back. */
void sandbox_drain_console(struct sandbox_process *p);

/* In main.c: ends the sandbox with this wait status; the first call counts. reason: NULL when a
 * program ended. Any thread, any lock up to LEAF. */
void boot_end_sandbox(int status, const char *reason);
