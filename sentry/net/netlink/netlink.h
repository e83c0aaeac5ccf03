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

/* A message of NETLINK_ROUTE for every reader in ns that joined the group (a bit). */
void netlink_multicast(struct netns *ns, uint32_t group, const void *data, size_t size);

/* Answers one rtnetlink request. Messages go to out (without NLMSG_DONE or an acknowledgement).
 * 0; 1: it was a dump, to be ended by NLMSG_DONE; -errno for NLMSG_ERROR. body: what follows h. */
int rtnetlink_request(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                      uint32_t portid, struct wbuf *out);
/* The part of it that changes something: RTM_NEW*, RTM_DEL*, RTM_SET*. */
int rtnetlink_change(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                     uint32_t portid);
/* Messages that say what lo and one of its addresses are. */
struct lo_addr;
void rtnetlink_put_link(struct netns *ns, const struct lx_nlmsghdr *req, uint16_t type,
                        uint32_t portid, struct wbuf *out);
void rtnetlink_put_addr(const struct lx_nlmsghdr *req, uint16_t type, uint32_t portid,
                        const struct lo_addr *a, struct wbuf *out);
/* The attribute of a request's list with this type, or NULL; body stays where it is. */
const uint8_t *rtnetlink_find_attr(const struct rbuf *body, uint16_t type, size_t *out_size);
/* The same for NETLINK_SOCK_DIAG. */
int sock_diag_request(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                      uint32_t portid, struct wbuf *out);
