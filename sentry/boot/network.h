/* SPDX-License-Identifier: Apache-2.0 */
/* The network mode of the sandbox, for the stages of boot/main.c. */
#pragma once

#include "sentry/boot/config.h"

struct netns;

/* Before the jail, with capabilities: opens what --network=host needs. -errno; *out_what says
 * where. */
int MUST_CHECK boot_network_open(const struct boot_config *c, const char **out_what);
/* Does the jail admit host sockets? */
bool boot_network_is_host(const struct boot_config *c);
/* Capabilities that the sentry keeps for its sockets: CAP_NET_BIND_SERVICE and CAP_NET_RAW, each
 * only when the sandbox owns its network namespace and the container may have it. A bit per number.
 */
uint64_t boot_network_capabilities(const struct boot_config *c);
/* After the filter: the first network namespace of the sandbox. */
int MUST_CHECK boot_network_attach(const struct boot_config *c, struct netns *ns);
