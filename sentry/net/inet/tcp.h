/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP endpoint on the loopback: see tcp.c. Inside inet/ only. */
#pragma once

#include "sentry/net/inet/inet.h"

/*
 * states (enum lx_tcp_state) and what may be called
 * CLOSE        fresh, or ended: bind, connect, listen (fresh); reads see EOF or the error (ended)
 * LISTEN       accept, shutdown
 * SYN_SENT     waits for room in the listener's accept queue
 * ESTABLISHED  everything
 * CLOSE_WAIT   the peer has sent FIN: we may still send
 * FIN_WAIT2    we have sent FIN: the peer may still send
 * States between (FIN_WAIT1, LAST_ACK, CLOSING) take no time on lo; TIME_WAIT is an entry of the
 * port table, not an endpoint.
 */

/* Keys: l sk.lock; a atomic; I immutable */
struct tcp_sock {
    struct inet_sock in;
    enum lx_tcp_state state; /* l */
    bool orphan;             /* l: the file is gone */
    bool connecting;         /* l: connect said EINPROGRESS and has not told the end yet */
    bool done;               /* l: FIN or RST came: reads at the end give 0 */
    bool fin_sent;           /* l: we closed our direction */
    bool active_close;       /* l: and were the first to */
    bool peer_lost;          /* l: the peer's endpoint closed fully: sending gets a reset */
    struct tcp_sock *peer;   /* l, +1: the other end while both have files */
    struct list recvq;       /* l: struct nbuf */
    struct list
        held; /* l: struct nbuf: what the filter refused and all behind it, counted in rcv_bytes */
    bool held_fin;            /* l: behind that */
    bool held_cut;            /* l: the program took some of it, and is asked again by the reader */
    _Atomic size_t rcv_bytes; /* l for writers; the other end reads it for its free space */
    uint64_t rcv_seq, read_seq; /* l: bytes that ever came in / were read */
    atomic_bool nospace;        /* a: a writer (or poll) saw us full: wake it when there is room */
    /* urgent data: at most one byte outstanding. l */
    bool urg_valid, urg_read; /* a mark exists; its byte was read out of band */
    uint64_t urg_seq;
    uint8_t urg_byte;
    /* listener. l */
    struct list accept_queue; /* struct tcp_sock by accept_node, +1 each: children */
    struct list accept_node;
    uint32_t accept_count, backlog;
    struct list syn_queue;     /* struct tcp_sock by syn_node, +1 each: clients in SYN_SENT */
    struct list syn_node;      /* listener's l */
    struct tcp_sock *listener; /* l, +1: whose syn_queue it is on */
    /* options. l */
    int nodelay, cork, quickack, keepidle, keepintvl, keepcnt, syncnt, linger2, defer_accept,
        window_clamp, user_timeout, maxseg, notsent_lowat, fastopen, fastopen_connect, inq,
        save_syn, thin_linear;
    char congestion[16];
    /* statistics. l */
    uint64_t bytes_sent, bytes_received, segs_out, segs_in;
    uint64_t last_sent, last_received; /* monotonic ns */
};

static inline struct tcp_sock *tcp_of(struct sock *sk)
{
    return container_of(inet_of(sk), struct tcp_sock, in);
}

extern const struct sock_ops g_tcp_ops;

/* tcp_show.c: segments for those who watch lo. What TCP would have sent: TCP_SHOW_* flags, and size bytes
 * of data that begin at offset `at` of what t ever sent. Holds no lock. */
enum { TCP_SHOW_FIN = 1, TCP_SHOW_SYN = 2, TCP_SHOW_RST = 4, TCP_SHOW_PSH = 8, TCP_SHOW_ACK = 16 };
struct tcp_ends {
    struct inet_addr src, dst;
    uint16_t sport, dport;
    uint32_t src_first, dst_first; /* numbers of the SYNs */
    int ttl, tos;
};
/* t, which has both addresses, as the sender. */
void tcp_ends_get(struct tcp_sock *t, struct tcp_ends *out);
void tcp_ends_get_locked(struct tcp_sock *t, struct tcp_ends *out);
enum { TCP_HEADER = 20 };
void tcp_header(uint8_t h[TCP_HEADER], const struct tcp_ends *e, unsigned flags, uint32_t seq,
                uint32_t ack, const void *data, size_t size);
struct tcp_ends tcp_ends_turned(const struct tcp_ends *e);
void tcp_show(struct netns *ns, const struct tcp_ends *e, unsigned flags, uint64_t at, uint64_t ack,
              const void *data, size_t size);
/* The handshake, or the refusal, of the connection that t asked for. */
void tcp_show_connect(struct tcp_sock *t, bool accepted);
/* What t is about to put at the end of its peer's queue, and that it came. */
void tcp_show_data(struct tcp_sock *t, struct tcp_sock *peer, const void *data, size_t size);
/* t's FIN, if it has not sent one, or its reset. */
void tcp_show_end(struct tcp_sock *t, bool reset);

/* tcp_filter.c: SO_ATTACH_FILTER. t is the receiver, locked. */
bool tcp_is_filtered_locked(struct tcp_sock *t);
/* b, which the caller gives away, goes to t's queue as far as t takes it, the rest waits. True: something
 * can be read. */
bool tcp_offer_locked(struct tcp_sock *t, struct nbuf *b);
/* t's peer sends a FIN. True: it came, behind all data. */
bool tcp_offer_fin_locked(struct tcp_sock *t);
/* Does the listener t answer the SYN of the connection between these ends? */
bool tcp_takes_syn_locked(struct tcp_sock *t, const struct tcp_ends *e);
/* Again what was refused, at most so much that it takes a moment: then held_cut is set. *out_fin: as above. True: something can
 * be read. */
bool tcp_offer_again_locked(struct tcp_sock *t, bool *out_fin);
/* The same by who does not hold t, with all that follows from a FIN (tcp.c). */
void tcp_offer_rest(struct tcp_sock *t);

/* How much t's peer may hold unread of what t sends. */
size_t tcp_send_limit(struct tcp_sock *t, struct tcp_sock *peer);
ssize_t tcp_sendmsg(struct sock *sk, struct net_msg *m);
ssize_t tcp_recvmsg(struct sock *sk, struct net_msg *m);
int tcp_setsockopt(struct sock *sk, int level, int name, const void *val, uint32_t len);
int tcp_getsockopt(struct sock *sk, int level, int name, void *val, uint32_t *len);
uint32_t tcp_poll(struct sock *sk);
long tcp_ioctl(struct sock *sk, uint32_t cmd, uaddr_t arg);
/* Waits until a connection attempt is decided. 0 or -errno. */
int tcp_wait_connected(struct tcp_sock *t, uint64_t timeo, bool nonblock);
