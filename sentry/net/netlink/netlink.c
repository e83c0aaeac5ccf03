/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_NETLINK: a request is answered within sendmsg, into the sender's own queue. NETLINK_ROUTE
 * talks to rtnetlink.c; NETLINK_KOBJECT_UEVENT may be bound and stays silent: no device ever comes
 * or goes.
 */
#include "sentry/net/netlink/netlink.h"

#include <errno.h>
#include <stdlib.h>

#include "sentry/abi/sock_diag.h"
#include "sentry/core/cred.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/filter.h"

#define REPLY_MIN   16384
#define REPLY_MAX   (4u << 20)
#define PIECE_MAX   16384
#define REQUEST_MAX 65536

/* Keys: l sk.lock */
struct netlink_sock {
    struct sock sk;
    uint32_t portid, groups; /* l */
    uint32_t dst_pid;        /* l: of connect */
    struct list recvq;       /* l: struct nbuf */
    size_t rcv_truesize;     /* l */
    uint32_t options;        /* l: a bit per boolean SOL_NETLINK option */
};

static atomic_uint next_portid = 0xfffff000u;

static struct netlink_sock *nl_of(struct sock *sk)
{
    return container_of(sk, struct netlink_sock, sk);
}

static void nl_destroy(struct sock *sk)
{
    struct netlink_sock *n = nl_of(sk);

    nbuf_list_free(&n->recvq);
    sock_destroy_generic(sk);
    free(n);
}

static void nl_close(struct sock *sk, bool linger)
{
}

struct portid_search {
    struct sock *self;
    uint32_t portid;
    bool taken;
};

static bool portid_taken(struct sock *sk, void *arg)
{
    struct portid_search *s = arg;

    if (sk != s->self && sk->family == LX_AF_NETLINK && sk->protocol == s->self->protocol &&
        nl_of(sk)->portid == s->portid)
        s->taken = true;
    return !s->taken;
}

static bool portid_used(struct sock *sk, uint32_t portid)
{
    struct portid_search s = {.self = sk, .portid = portid};

    netns_for_each_sock(sk->netns, portid_taken, &s);
    return s.taken;
}

/* The process's id when it is free, as programs expect, else an unlikely number. */
static void nl_autobind(struct netlink_sock *n)
{
    uint32_t portid = (uint32_t)pid_nr(curr()->tgid);

    if (n->portid)
        return;
    if (portid_used(&n->sk, portid))
        portid = atomic_fetch_sub(&next_portid, 1);
    n->portid = portid;
}

static int nl_addr(const struct sockaddr_buf *sa, struct lx_sockaddr_nl *out)
{
    if (sa->len < sizeof(*out))
        return -EINVAL;
    memcpy(out, sa->bytes, sizeof(*out));
    return out->family == LX_AF_NETLINK ? 0 : -EINVAL;
}

static int nl_bind(struct sock *sk, const struct sockaddr_buf *sa)
{
    struct netlink_sock *n = nl_of(sk);
    struct lx_sockaddr_nl nl;
    int ret = nl_addr(sa, &nl);

    if (ret < 0)
        return ret;
    if (n->portid) {
        if (nl.pid != n->portid)
            return -EINVAL;
    } else if (nl.pid) {
        if (portid_used(sk, nl.pid))
            return -EADDRINUSE;
        n->portid = nl.pid;
    } else {
        nl_autobind(n);
    }
    n->groups = nl.groups;
    return 0;
}

static int nl_connect(struct sock *sk, const struct sockaddr_buf *sa, bool nonblock)
{
    struct netlink_sock *n = nl_of(sk);
    struct lx_sockaddr_nl nl;
    int ret;

    if (sa->family == LX_AF_UNSPEC) {
        n->dst_pid = 0;
        return 0;
    }
    ret = nl_addr(sa, &nl);
    if (ret < 0)
        return ret;
    nl_autobind(n);
    n->dst_pid = nl.pid;
    return 0;
}

static int nl_getname(struct sock *sk, bool peer, struct sockaddr_buf *out)
{
    struct netlink_sock *n = nl_of(sk);
    struct lx_sockaddr_nl nl = {
        .family = LX_AF_NETLINK,
        .pid = peer ? n->dst_pid : n->portid,
        .groups = peer ? 0 : n->groups,
    };

    memset(out, 0, sizeof(*out));
    memcpy(out->bytes, &nl, sizeof(nl));
    out->len = sizeof(nl);
    return 0;
}

