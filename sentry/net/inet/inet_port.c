/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who uses which port. Linux's rules: two users of a port conflict when their addresses overlap,
 * unless both allow address reuse and the earlier one does not listen (TCP), both allow it (UDP),
 * or both set SO_REUSEPORT and belong to one user. Connected children share their listener's port.
 *
 * A connection that this side closed first leaves a TIME_WAIT entry for 60 s. Entries expire
 * lazily, whenever the table is used, so that an idle sandbox has no timer. A new outgoing
 * connection may take over the tuple of one that is older than a second, as tcp_tw_reuse does on
 * loopback.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/core/cred.h"
#include "sentry/core/random.h"
#include "sentry/net/inet/inet.h"

#define TIME_WAIT_NS  (60 * NSEC_PER_SEC)
#define TW_REUSE_NS   (59 * NSEC_PER_SEC) /* left to live of an entry older than a second */
#define TIME_WAIT_MAX 16384

static struct port_table *table_of(struct inet_sock *in)
{
    return inet_is_tcp(&in->sk) ? &in->sk.netns->tcp : &in->sk.netns->udp;
}

static struct list *bucket_of(struct port_table *t, uint16_t port)
{
    return &t->buckets[port % PORT_BUCKETS];
}

static bool covers(const struct inet_bind *w, const struct inet_addr *a)
{
    return ia_is_v4(a) ? w->v4 : w->v6;
}

static bool overlap(const struct inet_bind *a, const struct inet_bind *b)
{
    if (a->wildcard && b->wildcard)
        return (a->v4 && b->v4) || (a->v6 && b->v6);
    if (a->wildcard)
        return covers(a, &b->addr);
    if (b->wildcard)
        return covers(b, &a->addr);
    return ia_equal(&a->addr, &b->addr);
}

/* ---- TIME_WAIT ------------------------------------------------------------------------------ */

static void tw_free_locked(struct netns *ns, struct inet_bind *tw)
{
    list_del(&tw->node);
    list_del(&tw->tw_node);
    ns->time_wait_count--;
    free(tw);
}

static void tw_expire_locked(struct netns *ns)
{
    uint64_t now = list_empty(&ns->time_wait) ? 0 : clock_monotonic();

    while (!list_empty(&ns->time_wait)) {
        struct inet_bind *tw = list_first_entry(&ns->time_wait, struct inet_bind, tw_node);

        if (tw->expires > now && ns->time_wait_count <= TIME_WAIT_MAX)
            break;
        tw_free_locked(ns, tw);
    }
}

void inet_time_wait_free_all(struct netns *ns)
{
    while (!list_empty(&ns->time_wait))
        tw_free_locked(ns, list_first_entry(&ns->time_wait, struct inet_bind, tw_node));
}

void inet_time_wait_for_each(struct netns *ns, void (*fn)(const struct inet_bind *, void *),
                             void *arg)
{
    struct inet_bind *tw;

    mutex_lock(&ns->table_lock);
    tw_expire_locked(ns);
    list_for_each_entry(tw, &ns->time_wait, tw_node)
        fn(tw, arg);
    mutex_unlock(&ns->table_lock);
}

/* ---- binding -------------------------------------------------------------------------------- */

/* Fills what in wants to use, from its current address and options. */
static void bind_describe(struct inet_sock *in, struct inet_bind *b, uint16_t port)
{
    bool v6 = in->sk.family == LX_AF_INET6;

    b->sk = in;
    b->addr = in->laddr;
    b->wildcard = ia_is_any(&in->laddr);
    if (b->wildcard) {
        /* An IPv6 socket bound to ::ffff:0.0.0.0 takes IPv4 only. */
        b->v6 = v6 && !ia_is_v4(&in->laddr);
        b->v4 = !v6 || ia_is_v4(&in->laddr) || !in->v6only;
    } else {
        b->v4 = ia_is_v4(&in->laddr);
        b->v6 = !b->v4;
    }
    b->port = port;
    b->uid = in->sk.uid;
}

/* Linux: an endpoint's options count as they are when somebody else asks, not as they were at bind.
 */
