/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sendmsg and recvmsg of host sockets. Bytes go through a buffer of the sentry: guest memory can be
 * unmapped under a host call, a buffer cannot. Every host call is MSG_DONTWAIT; MSG_WAITALL,
 * SO_RCVLOWAT and the timeouts are ours.
 *
 * Control messages to the host are copied one by one and only of kinds listed in cmsg_allowed;
 * those from the host are handed on through cmsg_put, which cuts them to the guest's room.
 *
 * DEVIATION: bytes that the host gave out are lost when the guest's buffer cannot be written (Linux
 * leaves a stream's bytes in the queue).
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "platform/host/file.h"
#include "platform/host/sock.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/host/host_internal.h"

/* Pieces stay below the size from which malloc maps memory anew for each (upload was 4 times slower). */
enum { SMALL_SIZE = 4096, CHUNK_SIZE = 65536, DATAGRAM_MAX = 65536, CONTROL_SIZE = 1024 };

#define SEND_FLAGS                                                                                 \
    (LX_MSG_OOB | LX_MSG_DONTROUTE | LX_MSG_EOR | LX_MSG_CONFIRM | LX_MSG_MORE | LX_MSG_FASTOPEN | \
     0x10u /* MSG_PROBE */)
#define RECV_FLAGS (LX_MSG_OOB | LX_MSG_PEEK | LX_MSG_TRUNC | LX_MSG_ERRQUEUE | LX_MSG_CONFIRM)

/* Sentry memory that bytes pass through: the stack for small transfers. */
struct bounce {
    uint8_t *data;
    size_t size;
    uint8_t small[SMALL_SIZE];
};

static int bounce_init(struct bounce *b, size_t size)
{
    b->data = size > sizeof(b->small) ? malloc(size) : b->small;
    b->size = size;
    return b->data ? 0 : -ENOMEM;
}

static void bounce_destroy(struct bounce *b)
{
    if (b->data != b->small)
        free(b->data);
}

static bool is_stream(const struct sock *sk)
{
    return sk->type == LX_SOCK_STREAM;
}

/* ---- sending -------------------------------------------------------------------------------- */

/* 1 hand on, 0 leave out, -EINVAL. */
static int cmsg_allowed(const struct lx_cmsghdr *h)
{
    switch (h->level) {
    case LX_SOL_SOCKET:
        /* Linux: rights and credentials belong to AF_UNIX and are passed over elsewhere. */
        if (h->type == LX_SCM_RIGHTS || h->type == LX_SCM_CREDENTIALS)
            return 0;
        return h->type == LX_SO_TIMESTAMPING || h->type == LX_SO_TIMESTAMPING_NEW ? 1 : -EINVAL;
    case LX_SOL_IP:
        return h->type == LX_IP_TTL || h->type == LX_IP_TOS || h->type == LX_IP_PKTINFO ||
                       h->type == LX_IP_RETOPTS
                   ? 1
                   : -EINVAL;
    case LX_SOL_IPV6:
        return h->type == LX_IPV6_PKTINFO || h->type == LX_IPV6_HOPLIMIT ||
                       h->type == LX_IPV6_TCLASS || h->type == LX_IPV6_2292PKTINFO ||
                       h->type == LX_IPV6_2292HOPLIMIT
                   ? 1
                   : -EINVAL;
    case LX_SOL_UDP:
        return h->type == LX_UDP_SEGMENT ? 1 : -EINVAL;
    default:
        return 0; /* Linux: levels of other protocols are passed over */
    }
}

/* The messages that may go to the host. *out is allocated or NULL. */
static int control_filter(const struct net_msg *m, uint8_t **out, size_t *out_size)
{
    struct lx_cmsghdr h;
    const uint8_t *data;
    size_t off = 0, size;
    int ret;

    *out = NULL;
    *out_size = 0;
    if (!m->control_size)
        return 0;
    *out = calloc(1, LX_CMSG_ALIGN(m->control_size) + sizeof(h));
    if (!*out)
        return -ENOBUFS;
    while ((ret = cmsg_next(m, &off, &h, &data, &size)) > 0) {
        ret = cmsg_allowed(&h);
        if (ret < 0)
            break;
        if (ret) {
            memcpy(*out + *out_size, &h, sizeof(h));
            memcpy(*out + *out_size + sizeof(h), data, size);
            *out_size += LX_CMSG_ALIGN(sizeof(h) + size);
        }
    }
    return ret;
}

struct send {
    struct host_sock *h;
    struct msghdr msg;
    struct iovec iov;
    uint32_t flags;
    struct sock_wait wait;
};

