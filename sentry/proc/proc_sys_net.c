/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/sys/net: the caller's network namespace. Values that the socket layer has are its own; the
 * rest are Linux's defaults. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sentry/net/net_tables.h"
#include "sentry/proc/proc_internal.h"

static struct netns *ns_now(void)
{
    return curr()->netns;
}

/* A number at an offset of struct netns. */
struct net_number {
    size_t off; /* of an atomic_int */
    int min, max;
};

static atomic_int *number_at(const struct net_number *f)
{
    /* SAFETY: off is the offset of an atomic_int member, from the tables below. */
    return (atomic_int *)(void *)((char *)ns_now() + f->off);
}

static int show_number(struct pseudo_node *n, struct pbuf *b)
{
    if (!ns_now())
        return -EINVAL;
    pbuf_printf(b, "%d\n", *number_at(n->entry->data));
    return 0;
}

static ssize_t store_number(struct pseudo_node *n, char *data, size_t size)
{
    const struct net_number *f = n->entry->data;
    char *end;
    long v = strtol(data, &end, 10);

    if (!ns_now() || end == data || v < f->min || v > f->max)
        return -EINVAL;
    *number_at(f) = (int)v;
    return (ssize_t)size;
}

static int show_port_range(struct pseudo_node *n, struct pbuf *b)
{
    if (!ns_now())
        return -EINVAL;
    pbuf_printf(b, "%d\t%d\n", ns_now()->port_min, ns_now()->port_max);
    return 0;
}

static ssize_t store_port_range(struct pseudo_node *n, char *data, size_t size)
{
    int lo, hi;

    if (!ns_now() || sscanf(data, "%d %d", &lo, &hi) != 2 || lo < 1 || hi > 65535 || lo > hi)
        return -EINVAL;
    ns_now()->port_min = lo;
    ns_now()->port_max = hi;
    return (ssize_t)size;
}

static int show_ping_groups(struct pseudo_node *n, struct pbuf *b)
{
    const struct userns *users = curr()->cred->userns;
    lx_gid_t first, last;

    if (!ns_now())
        return -EINVAL;
    netns_ping_groups(ns_now(), &first, &last);
    pbuf_printf(b, "%u\t%u\n", userns_from_kgid(users, first), userns_from_kgid(users, last));
    return 0;
}

static ssize_t store_ping_groups(struct pseudo_node *n, char *data, size_t size)
{
    const struct userns *users = curr()->cred->userns;
    lx_gid_t first, last;
    long long from, to;

    if (!ns_now() || sscanf(data, "%lld %lld", &from, &to) != 2)
        return -EINVAL;
    if (from < 0 || from > INT32_MAX || to < 0 || to > INT32_MAX)
        return -EINVAL;
    first = userns_to_kgid(users, (lx_gid_t)from);
    last = userns_to_kgid(users, (lx_gid_t)to);
    if (first == LX_ID_INVALID || last == LX_ID_INVALID)
        return -EINVAL;
    if (to < from || last < first)
        netns_set_ping_groups(ns_now(), 1, 0);
    else
        netns_set_ping_groups(ns_now(), first, last);
    return (ssize_t)size;
}

static const struct net_number somaxconn = {offsetof(struct netns, somaxconn), 0, 65535};
static const struct net_number unpriv_port = {offsetof(struct netns, unpriv_port), 0, 65535};
static const struct net_number unix_qlen = {offsetof(struct netns, unix_qlen), 0, 65535};

#define ROW_NUMBER(n, id)                                                                          \
    {                                                                                              \
        .name = (n), .mode = 0100644, .show = show_number, .store = store_number, .data = &(id)    \
    }

static const struct pseudo_entry core_table[] = {
    ROW_NUMBER("somaxconn", somaxconn),
    PSEUDO_TEXT("rmem_max", 0444, "212992\n"),
    PSEUDO_TEXT("wmem_max", 0444, "212992\n"),
    PSEUDO_TEXT("rmem_default", 0444, "212992\n"),
    PSEUDO_TEXT("wmem_default", 0444, "212992\n"),
    PSEUDO_TEXT("optmem_max", 0444, "20480\n"),
    PSEUDO_TEXT("netdev_max_backlog", 0444, "1000\n"),
    PSEUDO_TEXT("default_qdisc", 0444, "pfifo_fast\n"),
    PSEUDO_TEXT("bpf_jit_enable", 0444, "0\n"),
    PSEUDO_TEXT("busy_poll", 0444, "0\n"),
    PSEUDO_TEXT("busy_read", 0444, "0\n"),
    {0},
};

#define ROWS_CONF4                                                                                 \
    PSEUDO_TEXT("forwarding", 0444, "0\n"), PSEUDO_TEXT("rp_filter", 0444, "0\n"),                 \
        PSEUDO_TEXT("accept_redirects", 0444, "1\n"), PSEUDO_TEXT("arp_ignore", 0444, "0\n"),      \
    {                                                                                              \
        0                                                                                          \
    }
static const struct pseudo_entry conf4_table[] = {ROWS_CONF4};

static const struct pseudo_entry conf4_dirs[] = {
    PSEUDO_DIR("all", 0555, conf4_table),
    PSEUDO_DIR("default", 0555, conf4_table),
    PSEUDO_DIR("lo", 0555, conf4_table),
    {0},
};

