/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces as kernel/ and boot/ see them (clone, unshare, setns). network_namespaces(7).
 */
#pragma once

#include "platform/base/compiler.h"

struct netns;
struct userns;

/* Lifetime: refcounted. A fresh namespace with a loopback that is down, as Linux's. -ENOMEM. */
int MUST_CHECK netns_new(struct userns *owner, struct netns **out);
struct netns *netns_get(struct netns *ns);
void netns_put(struct netns *ns);
/* Is the loopback device up? boot brings it up in a container's first namespace. */
void netns_set_lo_up(struct netns *ns, bool up);
bool netns_lo_up(struct netns *ns);
/* Inode number of /proc/PID/ns/net. */
uint64_t netns_inum(const struct netns *ns);
struct userns *netns_owner(const struct netns *ns); /* borrowed */