static bool bind_has(const struct inet_bind *b, uint32_t flag, bool at_end)
{
    return b->sk ? b->sk->sk.flags & flag : at_end;
}

static bool bind_reuse(const struct inet_bind *b)
{
    return bind_has(b, SOCK_F_REUSEADDR, b->reuse);
}

static bool bind_reuseport(const struct inet_bind *b)
{
    return bind_has(b, SOCK_F_REUSEPORT, b->reuseport);
}

static bool conflicts(struct inet_sock *in, const struct inet_bind *a, const struct inet_bind *b)
{
    if (a == b || b->port != a->port || !overlap(a, b) ||
        (b->sk && b->sk->sk.protocol != in->sk.protocol))
        return false;
    if (bind_reuseport(a) && bind_reuseport(b) && a->uid == b->uid)
        return false;
    /* Linux: the one who asks may be about to listen; a server restarts among its old connections.
     */
    if (bind_reuse(a) && bind_reuse(b) && !(inet_is_tcp(&in->sk) && b->listening))
        return false;
    return true;
}

static bool port_conflicts_locked(struct inet_sock *in, const struct inet_bind *want)
{
    struct inet_bind *b;

    list_for_each_entry(b, bucket_of(table_of(in), want->port), node) {
        if (b != &in->bind && conflicts(in, want, b))
            return true;
    }
    return false;
}

static bool port_used_locked(struct port_table *t, uint16_t port)
{
    struct inet_bind *b;

    list_for_each_entry(b, bucket_of(t, port), node) {
        if (b->port == port)
            return true;
    }
    return false;
}

static void bind_insert_locked(struct inet_sock *in, const struct inet_bind *want)
{
    struct list *bucket = bucket_of(table_of(in), want->port);

    in->bind = *want;
    list_init(&in->bind.tw_node);
    list_add_tail(bucket, &in->bind.node);
    in->lport = want->port;
}

/* A port nobody uses, 0 when all are taken. */
static uint16_t pick_port_locked(struct inet_sock *in)
{
    struct netns *ns = in->sk.netns;
    uint32_t min = (uint32_t)ns->port_min, count = (uint32_t)ns->port_max - min + 1;
    uint32_t start = atomic_fetch_add(&ns->ephemeral, 1) * 7;

    for (uint32_t i = 0; i < count; i++) {
        uint16_t port = (uint16_t)(min + (start + i) % count);

        if (!port_used_locked(table_of(in), port))
            return port;
    }
    return 0;
}

int inet_port_bind(struct inet_sock *in, uint16_t port)
{
    struct netns *ns = in->sk.netns;
    struct inet_bind want = {0};
    int ret = 0;

    if (port && port < ns->unpriv_port &&
        !cred_ns_capable(curr()->cred, ns->owner, LX_CAP_NET_BIND_SERVICE))
        return -EACCES;
    mutex_lock(&ns->table_lock);
    tw_expire_locked(ns);
    if (!list_empty(&in->bind.node)) {
        ret = -EINVAL;
    } else {
        if (!port)
            port = pick_port_locked(in);
        bind_describe(in, &want, port);
        if (!port || port_conflicts_locked(in, &want))
            ret = -EADDRINUSE;
        else
            bind_insert_locked(in, &want);
    }
    mutex_unlock(&ns->table_lock);
    return ret;
}

/* Is the tuple free? A TIME_WAIT entry in the way that may be reused is removed. */
static bool tuple_free_locked(struct inet_sock *in, const struct inet_addr *laddr, uint16_t lport,
                              const struct inet_addr *raddr, uint16_t rport)
{
    struct inet_bind *b, *tmp;

    list_for_each_entry_safe(b, tmp, bucket_of(table_of(in), lport), node) {
        if (b == &in->bind || b->port != lport || !b->connected || b->rport != rport ||
            !ia_equal(&b->raddr, raddr) || !ia_equal(&b->addr, laddr))
            continue;
        if (b->sk || b->expires > clock_monotonic() + TW_REUSE_NS)
            return false;
        tw_free_locked(in->sk.netns, b);
    }
    return true;
}

