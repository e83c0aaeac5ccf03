/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces: life cycle and the list of endpoints that /proc/net prints. */
#include <errno.h>
#include <stdlib.h>

#include "sentry/core/cred.h"
#include "sentry/core/pidns.h"
#include "sentry/core/random.h"
#include "sentry/net/inet/lo.h"

static void port_table_init(struct port_table *t)
{
    for (size_t i = 0; i < PORT_BUCKETS; i++)
        list_init(&t->buckets[i]);
}

int netns_new(struct userns *owner, struct netns **out)
{
    struct netns *ns = calloc(1, sizeof(*ns));
    uint32_t start;

    if (!ns)
        return -ENOMEM;
    refs_init(&ns->refs);
    ns->owner = userns_get(owner);
    ns->inum = ns_inum_new();
    mutex_init(&ns->table_lock, RANK_SOCK_TABLE);
    mutex_init(&ns->socks_lock, RANK_LEAF);
    list_init(&ns->socks);
    list_init(&ns->time_wait);
    lo_init(ns);
    port_table_init(&ns->tcp);
    port_table_init(&ns->udp);
    ns->port_min = 32768;
    ns->port_max = 60999;
    ns->somaxconn = LX_SOMAXCONN;
    ns->unpriv_port = 1024;
    ns->unix_qlen = 10;
    netns_set_ping_groups(ns, 1, 0);
    random_bytes(&start, sizeof(start));
    ns->ephemeral = start;
    random_bytes(&ns->cookie, sizeof(ns->cookie));
    *out = ns;
    return 0;
}

void netns_set_ping_groups(struct netns *ns, lx_gid_t first, lx_gid_t last)
{
    ns->ping_groups = (uint64_t)last << 32 | first;
}

void netns_ping_groups(const struct netns *ns, lx_gid_t *out_first, lx_gid_t *out_last)
{
    uint64_t range = ns->ping_groups;

    *out_first = (lx_gid_t)range;
    *out_last = (lx_gid_t)(range >> 32);
}

bool netns_may_ping(const struct netns *ns)
{
    const struct cred *c = curr()->cred;
    lx_gid_t first, last;

    netns_ping_groups(ns, &first, &last);
    if (c->egid >= first && c->egid <= last)
        return true;
    for (size_t i = 0; i < c->group_count; i++) {
        if (c->groups[i] >= first && c->groups[i] <= last)
            return true;
    }
    return false;
}

struct netns *netns_get(struct netns *ns)
{
    refs_get(&ns->refs);
    return ns;
}

void netns_put(struct netns *ns)
{
    if (!refs_put(&ns->refs))
        return;
    ASSERT(list_empty(&ns->socks));
    /* Expired connections hold no reference; they are plain memory of the tables. */
    inet_time_wait_free_all(ns);
    lo_destroy(ns);
    userns_put(ns->owner);
    mutex_destroy(&ns->table_lock);
    mutex_destroy(&ns->socks_lock);
    free(ns);
}

uint64_t netns_inum(const struct netns *ns)
{
    return ns->inum;
}

struct userns *netns_owner(const struct netns *ns)
{
    return ns->owner;
}

void netns_count_lo(struct netns *ns, size_t bytes)
{
    /* relaxed: statistics. */
    atomic_fetch_add_explicit(&ns->lo_bytes, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&ns->lo_packets, 1, memory_order_relaxed);
}

void netns_for_each_sock(struct netns *ns, bool (*fn)(struct sock *sk, void *arg), void *arg)
{
    struct sock **all, *sk;
    size_t count = 0, cap = 0, i = 0;

    mutex_lock(&ns->socks_lock);
    list_for_each_entry(sk, &ns->socks, netns_node)
        cap++;
    all = cap ? calloc(cap, sizeof(struct sock *)) : NULL;
    if (all) {
        list_for_each_entry(sk, &ns->socks, netns_node) {
            if (refs_get_not_zero(&sk->refs))
                all[count++] = sk;
        }
    }
    mutex_unlock(&ns->socks_lock);
    for (; i < count; i++) {
        if (fn && !fn(all[i], arg))
            fn = NULL;
        sock_put(all[i]);
    }
    free(all);
}
