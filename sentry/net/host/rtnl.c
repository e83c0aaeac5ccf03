/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the host's rtnetlink and sock_diag say about the network namespace. The two netlink sockets
 * were made before the jail; a request of the guest is never passed on: a new one is written from
 * the parts that are known, and the answers are relayed with the guest's sequence number and port.
 * Reading only.
 *
 * The host answers a request while it is sent, so nothing is waited for; one request at a time per
 * socket, under ->lock.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>

#include "platform/host/sock.h"
#include "sentry/abi/sock_diag.h"
#include "sentry/core/cred.h"
#include "sentry/net/host/host_internal.h"

enum { BODY_MAX = 64, REQUEST_MAX = 1024, PIECE_SIZE = 65536, ATTR_MAX = 64 };

/* Keys: I immutable after host_netlink_init; l ->lock */
struct host_netlink {
    struct mutex lock; /* rank HOSTNET */
    int fd;            /* I */
    uint32_t seq;      /* l */
};

static struct host_netlink g_route = {.lock = {.rank = RANK_HOSTNET}, .fd = -1};
static struct host_netlink g_diag = {.lock = {.rank = RANK_HOSTNET}, .fd = -1};

void host_netlink_init(int route_fd, int diag_fd)
{
    g_route.fd = route_fd;
    g_diag.fd = diag_fd;
}

/* A request in the making. */
struct request {
    union {
        struct lx_nlmsghdr h;
        uint8_t bytes[REQUEST_MAX];
    };
    size_t size;
};

static void request_init(struct request *rq, const struct lx_nlmsghdr *h, const void *body,
                         size_t size)
{
    memset(rq, 0, sizeof(*rq));
    rq->h.type = h->type;
    rq->h.flags = (uint16_t)(LX_NLM_F_REQUEST | (h->flags & LX_NLM_F_DUMP));
    memcpy(rq->bytes + sizeof(rq->h), body, size);
    rq->size = sizeof(rq->h) + LX_NLMSG_ALIGN(size);
}

static bool request_attr(struct request *rq, uint16_t type, const void *data, size_t size)
{
    struct lx_rtattr a = {.len = (uint16_t)(sizeof(a) + size), .type = type};

    if (size > ATTR_MAX || rq->size + sizeof(a) + LX_NLMSG_ALIGN(size) > sizeof(rq->bytes))
        return false;
    memcpy(rq->bytes + rq->size, &a, sizeof(a));
    memcpy(rq->bytes + rq->size + sizeof(a), data, size);
    rq->size += sizeof(a) + LX_NLMSG_ALIGN(size);
    return true;
}

/* What is left of earlier answers (a dump that was cut short). */
static void drain(struct host_netlink *nl, uint8_t *buf)
{
    struct iovec iov = {buf, PIECE_SIZE};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    while (host_recvmsg(nl->fd, &msg, MSG_DONTWAIT) > 0)
        ;
}

/* Hands the messages of one datagram on. 0 go on, 1 done, -errno. */
static int relay_piece(const struct request *rq, const uint8_t *data, size_t size, uint32_t seq,
                       uint32_t portid, struct wbuf *out)
{
    static const uint8_t zero[4];
    struct lx_nlmsghdr h;
    int32_t err;

    for (size_t off = 0; size - off >= sizeof(h); off += LX_NLMSG_ALIGN(h.len)) {
        memcpy(&h, data + off, sizeof(h));
        if (h.len < sizeof(h) || h.len > size - off)
            return -EIO;
        if (h.seq != rq->h.seq)
            continue;
        if (h.type == LX_NLMSG_ERROR) {
            if (h.len < sizeof(h) + sizeof(err))
                return -EIO;
            memcpy(&err, data + off + sizeof(h), sizeof(err));
            return err < 0 ? err : 1;
        }
        if (h.type == LX_NLMSG_DONE)
            return 1;
        h.seq = seq;
        h.pid = portid;
        wbuf_put(out, &h, sizeof(h));
        wbuf_put(out, data + off + sizeof(h), h.len - sizeof(h));
        wbuf_put(out, zero, LX_NLMSG_ALIGN(h.len) - h.len);
        if (!(h.flags & LX_NLM_F_MULTI))
            return 1;
    }
    return 0;
}

/* 1: a dump; 0: one answer; -errno. */
static int relay(struct host_netlink *nl, struct request *rq, uint32_t seq, uint32_t portid,
                 struct wbuf *out)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct iovec iov = {rq->bytes, rq->size};
    struct msghdr msg = {
        .msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = &iov, .msg_iovlen = 1};
    bool dump = (rq->h.flags & LX_NLM_F_DUMP) == LX_NLM_F_DUMP;
    uint8_t *buf = malloc(PIECE_SIZE);
    ssize_t n;
    int ret = 0;

    if (!buf)
        return -ENOMEM;
    mutex_lock(&nl->lock);
    drain(nl, buf);
    rq->h.len = (uint32_t)rq->size;
    rq->h.seq = ++nl->seq;
    n = host_sendmsg(nl->fd, &msg, 0);
    if (n < 0)
        ret = (int)n;
    while (ret == 0) {
        struct iovec in = {buf, PIECE_SIZE};
        struct msghdr reply = {.msg_iov = &in, .msg_iovlen = 1};

        n = host_recvmsg(nl->fd, &reply, MSG_DONTWAIT);
        if (n <= 0)
            ret = n == -EAGAIN || n == 0 ? -EIO : (int)n;
        else
            ret = relay_piece(rq, buf, (size_t)n, seq, portid, out);
    }
    mutex_unlock(&nl->lock);
    free(buf);
    return ret < 0 ? ret : dump;
}

