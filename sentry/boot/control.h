/* SPDX-License-Identifier: Apache-2.0 */
/* The sentry's end of the control protocol (runsc-c/sandbox/control.h): one thread a connection. */
#pragma once

#include "sentry/boot/config.h"
#include "sentry/boot/container.h"

struct sandbox_process;

/* Most descriptors in one request: SCM_RIGHTS allows 253. */
enum { CONTROL_FDS = 250 };

/* A request's view of its connection. */
struct control_request {
    const json_t *rq;
    struct connection *connection;
    struct sandbox_process *process;     /* borrowed: what the request is about, or NULL */
    struct sandbox_container *container; /* borrowed, or NULL */
    const int *fds;                      /* received; closed by the handler if fds_taken is set */
    size_t fd_count;
    bool fds_taken;
};

/* Serves the launcher's connection, which owns init (+1 is taken), and, if listen_fd >= 0, all that
 * come to it. -errno. */
int control_start(struct sandbox_process *init, int first_fd, int listen_fd);
/* First message on the launcher's connection: ready, or why not. */
void control_report_ready(int fd);
void control_report_error(int fd, const struct boot_error *e);
/* Tells everybody who waits for p, whose state is EXITED. No lock held. */
void control_process_exited(struct sandbox_process *p);

/* The first process of a container has ended, and with it all others: waits (bounded) until those who answer for them outside
 * are gone, as on Linux, where a namespace's first process cannot be waited for earlier. Engines lose the end of an exec that
 * comes after its container's. No lock held. */
void control_let_others_end(const struct sandbox_process *init);

/* For the handlers of requests.c. */
/* Tells who answers for the first process of p's container that p, another one, has a proxy of this pid. */
void control_tell_of_other(const struct sandbox_process *p, int host_pid);
/* The connection answers for p from here on: its end is p's. Consumes a reference. */
void control_own_take(struct connection *c, struct sandbox_process *p);
/* Sends {"status"} now or when p has exited. NULL, or the reply to send. */
json_t *control_await(struct connection *c, struct sandbox_process *p);
/* Runs one request. The reply (new reference), or NULL when there is none to send. */
json_t *control_handle(struct control_request *call);
