/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX endpoints. unix(7). */
#pragma once

#include "platform/base/tree.h"
#include "sentry/abi/un.h"
#include "sentry/net/net_tables.h"
#include "sentry/net/unix/scm.h"

/*
 * CLOSED      fresh or, for datagrams, always (peer says whether connected)
 * LISTENING   accept, connect to it; stream and seqpacket only
 * CONNECTED   send, receive; stays so after the peer is gone (shutdown bits tell)
 */
enum unix_state { UNIX_CLOSED, UNIX_LISTENING, UNIX_CONNECTED };

/* Lifetime: refcounted by its sock.
 * Keys: l sk.lock; t netns->table_lock; g in-flight lock (scm.c) */
struct unix_sock {
    struct sock sk;
    enum unix_state state;          /* l */
    bool dead;                      /* l: the file is gone */
    bool ever_shut;                 /* l: Linux's "was the peer's end closed with data unread" */
    struct sockaddr_buf addr;       /* l and t for writers; len 0: no name */
    uint8_t *name_key;              /* t, owned: key of the abstract table, type first */
    uint32_t name_key_len;          /* t */
    bool name_hashed;               /* t */
    UT_hash_handle hh;              /* t */
    struct path path;               /* l: bound pathname, +1, or empty */
    struct unix_sock *peer;         /* l, +1 */
    struct list recvq;              /* l: struct nbuf */
    size_t rcv_bytes;               /* l */
    uint32_t rcv_count;             /* l: datagrams */
    struct list accept_queue;       /* l: struct unix_sock by accept_node, +1 each */
    struct list accept_node;        /* listener's l */
    uint32_t accept_count, backlog; /* l */
    /* Datagram senders that found our queue full: woken when it drains. l */
    struct list blocked_senders; /* struct unix_waiting, each with a reference on its sender */
    /* in-flight accounting */
    struct list inflight_node;  /* g */
    uint32_t inflight;          /* g: times its file is in some queue */
    uint32_t gc_count;          /* g */
    bool gc_candidate;          /* g */
    struct list gc_node;        /* g */
    struct list scm_list;       /* g: scms in our queue, or in those of not yet accepted children */
    struct unix_sock *scm_home; /* g, borrowed: the listener until accepted, then itself */
};

static inline struct unix_sock *unix_of(struct sock *sk)
{
    return container_of(sk, struct unix_sock, sk);
}

int MUST_CHECK unix_create(struct netns *ns, int type, int protocol, struct sock **out);
/* Connects two fresh endpoints of unix_create. */
void unix_pair(struct sock *a, struct sock *b);

/* ---- inside unix/ ---- */
extern const struct sock_ops g_unix_stream_ops, g_unix_dgram_ops, g_unix_seqpacket_ops;
int MUST_CHECK unix_alloc(struct netns *ns, const struct sock_ops *ops, int type,
                          struct unix_sock **out);
/* Resolves a name for connect and sendto: +1. */
int MUST_CHECK unix_find(struct netns *ns, const struct sockaddr_buf *addr, int type,
                         struct unix_sock **out);
int unix_check_addr(const struct sockaddr_buf *addr);
int unix_autobind(struct unix_sock *u);
int unix_bind(struct sock *sk, const struct sockaddr_buf *addr);
int unix_getname(struct sock *sk, bool peer, struct sockaddr_buf *out);
int unix_shutdown(struct sock *sk, int how);
int unix_getsockopt(struct sock *sk, int level, int name, void *val, uint32_t *len);
int unix_listen(struct sock *sk, int backlog);
int unix_accept(struct sock *sk, bool nonblock, struct sock **out);
int unix_stream_connect(struct sock *sk, const struct sockaddr_buf *addr, bool nonblock);
long unix_ioctl(struct sock *sk, uint32_t cmd, uaddr_t arg);
void unix_close(struct sock *sk, bool linger);
void unix_destroy(struct sock *sk);
/* Room for more to be sent (poll's threshold). */
static inline bool unix_writable(struct unix_sock *u)
{
    return u->sk.wmem * 4 <= u->sk.sndbuf;
}
ssize_t unix_stream_sendmsg(struct sock *sk, struct net_msg *m);
ssize_t unix_stream_recvmsg(struct sock *sk, struct net_msg *m);
ssize_t unix_dgram_sendmsg(struct sock *sk, struct net_msg *m);
ssize_t unix_dgram_recvmsg(struct sock *sk, struct net_msg *m);
/* Dequeues and drops what is queued: *out collects the buffers for freeing without locks. */
void unix_take_queue_locked(struct unix_sock *u, struct list *out);
/* Takes everybody who waits for room in u's queue off the list. */
void unix_take_blocked_locked(struct unix_sock *u, struct list *out);
void unix_wake_blocked(struct list *waiting);
