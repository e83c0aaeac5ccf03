/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network namespace that a sentry with --network=host is started in, since its sockets live
 * there:
 *
 *   the proxy's      the process that engines and hooks see made or joined it (oci/namespaces.c)
 *   a path           linux.namespaces names one (CNI, podman, docker run --network host)
 *   the caller's     linux.namespaces has no network entry, or `do --network=host`
 *   a new one        made together with the sentry's other namespaces, which then owns it
 *
 * The command enters, clones the sentry, and goes back; nothing is ever moved or changed in a
 * namespace that was there before, except the sysctls that the configuration asks for, as runc
 * does.
 *
 * Ports below 1024: the sentry has no capability over a namespace that it does not own. Where the
 * command makes the namespace for this container alone, it lets every port be bound on the host's
 * side (ip_unprivileged_port_start) and the sentry keeps asking the guest for CAP_NET_BIND_SERVICE.
 * In its own namespace the sentry keeps CAP_NET_BIND_SERVICE and CAP_NET_RAW if the container has
 * them. In a namespace that others made, what that namespace allows to everybody is what there is.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "runsc-c/support/err.h"

/* --network, or the default: a container's network namespace was made for it by somebody who knows;
 * a stand-alone program has none to be let into. */
const char *sandbox_network(bool standalone);

struct sandbox_netns {
    bool make;  /* CLONE_NEWNET with the sentry */
    bool fresh; /* made for this container, not owned by the sentry */
    int fd;     /* to enter, or -1 */
    int old_fd; /* to go back, or -1 */
};

/* network: none or host. proxy: pid whose namespace is the container's, or 0. Free with
 * sandbox_netns_end. */
int sandbox_netns_plan(const json_t *spec, const char *network, pid_t proxy,
                       struct sandbox_netns *out, struct err *e);
/* Takes the network entry out of linux.namespaces. */
void sandbox_netns_use_callers(json_t *spec);
/* Adds what the sentry has to know to its configuration (NULL is fine). */
void sandbox_netns_describe(const struct sandbox_netns *n, const json_t *spec, json_t *config);
/* The calling thread is in the namespace afterwards; sysctls of a namespace that is not the
 * sentry's own are set. */
int sandbox_netns_enter(struct sandbox_netns *n, const json_t *spec, struct err *e);
/* Back, and closes; also after an error. */
void sandbox_netns_end(struct sandbox_netns *n);