/* ---- requests ------------------------------------------------------------------------------- */

static void nl_queue(struct netlink_sock *n, const void *data, size_t size, uint32_t group)
{
    struct nbuf *b;

    if (sock_has_filter(&n->sk) && !sock_filter_bytes(&n->sk, data, &size))
        return;
    b = nbuf_new(size);
    mutex_lock(&n->sk.lock);
    if (b && n->rcv_truesize + b->truesize <= (size_t)n->sk.rcvbuf) {
        memcpy(b->data, data, size);
        b->size = size;
        b->tag = group;
        n->rcv_truesize += b->truesize;
        list_add_tail(&n->recvq, &b->node);
        b = NULL;
        sock_wake_locked(&n->sk, WAKE_IN | WAKE_RDNORM);
    } else {
        n->sk.err = ENOBUFS;
        sock_wake_locked(&n->sk, WAKE_ERR);
    }
    mutex_unlock(&n->sk.lock);
    if (b)
        nbuf_free(b);
}

void netlink_deliver(struct sock *sk, const void *data, size_t size)
{
    nl_queue(nl_of(sk), data, size, /*group=*/0);
}

struct multicast {
    uint32_t group;
    const void *data;
    size_t size;
};

static bool nl_queue_member(struct sock *sk, void *arg)
{
    const struct multicast *m = arg;

    if (sk->family == LX_AF_NETLINK && sk->protocol == LX_NETLINK_ROUTE &&
        (nl_of(sk)->groups & m->group))
        nl_queue(nl_of(sk), m->data, m->size, m->group);
    return true;
}

void netlink_multicast(struct netns *ns, uint32_t group, const void *data, size_t size)
{
    struct multicast m = {group, data, size};

    netns_for_each_sock(ns, nl_queue_member, &m);
}

static void nl_queue_done(struct netlink_sock *n, const struct lx_nlmsghdr *req)
{
    struct {
        struct lx_nlmsghdr h;
        int32_t err;
    } done = {
        .h = {.len = sizeof(done),
              .type = LX_NLMSG_DONE,
              .flags = LX_NLM_F_MULTI,
              .seq = req->seq,
              .pid = n->portid},
    };

    nl_queue(n, &done, sizeof(done), /*group=*/0);
}

/* NLMSG_ERROR: an error, or with err 0 the acknowledgement. Errors carry the request back. */
static void nl_queue_error(struct netlink_sock *n, const struct lx_nlmsghdr *req, const void *body,
                           size_t body_size, int err)
{
    uint8_t buf[sizeof(struct lx_nlmsghdr) * 2 + 4 + 1024];
    struct lx_nlmsghdr h = {.type = LX_NLMSG_ERROR, .seq = req->seq, .pid = n->portid};
    struct wbuf w;
    int32_t code = err;

    wbuf_init(&w, buf, sizeof(buf));
    if (err == 0 || (n->options & 1u << LX_NETLINK_CAP_ACK) || body_size > 1024) {
        body_size = 0;
        h.flags = LX_NLM_F_CAPPED;
    }
    h.len = (uint32_t)(sizeof(h) * 2 + sizeof(code) + body_size);
    wbuf_put(&w, &h, sizeof(h));
    wbuf_put(&w, &code, sizeof(code));
    wbuf_put(&w, req, sizeof(*req));
    wbuf_put(&w, body, body_size);
    nl_queue(n, buf, w.off, /*group=*/0);
}

/* Messages of a reply go out in pieces that readers' buffers can hold, cut between messages. */
static void nl_queue_reply(struct netlink_sock *n, const uint8_t *data, size_t size)
{
    size_t start = 0, end = 0;
    uint32_t len;

    while (end < size) {
        memcpy(&len, data + end, sizeof(len));
        if (end > start && end + len - start > PIECE_MAX) {
            nl_queue(n, data + start, end - start, /*group=*/0);
            start = end;
        }
        end += LX_NLMSG_ALIGN(len);
    }
    if (end > start)
        nl_queue(n, data + start, end - start, /*group=*/0);
}

static int nl_dispatch(struct netlink_sock *n, const struct lx_nlmsghdr *h, struct rbuf *r,
                       struct wbuf *w)
{
    if (h->type < LX_NLMSG_MIN_TYPE)
        return 0;
    return n->sk.protocol == LX_NETLINK_SOCK_DIAG
               ? sock_diag_request(n->sk.netns, h, r, n->portid, w)
               : rtnetlink_request(n->sk.netns, h, r, n->portid, w);
}

