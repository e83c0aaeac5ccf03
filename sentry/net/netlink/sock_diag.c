/* SPDX-License-Identifier: Apache-2.0 */
/* sock_diag(7): dumps of the namespace's endpoints by family, as ss asks for them. */
#include "sentry/abi/sock_diag.h"

#include <arpa/inet.h>
#include <errno.h>

#include "sentry/net/inet/inet.h"
#include "sentry/net/netlink/message.h"
#include "sentry/net/netlink/netlink.h"
#include "sentry/net/unix/unix.h"

struct diag {
    const struct lx_nlmsghdr *h;
    uint32_t portid;
    struct wbuf *out;
    struct lx_inet_diag_req_v2 inet;
    struct lx_unix_diag_req un;
};

static void cookie_out(uint32_t out[2], uint64_t cookie)
{
    out[0] = (uint32_t)cookie;
    out[1] = (uint32_t)(cookie >> 32);
}

static void addr_out(uint32_t out[4], bool v4, const struct inet_addr *a)
{
    if (v4)
        out[0] = ia_v4(a);
    else
        memcpy(out, a->b, sizeof(a->b));
}

/* One message per endpoint; the reply buffer grows with the number of endpoints. */
static void put_inet(struct diag *d, const struct lx_inet_diag_msg *msg)
{
    struct nl_message m;

    nl_message_begin(&m, d->out, d->h, LX_SOCK_DIAG_BY_FAMILY, d->portid, msg, sizeof(*msg));
    if (d->inet.ext & 1u << 7) /* INET_DIAG_SHUTDOWN - 1 */
        nl_message_attr8(&m, 8, 0);
    nl_message_end(&m);
}

static bool inet_sock_out(struct sock *sk, void *arg)
{
    struct diag *d = arg;
    bool v4 = sk->family == LX_AF_INET;
    struct lx_inet_diag_msg msg = {.family = (uint8_t)sk->family, .uid = sk->uid};
    struct inet_sock *in;

    if (sk->family != d->inet.family || sk->protocol != d->inet.protocol)
        return true;
    in = inet_of(sk);
    if (!in->lport)
        return true;
    msg.state = (uint8_t)(inet_is_tcp(sk) ? (int)tcp_state(sk) : in->rport ? 1 : 7);
    if (!(d->inet.states >> msg.state & 1) || (inet_is_tcp(sk) && msg.state == LX_TCP_CLOSE))
        return true;
    msg.id.sport = htons(in->lport);
    msg.id.dport = htons(in->rport);
    addr_out(msg.id.src, v4, &in->laddr);
    addr_out(msg.id.dst, v4, &in->raddr);
    cookie_out(msg.id.cookie, sk->cookie);
    inet_queue_sizes(sk, &msg.rqueue, &msg.wqueue);
    msg.inode = (uint32_t)sk->ino;
    put_inet(d, &msg);
    return true;
}

static void time_wait_out(const struct inet_bind *tw, void *arg)
{
    struct diag *d = arg;
    bool v4 = ia_is_v4(&tw->addr);
    uint64_t now = clock_monotonic();
    struct lx_inet_diag_msg msg = {
        .family = v4 ? LX_AF_INET : LX_AF_INET6,
        .state = LX_TCP_TIME_WAIT,
        .timer = 3,
        .expires = (uint32_t)(tw->expires > now ? (tw->expires - now) / 1000000 : 0),
    };

    if (msg.family != d->inet.family)
        return;
    msg.id.sport = htons(tw->port);
    msg.id.dport = htons(tw->rport);
    addr_out(msg.id.src, v4, &tw->addr);
    addr_out(msg.id.dst, v4, &tw->raddr);
    put_inet(d, &msg);
}