/* ---- rtnetlink ------------------------------------------------------------------------------ */

/* Requests that may be made, the size of their fixed part and the attributes that are kept. */
struct readable {
    uint16_t type, body_size;
    uint64_t attrs; /* a bit per type */
};

#define BIT(n) (1ull << (n))
static const struct readable readable[] = {
    {LX_RTM_GETLINK, sizeof(struct lx_ifinfomsg), BIT(3) | BIT(29) | BIT(53)}, /* name, ext mask */
    {LX_RTM_GETADDR, sizeof(struct lx_ifaddrmsg), BIT(1) | BIT(2)},            /* address, local */
    {LX_RTM_GETROUTE, sizeof(struct lx_rtmsg),
     BIT(1) | BIT(2) | BIT(3) | BIT(4) | BIT(15) | BIT(16) |
         BIT(25)}, /* dst src iif oif table ... */
    {LX_RTM_GETNEIGH, 12, BIT(1) | BIT(8) | BIT(9)},
    {LX_RTM_GETRULE, 12, 0},
    {LX_RTM_GETQDISC, 20, 0},
    {58 /* RTM_GETMULTICAST */, sizeof(struct lx_ifaddrmsg), 0},
    {62 /* RTM_GETANYCAST */, sizeof(struct lx_ifaddrmsg), 0},
    {66 /* RTM_GETNEIGHTBL */, 4, 0},
    {74 /* RTM_GETADDRLABEL */, 12, 0},
    {82 /* RTM_GETNETCONF */, 4, 0},
    {106 /* RTM_GETNEXTHOP */, 8, 0},
};

static const struct readable *readable_find(uint16_t type)
{
    for (size_t i = 0; i < ARRAY_COUNT(readable); i++) {
        if (readable[i].type == type)
            return &readable[i];
    }
    return NULL;
}

/* Fixed part and attributes. Linux: a dump may have nothing but a family byte. */
static int request_from_guest(struct request *rq, const struct lx_nlmsghdr *h,
                              const struct readable *what, struct rbuf *body)
{
    uint8_t fixed[BODY_MAX] = {0};
    size_t have = MIN(rbuf_left(body), (size_t)what->body_size);

    if (have < what->body_size && (h->flags & LX_NLM_F_DUMP) != LX_NLM_F_DUMP)
        return -EINVAL;
    rbuf_copy(body, fixed, have);
    request_init(rq, h, fixed, what->body_size);
    while (rbuf_left(body) >= sizeof(struct lx_rtattr)) {
        struct lx_rtattr a;
        const uint8_t *data;
        uint16_t type;

        rbuf_copy(body, &a, sizeof(a));
        data = a.len < sizeof(a) ? NULL : rbuf_bytes(body, a.len - sizeof(a));
        if (!data)
            return -EINVAL;
        type = a.type & 0x3fff;
        if (type < 64 && (what->attrs & BIT(type)) &&
            !request_attr(rq, type, data, a.len - sizeof(a)))
            return -EINVAL;
        if (a.len % 4 && !rbuf_bytes(body, MIN(4u - a.len % 4u, rbuf_left(body))))
            return -EINVAL;
    }
    return 0;
}

int host_rtnetlink(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                   uint32_t portid, struct wbuf *out)
{
    const struct readable *what = readable_find(h->type);
    struct request rq;
    int ret;

    if (h->type > LX_RTM_MAX)
        return -EOPNOTSUPP;
    /* DEVIATION: the namespace is not the guest's to change, whatever capabilities it has. */
    if (h->type % 4 != 2)
        return -EPERM;
    if (!what)
        return -EOPNOTSUPP;
    ret = request_from_guest(&rq, h, what, body);
    return ret < 0 ? ret : relay(&g_route, &rq, h->seq, portid, out);
}

/* ---- sock_diag ------------------------------------------------------------------------------ */

int host_sock_diag(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                   uint32_t portid, struct wbuf *out)
{
    struct lx_inet_diag_req_v2 want;
    struct request rq;

    rbuf_copy(body, &want, sizeof(want));
    if (body->bad)
        return -EINVAL;
    /* DEVIATION: the filter program of ss is left out; it filters again itself. */
    request_init(&rq, h, &want, sizeof(want));
    return relay(&g_diag, &rq, h->seq, portid, out);
}