static void nl_request(struct netlink_sock *n, const struct lx_nlmsghdr *h, const uint8_t *body,
                       size_t size)
{
    uint8_t *reply = NULL;
    struct rbuf r;
    struct wbuf w = {.bad = true};
    int ret = -ENOMEM;

    if (!(h->flags & LX_NLM_F_REQUEST))
        return;
    /* A reply that does not fit is made again with more room. */
    for (size_t room = REPLY_MIN; w.bad && room <= REPLY_MAX; room *= 4) {
        free(reply);
        reply = malloc(room);
        if (!reply)
            break;
        wbuf_init(&w, reply, room);
        rbuf_init(&r, body, size);
        ret = nl_dispatch(n, h, &r, &w);
    }
    if (ret >= 0 && w.bad)
        ret = -ENOBUFS;
    if (ret >= 0 && w.off)
        nl_queue_reply(n, reply, w.off);
    if (ret == 1)
        nl_queue_done(n, h);
    else if (ret < 0 || (h->flags & LX_NLM_F_ACK))
        nl_queue_error(n, h, body, size, ret);
    free(reply);
}

static ssize_t nl_sendmsg(struct sock *sk, struct net_msg *m)
{
    struct netlink_sock *n = nl_of(sk);
    size_t size = iov_iter_count(m->iter), off = 0;
    uint32_t dst = n->dst_pid;
    struct lx_sockaddr_nl nl;
    struct lx_nlmsghdr h;
    uint8_t *data;
    int ret;

    if (m->flags & LX_MSG_OOB)
        return -EOPNOTSUPP;
    if (m->addr.len) {
        ret = nl_addr(&m->addr, &nl);
        if (ret < 0)
            return ret;
        if (nl.groups && !cred_ns_capable(curr()->cred, sk->netns->owner, LX_CAP_NET_ADMIN))
            return -EPERM;
        dst = nl.pid;
    }
    if (size > REQUEST_MAX || size > (size_t)sk->sndbuf - 32)
        return -EMSGSIZE;
    /* Port 0 is the kernel; programs do not talk to each other here. */
    if (dst)
        return -ECONNREFUSED;
    nl_autobind(n);
    data = malloc(size + 1);
    if (!data)
        return -ENOMEM;
    if (copy_from_iter(m->iter, data, size) < size) {
        free(data);
        return -EFAULT;
    }
    while (sk->protocol != LX_NETLINK_KOBJECT_UEVENT && size - off >= sizeof(h)) {
        memcpy(&h, data + off, sizeof(h));
        if (h.len < sizeof(h) || h.len > size - off)
            break;
        nl_request(n, &h, data + off + sizeof(h), h.len - sizeof(h));
        off += MIN((size_t)LX_NLMSG_ALIGN(h.len), size - off);
    }
    free(data);
    return (ssize_t)size;
}

static ssize_t nl_recvmsg(struct sock *sk, struct net_msg *m)
{
    struct netlink_sock *n = nl_of(sk);
    struct lx_sockaddr_nl from = {.family = LX_AF_NETLINK};
    struct nbuf *b, *done = NULL;
    struct sock_wait w;
    ssize_t ret;

    if (m->flags & LX_MSG_OOB)
        return -EOPNOTSUPP;
    sock_wait_init(&w, sk, WAKE_IN, sk->rcvtimeo, msg_nonblock(m));
    for (;;) {
        mutex_lock(&sk->lock);
        ret = sock_take_error(sk);
        b = list_empty(&n->recvq) ? NULL : list_first_entry(&n->recvq, struct nbuf, node);
        if (ret == 0 && b) {
            size_t want = MIN(iov_iter_count(m->iter), b->size);

            ret = copy_to_iter(m->iter, b->data, want) < want
                      ? -EFAULT
                      : (ssize_t)(m->flags & LX_MSG_TRUNC ? b->size : want);
            if (want < b->size)
                m->out_flags |= LX_MSG_TRUNC;
            from.groups = b->tag;
            if (!(m->flags & LX_MSG_PEEK)) {
                list_del(&b->node);
                n->rcv_truesize -= b->truesize;
                done = b;
            }
        } else if (ret == 0) {
            ret = -EAGAIN;
        }
        mutex_unlock(&sk->lock);
        if (ret != -EAGAIN)
            break;
        ret = sock_wait(&w);
        if (ret < 0)
            break;
    }
    sock_wait_end(&w);
    if (ret >= 0 && m->want_name) {
        memcpy(m->addr.bytes, &from, sizeof(from));
        m->addr.len = sizeof(from);
    }
    if (ret >= 0 && (n->options & 1u << LX_NETLINK_PKTINFO)) {
        uint32_t group = (uint32_t)__builtin_ffs((int)from.groups);

        cmsg_put(m, LX_SOL_NETLINK, LX_NETLINK_PKTINFO, &group, sizeof(group));
    }
    if (ret >= 0 && (sk->flags & SOCK_F_PASSCRED)) {
        struct lx_ucred kernel = {0};

        cmsg_put(m, LX_SOL_SOCKET, LX_SCM_CREDENTIALS, &kernel, sizeof(kernel));
    }
    if (done)
        nbuf_free(done);
    return ret;
}