/* Any port whose users are all connections to elsewhere. */
static uint16_t pick_shared_port_locked(struct inet_sock *in, const struct inet_addr *raddr,
                                        uint16_t rport)
{
    struct netns *ns = in->sk.netns;
    uint32_t min = (uint32_t)ns->port_min, count = (uint32_t)ns->port_max - min + 1;
    uint32_t start = atomic_fetch_add(&ns->ephemeral, 1) * 7;

    for (uint32_t i = 0; i < count; i++) {
        uint16_t port = (uint16_t)(min + (start + i) % count);
        struct inet_bind *b;
        bool all_connected = true;

        list_for_each_entry(b, bucket_of(table_of(in), port), node) {
            if (b->port == port && !b->connected)
                all_connected = false;
        }
        if (all_connected && tuple_free_locked(in, &in->laddr, port, raddr, rport))
            return port;
    }
    return 0;
}

int inet_port_connect(struct inet_sock *in, const struct inet_addr *raddr, uint16_t rport)
{
    struct netns *ns = in->sk.netns;
    struct inet_bind want = {0};
    uint16_t port;
    int ret = 0;

    mutex_lock(&ns->table_lock);
    tw_expire_locked(ns);
    if (list_empty(&in->bind.node)) {
        port = pick_port_locked(in);
        if (!port && inet_is_tcp(&in->sk))
            port = pick_shared_port_locked(in, raddr, rport);
        if (port) {
            bind_describe(in, &want, port);
            bind_insert_locked(in, &want);
        } else {
            ret = inet_is_tcp(&in->sk) ? -EADDRNOTAVAIL : -EAGAIN;
        }
    } else if (inet_is_tcp(&in->sk) &&
               !tuple_free_locked(in, &in->laddr, in->bind.port, raddr, rport)) {
        ret = -EADDRNOTAVAIL;
    }
    if (ret == 0 && rport) {
        in->bind.addr = in->laddr;
        in->bind.wildcard = false;
        in->bind.v4 = ia_is_v4(&in->laddr);
        in->bind.v6 = !in->bind.v4;
        in->bind.connected = true;
        in->bind.raddr = *raddr;
        in->bind.rport = rport;
    }
    mutex_unlock(&ns->table_lock);
    return ret;
}

void inet_port_disconnect(struct inet_sock *in)
{
    struct netns *ns = in->sk.netns;

    mutex_lock(&ns->table_lock);
    if (!list_empty(&in->bind.node)) {
        uint16_t port = in->bind.port;

        in->bind.connected = false;
        in->bind.rport = 0;
        bind_describe(in, &in->bind, port);
    }
    mutex_unlock(&ns->table_lock);
}

void inet_port_share(struct inet_sock *child)
{
    struct netns *ns = child->sk.netns;
    struct inet_bind want = {0};

    mutex_lock(&ns->table_lock);
    bind_describe(child, &want, child->lport);
    want.connected = true;
    want.raddr = child->raddr;
    want.rport = child->rport;
    bind_insert_locked(child, &want);
    mutex_unlock(&ns->table_lock);
}

int inet_port_listen(struct inet_sock *in)
{
    struct netns *ns = in->sk.netns;
    int ret = 0;

    mutex_lock(&ns->table_lock);
    in->bind.listening = true;
    if (port_conflicts_locked(in, &in->bind)) {
        in->bind.listening = false;
        ret = -EADDRINUSE;
    }
    mutex_unlock(&ns->table_lock);
    return ret;
}

void inet_port_unlisten(struct inet_sock *in)
{
    mutex_lock(&in->sk.netns->table_lock);
    in->bind.listening = false;
    mutex_unlock(&in->sk.netns->table_lock);
}

void inet_port_release(struct inet_sock *in, bool time_wait)
{
    struct netns *ns = in->sk.netns;
    struct inet_bind *tw = time_wait ? malloc(sizeof(*tw)) : NULL;

    mutex_lock(&ns->table_lock);
    if (!list_empty(&in->bind.node)) {
        if (tw && in->bind.connected) {
            *tw = in->bind;
            tw->reuse = bind_reuse(&in->bind);
            tw->reuseport = bind_reuseport(&in->bind);
            tw->sk = NULL;
            tw->listening = false;
            tw->expires = clock_monotonic() + TIME_WAIT_NS;
            list_add_tail(bucket_of(table_of(in), tw->port), &tw->node);
            list_add_tail(&ns->time_wait, &tw->tw_node);
            ns->time_wait_count++;
            tw = NULL;
        }
        list_del(&in->bind.node);
        in->bind.connected = in->bind.listening = false;
    }
    mutex_unlock(&ns->table_lock);
    free(tw);
}