static bool unix_sock_out(struct sock *sk, void *arg)
{
    struct diag *d = arg;
    struct unix_sock *u, *peer;
    struct lx_unix_diag_msg msg = {.family = LX_AF_UNIX, .type = (uint8_t)sk->type};
    struct sockaddr_buf a;
    struct nl_message m;
    uint32_t rq[2] = {0}, peer_ino = 0;

    if (sk->family != LX_AF_UNIX || (d->un.ino && d->un.ino != (uint32_t)sk->ino))
        return true;
    u = unix_of(sk);
    mutex_lock(&sk->lock);
    msg.state = u->state == UNIX_LISTENING              ? LX_TCP_LISTEN
                : u->state == UNIX_CONNECTED || u->peer ? LX_TCP_ESTABLISHED
                                                        : LX_TCP_CLOSE;
    rq[0] = u->state == UNIX_LISTENING ? u->accept_count : (uint32_t)u->rcv_bytes;
    rq[1] = u->state == UNIX_LISTENING ? u->backlog : (uint32_t)sk->wmem;
    peer = u->peer;
    peer_ino = peer ? (uint32_t)peer->sk.ino : 0;
    mutex_unlock(&sk->lock);
    if (!(d->un.states >> msg.state & 1))
        return true;
    msg.ino = (uint32_t)sk->ino;
    cookie_out(msg.cookie, sk->cookie);
    nl_message_begin(&m, d->out, d->h, LX_SOCK_DIAG_BY_FAMILY, d->portid, &msg, sizeof(msg));
    if ((d->un.show & LX_UDIAG_SHOW_NAME) && sk->ops->getname(sk, /*peer=*/false, &a) == 0 &&
        a.len > 2)
        nl_message_attr(&m, 0, a.bytes + 2, a.len - 2);
    if ((d->un.show & LX_UDIAG_SHOW_PEER) && peer_ino)
        nl_message_attr32(&m, 2, peer_ino);
    if (d->un.show & LX_UDIAG_SHOW_RQLEN)
        nl_message_attr(&m, 4, rq, sizeof(rq));
    nl_message_attr8(&m, 6, (uint8_t)sk->shutdown); /* UNIX_DIAG_SHUTDOWN */
    nl_message_end(&m);
    return true;
}

static bool netlink_sock_out(struct sock *sk, void *arg)
{
    struct diag *d = arg;
    struct lx_netlink_diag_msg msg = {.family = LX_AF_NETLINK,
                                      .type = (uint8_t)sk->type,
                                      .protocol = (uint8_t)sk->protocol,
                                      .state = 1,
                                      .ino = (uint32_t)sk->ino};
    struct sockaddr_buf a;
    struct nl_message m;

    if (sk->family != LX_AF_NETLINK)
        return true;
    if (sk->ops->getname(sk, /*peer=*/false, &a) == 0)
        memcpy(&msg.portid, a.bytes + 4, sizeof(msg.portid));
    cookie_out(msg.cookie, sk->cookie);
    nl_message_begin(&m, d->out, d->h, LX_SOCK_DIAG_BY_FAMILY, d->portid, &msg, sizeof(msg));
    nl_message_end(&m);
    return true;
}

int sock_diag_request(struct netns *ns, const struct lx_nlmsghdr *h, struct rbuf *body,
                      uint32_t portid, struct wbuf *out)
{
    struct diag d = {.h = h, .portid = portid, .out = out};
    struct rbuf copy = *body;
    const uint8_t *family = rbuf_bytes(&copy, 1);

    if (h->type != LX_SOCK_DIAG_BY_FAMILY)
        return -EOPNOTSUPP;
    if (!family)
        return -EINVAL;
    switch (*family) {
    case LX_AF_INET:
    case LX_AF_INET6:
        if (ns->transport && ns->transport->sock_diag)
            return ns->transport->sock_diag(ns, h, body, portid, out);
        rbuf_copy(body, &d.inet, sizeof(d.inet));
        if (body->bad)
            return -EINVAL;
        if ((h->flags & LX_NLM_F_DUMP) != LX_NLM_F_DUMP)
            return -ENOENT;
        netns_for_each_sock(ns, inet_sock_out, &d);
        if (d.inet.protocol == LX_IPPROTO_TCP && (d.inet.states >> LX_TCP_TIME_WAIT & 1))
            inet_time_wait_for_each(ns, time_wait_out, &d);
        return 1;
    case LX_AF_UNIX:
        rbuf_copy(body, &d.un, sizeof(d.un));
        if (body->bad)
            return -EINVAL;
        netns_for_each_sock(ns, unix_sock_out, &d);
        return (h->flags & LX_NLM_F_DUMP) == LX_NLM_F_DUMP ? 1 : out->off ? 0 : -ENOENT;
    case LX_AF_NETLINK:
        netns_for_each_sock(ns, netlink_sock_out, &d);
        return 1;
    case LX_AF_PACKET:
        return 1;
    default:
        return -ENOENT;
    }
}