static void send_init(struct send *s, struct sock *sk, struct net_msg *m, uint8_t *control,
                      size_t control_size)
{
    memset(s, 0, sizeof(*s));
    s->h = host_of(sk);
    s->flags = m->flags & SEND_FLAGS;
    s->msg = (struct msghdr){
        .msg_name = m->addr.len ? m->addr.bytes : NULL,
        .msg_namelen = m->addr.len,
        .msg_iov = &s->iov,
        .msg_iovlen = 1,
        .msg_control = control_size ? control : NULL,
        .msg_controllen = control_size,
    };
    sock_wait_init(&s->wait, sk, WAKE_OUT, sk->sndtimeo, msg_nonblock(m));
}

/* One host call that waits for room. Bytes or -errno. */
static ssize_t send_wait(struct send *s, void *data, size_t size, uint32_t more)
{
    for (;;) {
        ssize_t ret;
        int waited;

        s->iov = (struct iovec){data, size};
        ret = host_sendmsg(s->h->fd, &s->msg, (int)(s->flags | more | MSG_DONTWAIT | MSG_NOSIGNAL));
        /* MSG_FASTOPEN on a kernel that has no cookie: a connect that goes on by itself. */
        if (ret == -EINPROGRESS && (s->flags & LX_MSG_FASTOPEN) && !s->wait.nonblock) {
            s->flags &= ~LX_MSG_FASTOPEN;
            s->msg.msg_namelen = 0;
            ret = -EAGAIN;
        }
        if (ret != -EAGAIN)
            return ret;
        host_sock_watch(s->h);
        waited = sock_wait(&s->wait);
        if (waited < 0)
            return waited;
    }
}

static ssize_t send_stream(struct send *s, struct iov_iter *it, struct bounce *b)
{
    size_t done = 0;
    ssize_t ret = 0;

    do {
        size_t want = MIN(iov_iter_count(it), b->size), got = copy_from_iter(it, b->data, want);
        size_t off = 0;

        if (got < want && got == 0) {
            ret = -EFAULT;
            break;
        }
        do {
            /* The end of a piece is no reason to send a short segment. */
            uint32_t more = iov_iter_count(it) && got == want ? LX_MSG_MORE : 0;

            ret = send_wait(s, b->data + off, got - off, more);
            if (ret < 0)
                break;
            off += (size_t)ret;
            done += (size_t)ret;
        } while (off < got);
        if (ret < 0 || got < want)
            break;
    } while (iov_iter_count(it));
    return done ? (ssize_t)done : ret;
}

ssize_t host_sock_sendmsg(struct sock *sk, struct net_msg *m)
{
    size_t count = iov_iter_count(m->iter), control_size;
    struct bounce b;
    struct send s;
    uint8_t *control = NULL;
    ssize_t ret = sock_take_error(sk);

    if (ret < 0)
        return ret;
    if (!is_stream(sk) && count > 0xffff)
        return -EMSGSIZE;
    ret = bounce_init(&b, MIN(count, (size_t)CHUNK_SIZE));
    if (ret < 0)
        return ret;
    ret = control_filter(m, &control, &control_size);
    if (ret < 0)
        goto out;
    send_init(&s, sk, m, control, control_size);
    if (is_stream(sk))
        ret = send_stream(&s, m->iter, &b);
    else if (copy_from_iter(m->iter, b.data, count) < count)
        ret = -EFAULT;
    else
        ret = send_wait(&s, b.data, count, 0);
    sock_wait_end(&s.wait);
    if (ret == -EPIPE && is_stream(sk))
        ret = sock_epipe(m->flags);
out:
    free(control);
    bounce_destroy(&b);
    return ret;
}

/* ---- receiving ------------------------------------------------------------------------------ */

struct recv {
    struct host_sock *h;
    uint8_t control[CONTROL_SIZE];
    struct sock_wait wait;
};

