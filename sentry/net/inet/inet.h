/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_INET and AF_INET6 endpoints and the tables of ports. Addresses are 16 bytes everywhere inside;
 * an IPv4 address is kept v4-mapped (::ffff:a.b.c.d), so that one piece of code serves both
 * families. Ports are kept in host order.
 */
#pragma once

#include <string.h>

#include "sentry/abi/in.h"
#include "sentry/net/net_tables.h"
#include "sentry/net/sock.h"

struct inet_sock;

struct inet_addr {
    uint8_t b[16];
};

static inline bool ia_equal(const struct inet_addr *a, const struct inet_addr *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}
bool ia_is_v4(const struct inet_addr *a);
bool ia_is_any(const struct inet_addr *a);      /* :: or 0.0.0.0 */
bool ia_is_loopback(const struct inet_addr *a); /* ::1 or 127/8 */
bool ia_is_multicast(const struct inet_addr *a);
bool ia_is_broadcast(const struct inet_addr *a); /* 255.255.255.255, 127.255.255.255 */
uint32_t ia_v4(const struct inet_addr *a);       /* network order */
void ia_from_v4(struct inet_addr *a, uint32_t be);

/*
 * One user of a port: a bound endpoint, or what is left of a connection in TIME_WAIT (sk NULL).
 * Lifetime: embedded in inet_sock, or heap-allocated by the table when in TIME_WAIT.
 * Keys: everything netns->table_lock
 */
struct inet_bind {
    struct list node;      /* in a bucket; empty: not bound */
    struct inet_sock *sk;  /* borrowed: leaves the table before it is freed */
    struct inet_addr addr; /* local; any: as wildcard says */
    bool wildcard, v4, v6; /* which families a wildcard covers; of addr otherwise */
    bool reuse, reuseport; /* of a TIME_WAIT entry: an endpoint's are in its flags */
    bool listening;
    bool connected;
    uint16_t port, rport;
    struct inet_addr raddr; /* when connected */
    lx_uid_t uid;
    uint64_t expires;    /* TIME_WAIT: monotonic ns */
    struct list tw_node; /* TIME_WAIT: netns->time_wait */
};

struct inet_group {
    struct list node;
    struct inet_addr group;
};

/* Keys: I immutable; l sk.lock; t table_lock */
struct inet_sock {
    struct sock sk;
    struct inet_bind bind;  /* t */
    struct inet_addr laddr; /* l: local address as getsockname shows it */
    struct inet_addr raddr; /* l */
    uint16_t lport, rport;  /* l, host order; 0: none */
    bool port_locked;       /* l: the program chose the port with bind */
    bool addr_locked;       /* l: the program chose the address with bind */
    bool v6only;            /* l */
    /* options that are remembered or shown in control messages; l */
    int tos, tclass, ttl, hops, mc_ttl, mc_hops, mtu_discover, mc_if, min_ttl, unicast_if;
    bool mc_loop, mc_all, recverr, recverr6, pktinfo, pktinfo6, recvttl, recvtos, recvhops,
        recvtclass, freebind, transparent, hdrincl, bind_no_port, origdst, origdst6, autoflow;
    int min_hops;
    uint32_t kept;        /* l: bits of the options in inet_opt.c that are only remembered */
    struct list groups;   /* l: struct inet_group */
    uint32_t group_count; /* l */
};

static inline struct inet_sock *inet_of(struct sock *sk)
{
    return container_of(sk, struct inet_sock, sk);
}

struct lx_nlmsghdr;
struct rbuf;
struct wbuf;

/*
 * Who carries what does not stay on lo. A namespace with an outside (a TCP/IP stack on packet
 * sockets, or host sockets) sets netns->transport; without one every such destination is
 * -ENETUNREACH. See net/README.md. Either inet_create or the three below it; the rest is optional:
 * NULL means that the namespace's own lo is all there is.
 */
struct inet_transport_ops {
    /* Makes every AF_INET and AF_INET6 endpoint, those on lo too. Arguments as of socket(2). */
    int (*inet_create)(struct netns *ns, int family, int type, int protocol, struct sock **out);
    /* Is addr one of the namespace's own addresses beyond lo (bind, delivery)? */
    bool (*is_local)(struct netns *ns, const struct inet_addr *addr);
    /* Source address for dst: 0, -ENETUNREACH, -EHOSTUNREACH. May not block. */
    int (*route)(struct netns *ns, const struct inet_addr *dst, struct inet_addr *out_src);
    /* Makes an endpoint that talks through this transport. The socket layer swaps it in for a fresh
     * one when connect, sendto or listen first needs the outside. */
    int (*sock_new)(struct netns *ns, int family, int type, int protocol, struct sock **out);
    /* As rtnetlink_request, sock_diag_request (inet families), netdev_ioctl. */
    int (*rtnetlink)(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                     uint32_t portid, struct wbuf *out);
    int (*sock_diag)(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                     uint32_t portid, struct wbuf *out);
    long (*netdev_ioctl)(struct netns *ns, uint32_t cmd, uaddr_t arg);
    /* Bytes of /proc/net/name from off: 0 at the end, -ENOENT: print our own. */
    ssize_t (*proc_read)(struct netns *ns, const char *name, void *buf, size_t size, int64_t off);
};

