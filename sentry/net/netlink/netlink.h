/* SPDX-License-Identifier: Apache-2.0 */
/* AF_NETLINK endpoints. netlink(7). */
#pragma once

#include "platform/base/rbuf.h"
#include "sentry/abi/netlink.h"
#include "sentry/net/net_tables.h"

int MUST_CHECK netlink_create(struct netns *ns, int type, int protocol, struct sock **out);

/* A datagram from the kernel for the reader of sk (mq_notify). sk: any netlink endpoint. */
void netlink_deliver(struct sock *sk, const void *data, size_t size);

/* ---- inside netlink/ ---- */

/* Answers one rtnetlink request. Messages go to out (without NLMSG_DONE or an acknowledgement).
 * 0; 1: it was a dump, to be ended by NLMSG_DONE; -errno for NLMSG_ERROR. body: what follows h. */
int rtnetlink_request(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                      uint32_t portid, struct wbuf *out);
/* The same for NETLINK_SOCK_DIAG. */
int sock_diag_request(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                      uint32_t portid, struct wbuf *out);