/* ---- lookup --------------------------------------------------------------------------------- */

/* How well b fits dst; 0: not at all. Specific addresses win, then the address's own family. */
static int score(const struct inet_bind *b, const struct inet_addr *dst)
{
    bool v4 = ia_is_v4(dst);

    if (!b->wildcard)
        return ia_equal(&b->addr, dst) ? 8 : 0;
    if (!covers(b, dst))
        return 0;
    return v4 == (b->sk->sk.family == LX_AF_INET) ? 3 : 2;
}

/* Among equals, SO_REUSEPORT groups share the load; otherwise the latest wins. */
static bool better(int points, int best, const struct inet_bind *b, uint32_t *seen)
{
    uint32_t r;

    if (points != best)
        *seen = 0;
    if (points > best || !bind_reuseport(b)) {
        *seen = 1;
        return points >= best;
    }
    if (points < best)
        return false;
    random_bytes(&r, sizeof(r));
    return r % ++*seen == 0;
}

struct inet_sock *inet_port_find_listener(struct netns *ns, const struct inet_addr *dst,
                                          uint16_t port)
{
    struct inet_sock *found = NULL;
    struct inet_bind *b;
    uint32_t seen = 0;
    int best = 1;

    mutex_lock(&ns->table_lock);
    list_for_each_entry(b, bucket_of(&ns->tcp, port), node) {
        int points = b->port == port && b->sk && b->listening ? score(b, dst) : 0;

        if (points >= best && better(points, best, b, &seen)) {
            found = b->sk;
            best = points;
        }
    }
    if (found && !refs_get_not_zero(&found->sk.refs))
        found = NULL;
    mutex_unlock(&ns->table_lock);
    return found;
}

struct inet_sock *inet_port_find_udp(struct netns *ns, uint32_t protocol,
                                     const struct inet_addr *src, uint16_t sport,
                                     const struct inet_addr *dst, uint16_t port)
{
    struct inet_sock *found = NULL;
    struct inet_bind *b;
    uint32_t seen = 0;
    int best = 1;

    mutex_lock(&ns->table_lock);
    list_for_each_entry(b, bucket_of(&ns->udp, port), node) {
        int points = b->port == port && b->sk && b->sk->sk.protocol == protocol ? score(b, dst) : 0;

        if (!points)
            continue;
        if (b->connected) {
            if (b->rport != sport || !ia_equal(&b->raddr, src))
                continue;
            points += 16;
        }
        if (points >= best && better(points, best, b, &seen)) {
            found = b->sk;
            best = points;
        }
    }
    if (found && !refs_get_not_zero(&found->sk.refs))
        found = NULL;
    mutex_unlock(&ns->table_lock);
    return found;
}

size_t inet_port_find_multicast(struct inet_sock *from, const struct inet_addr *dst, uint16_t port,
                                struct inet_sock ***out)
{
    struct netns *ns = from->sk.netns;
    struct inet_bind *b;
    size_t count = 0, cap = 0;

    mutex_lock(&ns->table_lock);
    list_for_each_entry(b, bucket_of(&ns->udp, port), node)
        cap++;
    *out = cap ? calloc(cap, sizeof(struct inet_sock *)) : NULL;
    if (*out) {
        list_for_each_entry(b, bucket_of(&ns->udp, port), node) {
            if (b->port == port && b->sk && b->sk->sk.protocol == from->sk.protocol &&
                (b->wildcard ? covers(b, dst) : ia_equal(&b->addr, dst)) &&
                refs_get_not_zero(&b->sk->sk.refs))
                (*out)[count++] = b->sk;
        }
    }
    mutex_unlock(&ns->table_lock);
    return count;
}
