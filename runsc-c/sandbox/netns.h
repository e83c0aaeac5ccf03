/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network namespace that a sentry with --network=host is started in, since its sockets live
 * there:
 *
 *   a path           linux.namespaces names one (CNI, podman, docker run --network host)
 *   the caller's     linux.namespaces has no network entry, or `do --network=host`
 *   a new one        made together with the sentry's other namespaces, which then owns it
 *
 * The command enters, clones the sentry, and goes back; nothing is ever moved or changed in a
 * namespace that was there before, except the sysctls that the configuration asks for, as runc
 * does.
 *
 * Ports below 1024: bind asks for CAP_NET_BIND_SERVICE in the user namespace that owns the network
 * namespace. The sentry owns a new one, and keeps that capability and CAP_NET_RAW there if the container has
 * them. Over a namespace that an engine made (a path) it has no power. There, if the container has
 * CAP_NET_BIND_SERVICE and the configuration does not set it, the command sets ip_unprivileged_port_start to 0 on
 * the host's side, as Docker does for every container, and the sentry asks the guest's credentials by the value
 * that was there; likewise ping_group_range, for ping. The caller's own namespace is never changed.
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
    bool make;      /* CLONE_NEWNET with the sentry */
    int port_start; /* ip_unprivileged_port_start as guests see it, -1: as it is */
    int fd;         /* to enter, or -1 */
    int old_fd;     /* to go back, or -1 */
};

/* network: none or host. Free with sandbox_netns_end. */
int sandbox_netns_plan(const json_t *spec, const char *network, struct sandbox_netns *out,
                       struct err *e);
/* Takes the network entry out of linux.namespaces. */
void sandbox_netns_use_callers(json_t *spec);
/* Adds what the sentry has to know to its configuration (NULL is fine); after sandbox_netns_enter. */
void sandbox_netns_describe(const struct sandbox_netns *n, json_t *config);
/* The calling thread is in the namespace afterwards; sysctls of a namespace that is not the
 * sentry's own are set. */
int sandbox_netns_enter(struct sandbox_netns *n, const json_t *spec, struct err *e);
/* Back, and closes; also after an error. */
void sandbox_netns_end(struct sandbox_netns *n);