static uint32_t nl_poll(struct sock *sk)
{
    uint32_t ev = WAKE_OUT | WAKE_WRNORM | WAKE_WRBAND;

    mutex_lock(&sk->lock);
    if (!list_empty(&nl_of(sk)->recvq))
        ev |= WAKE_IN | WAKE_RDNORM;
    if (sk->err)
        ev |= WAKE_ERR;
    mutex_unlock(&sk->lock);
    return ev;
}

static int nl_setsockopt(struct sock *sk, int level, int name, const void *val, uint32_t len)
{
    struct netlink_sock *n = nl_of(sk);
    int v, ret;

    if (level != LX_SOL_NETLINK)
        return -ENOPROTOOPT;
    ret = sockopt_get_int(val, len, &v);
    if (ret < 0)
        return ret;
    switch (name) {
    case LX_NETLINK_ADD_MEMBERSHIP:
    case LX_NETLINK_DROP_MEMBERSHIP:
        if (v < 1 || v > 64)
            return -EINVAL;
        if (v <= 32 && name == LX_NETLINK_ADD_MEMBERSHIP)
            n->groups |= 1u << (v - 1);
        else if (v <= 32)
            n->groups &= ~(1u << (v - 1));
        return 0;
    case LX_NETLINK_PKTINFO:
    case 4: /* NETLINK_BROADCAST_ERROR */
    case 5: /* NETLINK_NO_ENOBUFS */
    case LX_NETLINK_CAP_ACK:
    case LX_NETLINK_EXT_ACK:
    case LX_NETLINK_GET_STRICT_CHK:
        if (v)
            n->options |= 1u << name;
        else
            n->options &= ~(1u << name);
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int nl_getsockopt(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
    struct netlink_sock *n = nl_of(sk);

    if (level == LX_SOL_SOCKET)
        return name == LX_SO_ACCEPTCONN ? sockopt_put_int(val, len, 0) : -ENOPROTOOPT;
    if (level != LX_SOL_NETLINK)
        return -ENOPROTOOPT;
    switch (name) {
    case LX_NETLINK_LIST_MEMBERSHIPS:
        return sockopt_put(val, len, &n->groups, sizeof(n->groups));
    case LX_NETLINK_PKTINFO:
    case 4:
    case 5:
    case LX_NETLINK_CAP_ACK:
    case LX_NETLINK_EXT_ACK:
    case LX_NETLINK_GET_STRICT_CHK:
        return sockopt_put_int(val, len, n->options >> name & 1);
    default:
        return -ENOPROTOOPT;
    }
}

static const struct sock_ops netlink_ops = {
    .bind = nl_bind,
    .connect = nl_connect,
    .getname = nl_getname,
    .sendmsg = nl_sendmsg,
    .recvmsg = nl_recvmsg,
    .setsockopt = nl_setsockopt,
    .getsockopt = nl_getsockopt,
    .poll = nl_poll,
    .close = nl_close,
    .destroy = nl_destroy,
};

int netlink_create(struct netns *ns, int type, int protocol, struct sock **out)
{
    struct netlink_sock *n;

    if (type != LX_SOCK_RAW && type != LX_SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    if (protocol != LX_NETLINK_ROUTE && protocol != LX_NETLINK_SOCK_DIAG &&
        protocol != LX_NETLINK_KOBJECT_UEVENT)
        return -EPROTONOSUPPORT;
    n = calloc(1, sizeof(*n));
    if (!n)
        return -ENOMEM;
    sock_init(&n->sk, &netlink_ops, ns, LX_AF_NETLINK, type, protocol);
    list_init(&n->recvq);
    *out = &n->sk;
    return 0;
}
