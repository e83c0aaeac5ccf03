/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces as kernel/ and boot/ see them (clone, unshare, setns). network_namespaces(7).
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/types.h"

struct netns;
struct userns;

/* Lifetime: refcounted. A fresh namespace with a loopback that is down, as Linux's. -ENOMEM. */
int MUST_CHECK netns_new(struct userns *owner, struct netns **out);
struct netns *netns_get(struct netns *ns);
void netns_put(struct netns *ns);
/* Is the loopback device up? boot brings it up in a container's first namespace. */
void netns_set_lo_up(struct netns *ns, bool up);
bool netns_lo_up(struct netns *ns);
/* Members of which groups may ping: ping_group_range. A fresh namespace has none; boot opens a container's first. */
void netns_set_ping_groups(struct netns *ns, lx_gid_t first, lx_gid_t last);
void netns_ping_groups(const struct netns *ns, lx_gid_t *out_first, lx_gid_t *out_last);
/* Inode number of /proc/PID/ns/net. */
uint64_t netns_inum(const struct netns *ns);
struct userns *netns_owner(const struct netns *ns); /* borrowed */
