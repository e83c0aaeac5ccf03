/* SPDX-License-Identifier: Apache-2.0 */
/* See lo.h. */
#include "sentry/net/inet/lo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>

#include "sentry/abi/netlink.h"

void lo_init(struct netns *ns)
{
    mutex_init(&ns->lo_lock, RANK_LEAF);
    list_init(&ns->lo_addrs);
    ns->lo_mtu = 65536;
    ns->lo_txqlen = 1000;
}

static void free_all(struct list *gone)
{
    while (!list_empty(gone)) {
        struct lo_addr *a = list_first_entry(gone, struct lo_addr, node);

        list_del(&a->node);
        free(a);
    }
}

void lo_destroy(struct netns *ns)
{
    free_all(&ns->lo_addrs);
    mutex_destroy(&ns->lo_lock);
}

bool lo_prefix_has(const struct inet_addr *a, uint8_t len, const struct inet_addr *b)
{
    size_t bits = len + (ia_is_v4(a) ? 96u : 0), bytes = bits / 8;
    uint8_t mask = (uint8_t)(0xff00 >> bits % 8);

    return memcmp(a->b, b->b, bytes) == 0 &&
           (bits % 8 == 0 || ((a->b[bytes] ^ b->b[bytes]) & mask) == 0);
}

static bool same_prefix(const struct lo_addr *a, const struct lo_addr *b)
{
    return ia_is_v4(&a->addr) == ia_is_v4(&b->addr) && a->len == b->len &&
           lo_prefix_has(&a->addr, a->len, &b->addr);
}

/* Linux: IPv4 has primaries by scope, widest first, then the secondaries; IPv6 goes by scope too, the
 * latest first, and ::1 counts as link-local there. */
static bool goes_before(const struct lo_addr *a, const struct lo_addr *other)
{
    if (ia_is_v4(&a->addr) != ia_is_v4(&other->addr))
        return false;
    if (!ia_is_v4(&a->addr))
        return !a->scope || other->scope;
    return !(a->flags & LX_IFA_F_SECONDARY) &&
           ((other->flags & LX_IFA_F_SECONDARY) || a->scope > other->scope);
}

static void insert_locked(struct netns *ns, struct lo_addr *a)
{
    struct list *before = &ns->lo_addrs;
    struct lo_addr *other;

    list_for_each_entry(other, &ns->lo_addrs, node) {
        if (goes_before(a, other)) {
            before = &other->node;
            break;
        }
    }
    list_add_tail(before, &a->node);
}

int lo_addr_add(struct netns *ns, const struct lo_addr *a)
{
    struct lo_addr *copy = malloc(sizeof(*copy)), *other;
    unsigned count = 0;
    int ret = 0;

    if (!copy)
        return -ENOMEM;
    *copy = *a;
    copy->primary = a->addr;
    mutex_lock(&ns->lo_lock);
    list_for_each_entry(other, &ns->lo_addrs, node) {
        bool v4 = ia_is_v4(&a->addr);

        if (++count == LO_ADDRS_MAX)
            ret = -ENOMEM;
        else if (!v4 && ia_equal(&other->addr, &a->addr)) {
            ret = -EEXIST;
        } else if (v4 && same_prefix(other, a)) {
            ret = ia_equal(&other->addr, &a->addr) ? -EEXIST
                  : other->scope != a->scope       ? -EINVAL
                                                   : 0;
            copy->flags |= LX_IFA_F_SECONDARY;
            copy->primary = other->primary;
        }
        if (ret < 0)
            break;
    }
    if (ret == 0)
        insert_locked(ns, copy);
    mutex_unlock(&ns->lo_lock);
    if (ret < 0)
        free(copy);
    return ret;
}

static bool matches(const struct lo_addr *a, const struct inet_addr *addr, int len,
                    const char *label)
{
    return ia_equal(&a->addr, addr) && (len < 0 || a->len == len) &&
           (!label[0] || strcmp(a->label, label) == 0);
}