static const struct pseudo_entry ipv4_table[] = {
    PSEUDO_RW("ip_local_port_range", 0644, show_port_range, store_port_range),
    ROW_NUMBER("ip_unprivileged_port_start", unpriv_port),
    PSEUDO_TEXT("ip_local_reserved_ports", 0444, "\n"),
    PSEUDO_TEXT("ip_default_ttl", 0444, "64\n"),
    PSEUDO_TEXT("ip_forward", 0444, "0\n"),
    PSEUDO_TEXT("ip_nonlocal_bind", 0444, "0\n"),
    PSEUDO_RW("ping_group_range", 0644, show_ping_groups, store_ping_groups),
    PSEUDO_TEXT("icmp_echo_ignore_all", 0444, "0\n"),
    PSEUDO_TEXT("igmp_max_memberships", 0444, "20\n"),
    PSEUDO_TEXT("tcp_rmem", 0444, "4096\t131072\t6291456\n"),
    PSEUDO_TEXT("tcp_wmem", 0444, "4096\t16384\t4194304\n"),
    PSEUDO_TEXT("tcp_mem", 0444, "190626\t254169\t381252\n"),
    PSEUDO_TEXT("udp_mem", 0444, "381252\t508338\t762504\n"),
    PSEUDO_TEXT("udp_rmem_min", 0444, "4096\n"),
    PSEUDO_TEXT("udp_wmem_min", 0444, "4096\n"),
    PSEUDO_TEXT("tcp_fin_timeout", 0444, "60\n"),
    PSEUDO_TEXT("tcp_keepalive_time", 0444, "7200\n"),
    PSEUDO_TEXT("tcp_keepalive_intvl", 0444, "75\n"),
    PSEUDO_TEXT("tcp_keepalive_probes", 0444, "9\n"),
    PSEUDO_TEXT("tcp_syn_retries", 0444, "6\n"),
    PSEUDO_TEXT("tcp_synack_retries", 0444, "5\n"),
    PSEUDO_TEXT("tcp_retries1", 0444, "3\n"),
    PSEUDO_TEXT("tcp_retries2", 0444, "15\n"),
    PSEUDO_TEXT("tcp_max_syn_backlog", 0444, "512\n"),
    PSEUDO_TEXT("tcp_max_tw_buckets", 0444, "16384\n"),
    PSEUDO_TEXT("tcp_tw_reuse", 0444, "2\n"),
    PSEUDO_TEXT("tcp_syncookies", 0444, "1\n"),
    PSEUDO_TEXT("tcp_timestamps", 0444, "1\n"),
    PSEUDO_TEXT("tcp_sack", 0444, "1\n"),
    PSEUDO_TEXT("tcp_window_scaling", 0444, "1\n"),
    PSEUDO_TEXT("tcp_fastopen", 0444, "1\n"),
    PSEUDO_TEXT("tcp_moderate_rcvbuf", 0444, "1\n"),
    PSEUDO_TEXT("tcp_abort_on_overflow", 0444, "0\n"),
    PSEUDO_TEXT("tcp_congestion_control", 0444, "cubic\n"),
    PSEUDO_TEXT("tcp_available_congestion_control", 0444, "reno cubic\n"),
    PSEUDO_TEXT("tcp_allowed_congestion_control", 0444, "reno cubic\n"),
    PSEUDO_DIR("conf", 0555, conf4_dirs),
    {0},
};

static const struct pseudo_entry conf6_table[] = {
    PSEUDO_TEXT("disable_ipv6", 0444, "0\n"),
    PSEUDO_TEXT("forwarding", 0444, "0\n"),
    PSEUDO_TEXT("accept_ra", 0444, "1\n"),
    {0},
};

static const struct pseudo_entry conf6_dirs[] = {
    PSEUDO_DIR("all", 0555, conf6_table),
    PSEUDO_DIR("default", 0555, conf6_table),
    PSEUDO_DIR("lo", 0555, conf6_table),
    {0},
};

static const struct pseudo_entry ipv6_table[] = {
    PSEUDO_TEXT("bindv6only", 0444, "0\n"),
    PSEUDO_TEXT("ip_nonlocal_bind", 0444, "0\n"),
    PSEUDO_DIR("conf", 0555, conf6_dirs),
    {0},
};

static const struct pseudo_entry unix_table[] = {
    ROW_NUMBER("max_dgram_qlen", unix_qlen),
    {0},
};

static bool is_row(const struct pseudo_entry *e, const struct pseudo_entry *table, size_t count)
{
    return e >= table && e < table + count;
}

bool proc_sys_net_root(const struct pseudo_node *n, lx_uid_t *out_uid, lx_gid_t *out_gid)
{
    const struct pseudo_entry *e = n->entry;

    if (!ns_now() || (!is_row(e, core_table, ARRAY_COUNT(core_table)) &&
                      !is_row(e, ipv4_table, ARRAY_COUNT(ipv4_table)) &&
                      !is_row(e, unix_table, ARRAY_COUNT(unix_table))))
        return false;
    *out_uid = userns_to_kuid(ns_now()->owner, 0);
    *out_gid = userns_to_kgid(ns_now()->owner, 0);
    if (*out_uid == LX_ID_INVALID)
        *out_uid = 0;
    if (*out_gid == LX_ID_INVALID)
        *out_gid = 0;
    return true;
}

bool proc_sys_net_grants(const struct pseudo_node *n)
{
    lx_uid_t uid;
    lx_gid_t gid;

    return n->entry->store && proc_sys_net_root(n, &uid, &gid) &&
           cred_ns_capable(curr()->cred, ns_now()->owner, LX_CAP_NET_ADMIN);
}

const struct pseudo_entry g_proc_sys_net_table[] = {
    PSEUDO_DIR("core", 0555, core_table),
    PSEUDO_DIR("ipv4", 0555, ipv4_table),
    PSEUDO_DIR("ipv6", 0555, ipv6_table),
    PSEUDO_DIR("unix", 0555, unix_table),
    {0},
};
