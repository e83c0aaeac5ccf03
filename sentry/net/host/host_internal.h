/* SPDX-License-Identifier: Apache-2.0 */
/* Inside net/host/ only. */
#pragma once

#include "platform/base/rbuf.h"
#include "sentry/abi/netlink.h"
#include "sentry/net/inet/inet.h"

/*
 * An endpoint backed by a host socket, which is always non-blocking. It embeds inet_sock so that
 * code that walks a namespace's endpoints may look at any AF_INET one; the ports there stay 0 (the
 * host's tables have them), so it is in no list of ours. Lifetime: refcounted as struct sock; the
 * host socket is closed with the file. Keys: I immutable; l sk.lock; w the table of watched
 * sockets' lock; a atomic
 */
struct host_sock {
    struct inet_sock in;
    atomic_int fd;       /* a: -1 after close */
    atomic_bool watched; /* a: the readiness thread knows it */
    bool urgent;         /* l: the last event told of urgent data */
    uint32_t slot;       /* w: where, when watched */
};

static inline struct host_sock *host_of(struct sock *sk)
{
    return container_of(inet_of(sk), struct host_sock, in);
}

extern const struct sock_ops g_host_sock_ops;

/* Takes fd over, also on error. */
int MUST_CHECK host_sock_new_take(struct netns *ns, int family, int type, int protocol, int fd,
                                  struct sock **out);
int MUST_CHECK host_inet_create(struct netns *ns, int family, int type, int protocol,
                                struct sock **out);
/* A host error as the guest sees it: the sandbox's own descriptor limit is not the program's. */
int host_sock_error(long ret);

/* ---- ready.c ---- */
/* epfd: made before the jail. */
int MUST_CHECK host_ready_start(int epfd);
/* From now on a change of readiness wakes the endpoint's queue, edge-triggered. Idempotent; what is
 * ready at this moment is reported once. */
void host_sock_watch(struct host_sock *h);
void host_sock_unwatch(struct host_sock *h);

/* ---- transfer.c, options.c ---- */
ssize_t host_sock_sendmsg(struct sock *sk, struct net_msg *m);
ssize_t host_sock_recvmsg(struct sock *sk, struct net_msg *m);
int host_sock_setsockopt(struct sock *sk, int level, int name, const void *val, uint32_t len);
int host_sock_getsockopt(struct sock *sk, int level, int name, void *val, uint32_t *len);

/* ---- rtnl.c, ifreq.c ---- */
/* Sockets made before the jail. */
void host_netlink_init(int route_fd, int diag_fd);
/* As rtnetlink_request and sock_diag_request. */
int host_rtnetlink(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                   uint32_t portid, struct wbuf *out);
int host_sock_diag(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                   uint32_t portid, struct wbuf *out);
void host_ifreq_init(int fd);
long host_netdev_ioctl(struct netns *ns, uint32_t cmd, uaddr_t arg);