/* The address goes to the list `gone`, and what depends on it. */
static void take_locked(struct netns *ns, struct lo_addr *a, struct list *gone)
{
    bool primary = ia_is_v4(&a->addr) && !(a->flags & LX_IFA_F_SECONDARY);
    struct lo_addr *other, *next;

    list_del(&a->node);
    list_add_tail(gone, &a->node);
    if (!primary)
        return;
    list_for_each_entry_safe(other, next, &ns->lo_addrs, node) {
        if ((other->flags & LX_IFA_F_SECONDARY) && same_prefix(other, a)) {
            list_del(&other->node);
            list_add_tail(gone, &other->node);
        }
    }
}

int lo_addr_remove(struct netns *ns, const struct inet_addr *addr, int len, const char *label,
                   void (*fn)(const struct lo_addr *a, void *arg), void *arg)
{
    struct list gone = LIST_INIT(gone);
    struct lo_addr *a;

    mutex_lock(&ns->lo_lock);
    list_for_each_entry(a, &ns->lo_addrs, node) {
        if (matches(a, addr, len, label)) {
            take_locked(ns, a, &gone);
            break;
        }
    }
    mutex_unlock(&ns->lo_lock);
    if (list_empty(&gone))
        return -EADDRNOTAVAIL;
    list_for_each_entry(a, &gone, node)
        fn(a, arg);
    free_all(&gone);
    return 0;
}

void lo_each_addr(struct netns *ns, void (*fn)(const struct lo_addr *a, void *arg), void *arg)
{
    struct lo_addr *a;

    mutex_lock(&ns->lo_lock);
    list_for_each_entry(a, &ns->lo_addrs, node)
        fn(a, arg);
    mutex_unlock(&ns->lo_lock);
}

bool lo_is_local(struct netns *ns, const struct inet_addr *addr, struct inet_addr *out_src)
{
    struct lo_addr *a, *best = NULL;
    bool v4 = ia_is_v4(addr);

    mutex_lock(&ns->lo_lock);
    list_for_each_entry(a, &ns->lo_addrs, node) {
        if (ia_is_v4(&a->addr) != v4 ||
            !(v4 ? lo_prefix_has(&a->addr, a->len, addr) : ia_equal(&a->addr, addr)))
            continue;
        if (!best || a->len > best->len || (ia_equal(&a->addr, addr) && a->len == best->len))
            best = a;
        if (ia_equal(&a->addr, addr)) { /* a route of its own */
            best = a;
            break;
        }
    }
    if (best && out_src)
        *out_src = best->primary;
    mutex_unlock(&ns->lo_lock);
    return best;
}

static void add_default(struct netns *ns, bool v4)
{
    struct lo_addr a = {
        .len = v4 ? 8 : 128, .scope = LX_RT_SCOPE_HOST, .flags = LX_IFA_F_PERMANENT, .label = "lo"};

    if (v4)
        ia_from_v4(&a.addr, htonl(0x7f000001));
    else
        a.addr.b[15] = 1;
    /* It is there already, or there is no memory and lo has no address, as on Linux. */
    (void)!lo_addr_add(ns, &a);
}

static void drop_v6(struct netns *ns)
{
    struct list gone = LIST_INIT(gone);
    struct lo_addr *a, *next;

    mutex_lock(&ns->lo_lock);
    list_for_each_entry_safe(a, next, &ns->lo_addrs, node) {
        if (!ia_is_v4(&a->addr)) {
            list_del(&a->node);
            list_add_tail(&gone, &a->node);
        }
    }
    mutex_unlock(&ns->lo_lock);
    free_all(&gone);
}

void netns_set_lo_up(struct netns *ns, bool up)
{
    if (atomic_exchange(&ns->lo_up, up) == up)
        return;
    if (!up) {
        drop_v6(ns);
        return;
    }
    add_default(ns, /*v4=*/true);
    add_default(ns, /*v4=*/false);
}

bool netns_lo_up(struct netns *ns)
{
    return ns->lo_up;
}
