/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket layer. A `struct sock` is one communication endpoint; a `struct socket` is the open
 * file that programs hold. They are two objects because an endpoint can outlive its file (a TCP
 * peer still reads what was sent) and can exist before it has one (a connection that waits in
 * accept's queue).
 *
 * Families implement struct sock_ops; embedding + container_of gives them their own state. The
 * layer above (syscalls/socket*.c) decodes arguments; this layer has checked nothing but
 * descriptors.
 *
 * Locks: sk->lock (rank SOCK) guards one endpoint's state and receive queue. Two endpoints are
 * locked with sock_lock_pair. Name and port tables (SOCK_TABLE) come before it. Guest bytes may be
 * copied under SOCK (it ranks before MM). Nobody sleeps with either held.
 */
#pragma once

#include "platform/base/list.h"
#include "sentry/abi/socket.h"
#include "sentry/core/clock.h"
#include "sentry/core/pid.h"
#include "sentry/fs/vfs.h"

struct netns;
struct sock;
struct sock_program;
struct scm;

/* An address of any family as it crosses the layers. len 0: none. */
struct sockaddr_buf {
    uint32_t len;
    union {
        uint16_t family;
        uint8_t bytes[128];
        struct lx_sockaddr_storage storage;
    };
};

/* Control messages on their way to the guest: filled by cmsg_put, copied out by the caller. */
struct cmsg_out {
    uint8_t *data; /* owned */
    size_t size;   /* bytes used */
    size_t limit;  /* msg_controllen of the guest */
};

/* One sendmsg or recvmsg. */
struct net_msg {
    struct iov_iter *iter;
    uint32_t flags;     /* LX_MSG_* of the call; MSG_DONTWAIT is set when the file is nonblocking */
    uint32_t out_flags; /* recv: msg_flags */
    bool want_name;     /* recv: addr is asked for */
    struct sockaddr_buf addr; /* send: destination; recv: source */
    const uint8_t *control;   /* send: the guest's control buffer, copied in; borrowed */
    size_t control_size;
    struct cmsg_out cmsg; /* recv */
};
static inline bool msg_nonblock(const struct net_msg *m)
{
    return m->flags & LX_MSG_DONTWAIT;
}

/* A run of queued bytes or one datagram. Lifetime: unique, owned by the queue it is on. */
struct nbuf {
    struct list node;
    size_t off, size; /* unread bytes are data[off..size) */
    size_t cap;
    size_t truesize;           /* what is charged for it */
    struct sock *owner;        /* +1: charged for wmem until freed, or NULL */
    struct scm *scm;           /* owned: descriptors and credentials, or NULL */
    uint64_t stamp;            /* realtime ns of arrival */
    uint32_t flags;            /* NBUF_* */
    uint32_t tag;              /* for the protocol */
    struct sockaddr_buf *from; /* owned: source address of a datagram, or NULL */
    void *meta;                /* owned (free): protocol's per-datagram data, or NULL */
    uint8_t data[];
};
#define NBUF_EOR 1u

#define SOCK_SHUT_RCV 1u
#define SOCK_SHUT_SND 2u

/* Ops may block unless noted, hold nothing on entry. NULL op: errno in brackets. */
struct sock_ops {
    int (*bind)(struct sock *sk, const struct sockaddr_buf *addr); /* [-EOPNOTSUPP] */
    int (*connect)(struct sock *sk, const struct sockaddr_buf *addr, bool nonblock); /* same */
    int (*listen)(struct sock *sk, int backlog);                                     /* same */
    /* *out: +1 endpoint of the next connection. */
    int (*accept)(struct sock *sk, bool nonblock, struct sock **out);     /* same */
    int (*getname)(struct sock *sk, bool peer, struct sockaddr_buf *out); /* required */
    ssize_t (*sendmsg)(struct sock *sk, struct net_msg *m);               /* required */
    ssize_t (*recvmsg)(struct sock *sk, struct net_msg *m);               /* required */
    int (*shutdown)(struct sock *sk, int how);                            /* [-EOPNOTSUPP] */
    /* Levels other than SOL_SOCKET, and SOL_SOCKET names that the generic code does not know. val
     * is a sentry copy of len bytes. */
    int (*setsockopt)(struct sock *sk, int level, int name, const void *val, uint32_t len);
    /* *len: room in, bytes used out. [-ENOPROTOOPT] */
    int (*getsockopt)(struct sock *sk, int level, int name, void *val, uint32_t *len);
    uint32_t (*poll)(struct sock *sk);                         /* required; must not block */
    long (*ioctl)(struct sock *sk, uint32_t cmd, uaddr_t arg); /* [-ENOTTY] */
    /* What mmap of the file maps, borrowed from sk; NULL: nothing. [-ENODEV] */
    struct mappable *(*mappable)(struct sock *sk);
    /* The file is gone (or never came to be): start the protocol's close. The caller drops its
     * reference afterwards. May block for SO_LINGER when linger is true. */
    void (*close)(struct sock *sk, bool linger);
    /* Last reference gone; frees sk (embedded). Required. */
    void (*destroy)(struct sock *sk);
    /* SOL_SOCKET goes to setsockopt and getsockopt whole, without sock_setsockopt before it. */
    bool own_socket_level;
    /* Somebody may want SIGIO or SIGURG from here on. [nothing] */
    void (*signals_wanted)(struct sock *sk);
    /* Told after SO_ATTACH_FILTER or SO_DETACH_FILTER. [nothing] */
    void (*filter_changed)(struct sock *sk);
    /* Told after SOL_SOCKET options changed buffer sizes. [nothing] */
    void (*buffers_changed)(struct sock *sk);
};

/* SOL_SOCKET options that have no effect beyond being remembered are bits of sk->flags. */
#define SOCK_F_DEBUG         0x0001u
#define SOCK_F_REUSEADDR     0x0002u
#define SOCK_F_DONTROUTE     0x0004u
#define SOCK_F_BROADCAST     0x0008u
#define SOCK_F_KEEPALIVE     0x0010u
#define SOCK_F_OOBINLINE     0x0020u
#define SOCK_F_NO_CHECK      0x0040u
#define SOCK_F_REUSEPORT     0x0080u
#define SOCK_F_PASSCRED      0x0100u
#define SOCK_F_PASSSEC       0x0200u
#define SOCK_F_TIMESTAMP     0x0400u
#define SOCK_F_TIMESTAMPNS   0x0800u
#define SOCK_F_RXQ_OVFL      0x1000u
#define SOCK_F_SNDBUF_LOCK   0x2000u
#define SOCK_F_RCVBUF_LOCK   0x4000u
#define SOCK_F_ZEROCOPY      0x8000u
#define SOCK_F_NOFCS         0x10000u
#define SOCK_F_WIFI_STATUS   0x20000u
#define SOCK_F_SELECT_ERR    0x40000u
#define SOCK_F_PASSPIDFD     0x80000u
#define SOCK_F_TIMESTAMP_NEW 0x100000u
#define SOCK_F_RCVMARK       0x200000u
#define SOCK_F_LOCK_FILTER   0x400000u
#define SOCK_F_FILTER        0x800000u

/* Lifetime: refcounted (sock_get/sock_put): by its file, queues, tables and its peer.
 * Keys: I immutable; l ->lock; a atomic */
struct sock {
    struct refs refs;
    const struct sock_ops *ops; /* I */
    struct netns *netns;        /* I, +1 */
    uint16_t family, type;      /* I */
    uint32_t protocol;          /* I */
    uint64_t ino;               /* I after the file exists: the file's inode number */
    lx_uid_t uid;               /* I: creator, for reuseport and /proc/net */
    struct waitq wq;
    struct mutex lock;                     /* rank SOCK */
    struct file *file;                     /* l, borrowed: the file clears it in release */
    atomic_uint flags;                     /* a: SOCK_F_* */
    atomic_int err;                        /* a: pending SO_ERROR, positive errno */
    atomic_uint shutdown;                  /* a: SOCK_SHUT_* */
    atomic_int sndbuf, rcvbuf;             /* a: as getsockopt shows them */
    atomic_long wmem;                      /* a: truesize of buffers charged to it */
    uint64_t rcvtimeo, sndtimeo;           /* l: ns, NO_DEADLINE: none */
    int rcvlowat;                          /* l */
    struct lx_linger linger;               /* l */
    uint32_t priority, mark;               /* l */
    int peek_off;                          /* l: -1 off */
    int incoming_cpu, busy_poll, bound_if; /* l */
    uint64_t pacing_rate, cookie;          /* l */
    uint64_t last_stamp;          /* l: realtime ns of the last datagram read (SIOCGSTAMP) */
    struct sock_program *program; /* l, +1 or NULL: SO_ATTACH_FILTER (filter.c) */
    struct list netns_node;       /* netns->socks_lock: every endpoint of the namespace */
    /* Peer credentials for SO_PEERCRED, taken at connect/listen/socketpair. l */
    struct pid *peer_pid;   /* +1 or NULL */
    struct cred *peer_cred; /* +1 or NULL */
};

/* The open file of an endpoint. */
struct socket {
    struct file file;
    struct sock *sk; /* I, +1 */
};

#define SOCK_DEFAULT_BUF 212992

/* Fills the generic part; refs = 1; takes a reference on the caller's netns. */
void sock_init(struct sock *sk, const struct sock_ops *ops, struct netns *ns, int family, int type,
               int protocol);
void sock_destroy_generic(struct sock *sk); /* from ops->destroy */
struct sock *sock_get(struct sock *sk);
/* Holds no lock. */
void sock_put(struct sock *sk);
/* Both in address order; b may be NULL or equal to a. */
void sock_lock_pair(struct sock *a, struct sock *b) NO_THREAD_SAFETY;
void sock_unlock_pair(struct sock *a, struct sock *b) NO_THREAD_SAFETY;
/* Readiness changed: wakes sleepers and epoll; the locked form also sends SIGIO. */
void sock_wake(struct sock *sk, uint32_t events);
void sock_wake_locked(struct sock *sk, uint32_t events);
/* Urgent data came: SIGURG to the file's owner, O_ASYNC or not. Any thread. */
void sock_signal_urgent_locked(struct sock *sk);
/* Takes the pending error: 0 or -errno. */
int sock_take_error(struct sock *sk);
/* Remembers the caller as the peer of sk (sk->lock held or sk not yet shared). */
void sock_set_peer_cred_locked(struct sock *sk, struct pid *pid, struct cred *cred);
/*
 * The wait loop of a blocking call:
 *     sock_wait_init(&w, sk, events, timeo, nonblock);
 *     for (;;) { lock; done = try; unlock; if (done) break; ret = sock_wait(&w); if (ret < 0)
 * break; } sock_wait_end(&w); The first sock_wait only joins the queue, so that what happened
 * before is seen by one more try.
 */
struct sock_wait {
    struct waiter waiter;
    struct waitq *wq;
    uint64_t timeo, deadline;
    bool nonblock, joined;
};
/* timeo: relative ns or NO_DEADLINE. */
void sock_wait_init(struct sock_wait *w, struct sock *sk, uint32_t events, uint64_t timeo,
                    bool nonblock);
/* 0: try again; -EAGAIN (nonblock or timeout), -ERESTARTSYS, -EINTR (signal with a timeout set). */
int MUST_CHECK sock_wait(struct sock_wait *w);
void sock_wait_end(struct sock_wait *w);
/*
 * recvmsg of an endpoint with a queue of messages (struct nbuf). take copies the head of the queue to m, and returns what recvmsg shall;
 * unless it was peeked at, the message is gone then, gone accounts for it. Both hold sk->lock. 0 behind the last message of an
 * endpoint that is shut down for reading.
 */
struct sock_queue {
    struct list *head;
    ssize_t (*take)(struct sock *sk, struct net_msg *m, struct nbuf *b);
    void (*gone)(struct sock *sk, const struct nbuf *b);
};
ssize_t sock_recv_queued(struct sock *sk, struct net_msg *m, const struct sock_queue *q);
/* sockets of family x type x protocol: checks the combination. *out +1. */
int MUST_CHECK sock_create(struct netns *ns, int family, int type, int protocol, struct sock **out);
/* bind(2), connect(2) with the question to the security module. */
int sock_bind(struct sock *sk, const struct sockaddr_buf *addr);
int sock_connect(struct sock *sk, const struct sockaddr_buf *addr, bool nonblock);
/* SIGPIPE unless MSG_NOSIGNAL; returns -EPIPE. */
int sock_epipe(uint32_t msg_flags);

/* An open file for sk; consumes the reference on success. flags: LX_SOCK_NONBLOCK. */
int MUST_CHECK socket_file_new_take(struct sock *sk, uint32_t flags, struct file **out);
/* Borrowed; -ENOTSOCK. */
int MUST_CHECK socket_from_file(struct file *f, struct sock **out);

/* SOL_SOCKET. val is sentry memory. */
int sock_setsockopt(struct sock *sk, int name, const void *val, uint32_t len);
int sock_getsockopt(struct sock *sk, int name, void *val, uint32_t *len);
/* Copies an option value of size bytes to val, cut to *len, and sets *len. */
int sockopt_put(void *val, uint32_t *len, const void *src, uint32_t size);
int sockopt_put_int(void *val, uint32_t *len, int v);
/* An int option: -EINVAL when shorter. */
int sockopt_get_int(const void *val, uint32_t len, int *out);
long sock_ioctl_generic(struct sock *sk, uint32_t cmd, uaddr_t arg);
/* SIOCGIF*, SIOCSIF* (ifioctl.c). -ENOTTY when it is none of them. */
long netdev_ioctl(struct netns *ns, uint32_t cmd, uaddr_t arg);

/* ---- buffers ------------------------------------------------------------------------------- */

/* cap bytes of room, nothing in it; NULL when out of memory. */
struct nbuf *nbuf_new(size_t cap);
/* Frees with scm, address and charge; wakes the owner's writers. Holds no lock. */
void nbuf_free(struct nbuf *b);
/* Charges b to sk (takes a reference). */
void nbuf_charge(struct nbuf *b, struct sock *sk);
/* Frees everything on the list. Holds no lock. */
void nbuf_list_free(struct list *head);
static inline size_t nbuf_left(const struct nbuf *b)
{
    return b->size - b->off;
}
/* SO_TIMESTAMP* and SO_RXQ_OVFL control messages of a datagram. */
void sock_put_timestamp(struct sock *sk, struct net_msg *m, const struct nbuf *b);

/* ---- control messages ---------------------------------------------------------------------- */

/* Appends one; sets MSG_CTRUNC when it does not fit, as put_cmsg does. */
void cmsg_put(struct net_msg *m, int level, int type, const void *data, size_t size);
/* Bytes of payload that a message may still have. 0: not even a header. */
size_t cmsg_room(const struct net_msg *m);
/* Walks the guest's control buffer: *off starts at 0. 1: *out and *out_data are set; 0: end;
 * -EINVAL: malformed. */
int cmsg_next(const struct net_msg *m, size_t *off, struct lx_cmsghdr *out,
              const uint8_t **out_data, size_t *out_size);
