/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The link layer of lo as AF_PACKET endpoints see it. Nothing in the sandbox travels as frames: whoever
 * sends something shows the frame that Linux would have sent, if somebody watches. packet(7).
 */
#pragma once

#include "sentry/net/net_tables.h"

enum { LINK_HEADER = 14, LINK_IFINDEX = 1, LINK_HARDWARE = 772 };

static inline bool link_watched(struct netns *ns)
{
    return atomic_load_explicit(&ns->watchers, memory_order_relaxed);
}
/* A frame, link header included, that goes over lo: all watchers see it leave and come in. from: the
 * endpoint that sent it, which does not see it leave, or NULL. Holds no lock. */
void link_show(struct netns *ns, struct sock *from, const uint8_t *frame, size_t size);

int MUST_CHECK packet_create(struct netns *ns, int type, int protocol, struct sock **out);