/* One host call, no waiting. */
static ssize_t recv_once(struct recv *r, struct net_msg *m, void *data, size_t size)
{
    struct iovec iov = {data, size};
    struct msghdr msg = {
        .msg_name = m->want_name ? m->addr.bytes : NULL,
        .msg_namelen = m->want_name ? sizeof(m->addr.bytes) : 0,
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = m->cmsg.limit ? r->control : NULL,
        .msg_controllen = m->cmsg.limit ? sizeof(r->control) : 0,
    };
    ssize_t ret = host_recvmsg(r->h->fd, &msg, (int)((m->flags & RECV_FLAGS) | MSG_DONTWAIT));
    struct cmsghdr *c;

    if (ret < 0)
        return ret;
    m->out_flags |= (uint32_t)msg.msg_flags & ~(uint32_t)(MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (m->want_name)
        m->addr.len = MIN(msg.msg_namelen, (unsigned)sizeof(m->addr.bytes));
    for (c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            cmsg_put(m, c->cmsg_level, c->cmsg_type, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
    }
    return ret;
}

static ssize_t recv_wait(struct recv *r, struct net_msg *m, void *data, size_t size)
{
    for (;;) {
        ssize_t ret = recv_once(r, m, data, size);

        /* Linux: neither of these waits. */
        if (ret != -EAGAIN || (m->flags & (LX_MSG_OOB | LX_MSG_ERRQUEUE)))
            return ret;
        host_sock_watch(r->h);
        ret = sock_wait(&r->wait);
        if (ret < 0)
            return ret;
    }
}

static ssize_t recv_datagram(struct recv *r, struct net_msg *m, struct bounce *b)
{
    ssize_t ret = recv_wait(r, m, b->data, b->size);
    size_t got = ret < 0 ? 0 : MIN((size_t)ret, b->size);

    if (got && copy_to_iter(m->iter, b->data, got) < got)
        return -EFAULT;
    return ret;
}

/* Nothing more will come: a look at the bytes cannot grow. */
static bool at_end(struct host_sock *h)
{
    struct pollfd pfd = {.fd = h->fd, .events = POLLRDHUP};
    struct timespec zero = {0, 0};

    return host_ppoll(&pfd, 1, &zero) > 0;
}

/* MSG_PEEK: the bytes stay, so waiting for more means looking at all of them again. */
static ssize_t recv_peek(struct recv *r, struct net_msg *m, struct bounce *b, size_t target)
{
    ssize_t ret;

    target = MIN(target, b->size);
    for (;;) {
        ret = recv_wait(r, m, b->data, b->size);
        if (ret <= 0 || (size_t)ret >= target || r->wait.nonblock || at_end(r->h))
            break;
        host_sock_watch(r->h);
        if (sock_wait(&r->wait) < 0)
            break; /* what is there is the answer */
    }
    if (ret > 0) {
        size_t n = copy_to_iter(m->iter, b->data, (size_t)ret);

        ret = n ? (ssize_t)n : -EFAULT;
    }
    return ret;
}

/* Bytes until target are there, then as many as there are without waiting. */
static ssize_t recv_stream(struct recv *r, struct net_msg *m, struct bounce *b, size_t target)
{
    /* Linux: MSG_TRUNC on TCP throws the bytes away. */
    bool discard = m->flags & LX_MSG_TRUNC;
    size_t done = 0, count = iov_iter_count(m->iter);
    ssize_t ret;

    do {
        size_t want = MIN(count - done, b->size), n;

        ret = done < target ? recv_wait(r, m, b->data, want) : recv_once(r, m, b->data, want);
        if (ret <= 0)
            break;
        n = discard ? (size_t)ret : copy_to_iter(m->iter, b->data, (size_t)ret);
        done += n;
        if (n < (size_t)ret) {
            ret = -EFAULT;
            break;
        }
        /* A short answer is all that there was. */
        if ((size_t)ret < want && done >= target)
            break;
    } while (done < count);
    return done ? (ssize_t)done : ret;
}

ssize_t host_sock_recvmsg(struct sock *sk, struct net_msg *m)
{
    size_t count = iov_iter_count(m->iter), target;
    struct bounce b;
    struct recv r = {.h = host_of(sk)};
    ssize_t ret = sock_take_error(sk);
    bool plain = is_stream(sk) && !(m->flags & (LX_MSG_OOB | LX_MSG_ERRQUEUE));

    if (ret < 0)
        return ret;
    ret = bounce_init(&b, MIN(count, plain ? (size_t)CHUNK_SIZE : (size_t)DATAGRAM_MAX));
    if (ret < 0)
        return ret;
    target = m->flags & LX_MSG_WAITALL ? count : MIN(count, (size_t)MAX(sk->rcvlowat, 1));
    sock_wait_init(&r.wait, sk, WAKE_IN, sk->rcvtimeo, msg_nonblock(m));
    /* Linux: a blocking read of nothing still waits on datagrams, and asks a stream for its state.
     */
    if (!plain || count == 0)
        ret = recv_datagram(&r, m, &b);
    else if (m->flags & LX_MSG_PEEK)
        ret = recv_peek(&r, m, &b, target);
    else
        ret = recv_stream(&r, m, &b, target);
    sock_wait_end(&r.wait);
    bounce_destroy(&b);
    return ret;
}
