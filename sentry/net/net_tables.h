/* SPDX-License-Identifier: Apache-2.0 */
/* What a network namespace holds: its endpoints, names, ports and sysctls. Inside net/ and for
 * /proc/net only. */
#pragma once

#include "platform/base/refs.h"
#include "platform/base/tree.h"
#include "sentry/net/netns.h"
#include "sentry/net/sock.h"

#define PORT_BUCKETS 256

struct unix_sock;
struct inet_transport_ops;

/* A hash of bound ports: lists of struct inet_bind. Guarded by netns->table_lock. */
struct port_table {
    struct list buckets[PORT_BUCKETS];
};

/* Keys: I immutable; t ->table_lock; s ->socks_lock; o ->lo_lock; a atomic */
struct netns {
    struct refs refs;
    struct userns *owner;               /* I, +1 */
    uint64_t inum;                      /* I */
    uint64_t cookie;                    /* I */
    struct mutex table_lock;            /* rank SOCK_TABLE */
    struct unix_sock *unix_names;       /* t: uthash of abstract names */
    struct port_table tcp, udp;         /* t */
    struct list time_wait;              /* t: struct inet_bind by expiry */
    uint32_t time_wait_count;           /* t */
    struct mutex socks_lock;            /* rank LEAF */
    struct list socks;                  /* s: struct sock by netns_node */
    atomic_bool lo_up;                  /* a */
    atomic_int lo_mtu, lo_txqlen;       /* a */
    struct mutex lo_lock;               /* rank LEAF */
    struct list lo_addrs;               /* o: struct lo_addr (inet/lo.h) */
    atomic_int port_min, port_max;      /* a: ip_local_port_range */
    atomic_int somaxconn;               /* a */
    atomic_int unpriv_port;             /* a: ip_unprivileged_port_start */
    atomic_int unix_qlen;               /* a: max_dgram_qlen */
    atomic_ullong ping_groups;          /* a: ping_group_range: the first, the last << 32 */
    atomic_ullong lo_bytes, lo_packets; /* a: statistics of lo */
    atomic_uint raw_socks;              /* a: raw sockets that are not ICMP's alone */
    atomic_uint watchers;               /* a: AF_PACKET sockets (link/link.h) */
    atomic_uint ephemeral;              /* a: where the next search for a port starts */
    /* Who carries what is not loopback; NULL: there is no route. */
    const struct inet_transport_ops *transport; /* I */
};

/* May the caller have an ICMP socket that is not raw? Groups are the kernel's. */
bool netns_may_ping(const struct netns *ns);

/* Calls fn for each endpoint, each pinned, no lock held. fn returns false to stop. */
void netns_for_each_sock(struct netns *ns, bool (*fn)(struct sock *sk, void *arg), void *arg);
/* Counts a transfer on lo. */
void netns_count_lo(struct netns *ns, size_t bytes);