int MUST_CHECK inet_create(struct netns *ns, int family, int type, int protocol, struct sock **out);
void inet_init(struct inet_sock *in, const struct sock_ops *ops, struct netns *ns, int family,
               int type, int protocol);
void inet_destroy_generic(struct inet_sock *in);

/* sockaddr -> address and port. Checks length and family against the endpoint's:
 * -EINVAL, -EAFNOSUPPORT. */
int MUST_CHECK inet_addr_parse(const struct inet_sock *in, const struct sockaddr_buf *sa,
                               struct inet_addr *out, uint16_t *out_port);
void inet_addr_format(const struct inet_sock *in, const struct inet_addr *a, uint16_t port,
                      struct sockaddr_buf *out);
/* May the endpoint bind to a? 0, -EADDRNOTAVAIL. */
int inet_addr_bindable(const struct inet_sock *in, const struct inet_addr *a);
/* Turns a destination into a reachable one (0.0.0.0 means this host) and finds the source address:
 * 0, -ENETUNREACH. */
int inet_route(const struct inet_sock *in, struct inet_addr *dst, struct inet_addr *out_src);
int inet_bind_common(struct sock *sk, const struct sockaddr_buf *sa);
int inet_getname(struct sock *sk, bool peer, struct sockaddr_buf *out);
int inet_setsockopt(struct inet_sock *in, int level, int name, const void *val, uint32_t len);
int inet_getsockopt(struct inet_sock *in, int level, int name, void *val, uint32_t *len);
/* IP_PKTINFO and friends for a datagram to dst. */
void inet_put_cmsgs(struct inet_sock *in, struct net_msg *m, const struct inet_addr *dst, int ttl,
                    int tos);
bool inet_has_group(struct inet_sock *in, const struct inet_addr *group);

/* ---- ports (inet_port.c); netns->table_lock is taken inside unless _locked ------------------ */

/* Binds to in->laddr and port (0: any free one). -EADDRINUSE, -EACCES. */
int MUST_CHECK inet_port_bind(struct inet_sock *in, uint16_t port);
/* A port for a connection to raddr:rport, if none is bound yet, and the connected tuple.
 * -EADDRNOTAVAIL. */
int MUST_CHECK inet_port_connect(struct inet_sock *in, const struct inet_addr *raddr,
                                 uint16_t rport);
/* A child, made with its listener's options, shares the listener's port. */
void inet_port_share(struct inet_sock *child);
/* listen: -EADDRINUSE when somebody else listens there by now. */
int MUST_CHECK inet_port_listen(struct inet_sock *in);
void inet_port_unlisten(struct inet_sock *in);
/* Forget the remote end (disconnect of datagram sockets). */
void inet_port_disconnect(struct inet_sock *in);
/* The endpoint leaves the table; a TIME_WAIT entry stays behind when asked. */
void inet_port_release(struct inet_sock *in, bool time_wait);
/* Best listener for dst:port, +1 or NULL. */
struct inet_sock *inet_port_find_listener(struct netns *ns, const struct inet_addr *dst,
                                          uint16_t port);
/* Best endpoint of the protocol for a datagram from src:sport to dst:port, +1 or NULL. */
struct inet_sock *inet_port_find_udp(struct netns *ns, uint32_t protocol,
                                     const struct inet_addr *src, uint16_t sport,
                                     const struct inet_addr *dst, uint16_t port);
/* All that take a multicast or broadcast to dst:port: *out is an array of +1. */
size_t inet_port_find_multicast(struct inet_sock *from, const struct inet_addr *dst, uint16_t port,
                                struct inet_sock ***out);
void inet_time_wait_free_all(struct netns *ns);
/* Calls fn for each TIME_WAIT entry under the table lock (/proc/net/tcp). */
void inet_time_wait_for_each(struct netns *ns, void (*fn)(const struct inet_bind *, void *),
                             void *arg);

/* ---- protocols ------------------------------------------------------------------------------ */
int MUST_CHECK tcp_create(struct netns *ns, int family, int protocol, struct sock **out);
int MUST_CHECK udp_create(struct netns *ns, int family, int protocol, struct sock **out);
int MUST_CHECK raw_create(struct netns *ns, int family, int type, int protocol, struct sock **out);
enum lx_tcp_state tcp_state(struct sock *sk);
/* Queue sizes for /proc/net/{tcp,udp}: receive and send side. */
void inet_queue_sizes(struct sock *sk, uint32_t *out_rx, uint32_t *out_tx);
bool inet_is_tcp(const struct sock *sk);
uint32_t udp_queued(struct sock *sk);
