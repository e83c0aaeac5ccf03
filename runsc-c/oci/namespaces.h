/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host namespaces of a container's proxy. The guest's own namespaces are the sentry's business;
 * those of the host matter to others: hooks and CNI look for the network namespace, and sockets of
 * --network=host live in it.
 */
#pragma once

#include <jansson.h>
#include <sys/types.h>

#include "runsc-c/support/err.h"

/* The calling process enters what linux.namespaces says: network, ipc and uts are made or joined.
 * network: a process that has the new network namespace already, or 0. hostname: of a new uts
 * namespace, or NULL. The pid and mount namespaces stay the caller's: the proxy must be seen by the engine. */
int namespaces_enter(const json_t *namespaces, pid_t network, const char *hostname, struct err *e);
/* The host name in the uts namespace that the list joins, else the caller's. */
int namespaces_hostname(const json_t *namespaces, char *buf, size_t size, struct err *e);
/* Network, ipc and uts of another process. */
int namespaces_join_process(pid_t pid, struct err *e);
/* The entry of a type, or NULL. */
const json_t *namespaces_find(const json_t *namespaces, const char *type);
