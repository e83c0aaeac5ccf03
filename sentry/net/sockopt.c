/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SOL_SOCKET options. socket(7). Buffer sizes are doubled when set, as Linux does to leave room for
 * bookkeeping; options about hardware are remembered so that programs can read back what they set.
 */
#include <errno.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/fs/fasync.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/filter.h"
#include "sentry/net/net_tables.h"
#include "sentry/net/sock.h"

#define SNDBUF_MIN 4608
#define RCVBUF_MIN 2304
#define BUF_MAX    212992 /* net.core.{w,r}mem_max */

int sockopt_put(void *val, uint32_t *len, const void *src, uint32_t size)
{
    *len = MIN(*len, size);
    memcpy(val, src, *len);
    return 0;
}

int sockopt_put_int(void *val, uint32_t *len, int v)
{
    return sockopt_put(val, len, &v, sizeof(v));
}

int sockopt_get_int(const void *val, uint32_t len, int *out)
{
    if (len < sizeof(*out))
        return -EINVAL;
    memcpy(out, val, sizeof(*out));
    return 0;
}

struct flag_option {
    int name;
    uint32_t flag;
};

static const struct flag_option flag_options[] = {
    {LX_SO_DEBUG, SOCK_F_DEBUG},
    {LX_SO_REUSEADDR, SOCK_F_REUSEADDR},
    {LX_SO_REUSEPORT, SOCK_F_REUSEPORT},
    {LX_SO_DONTROUTE, SOCK_F_DONTROUTE},
    {LX_SO_BROADCAST, SOCK_F_BROADCAST},
    {LX_SO_KEEPALIVE, SOCK_F_KEEPALIVE},
    {LX_SO_OOBINLINE, SOCK_F_OOBINLINE},
    {LX_SO_NO_CHECK, SOCK_F_NO_CHECK},
    {LX_SO_PASSCRED, SOCK_F_PASSCRED},
    {LX_SO_PASSSEC, SOCK_F_PASSSEC},
    {LX_SO_PASSPIDFD, SOCK_F_PASSPIDFD},
    {LX_SO_TIMESTAMP, SOCK_F_TIMESTAMP},
    {LX_SO_TIMESTAMP_NEW, SOCK_F_TIMESTAMP},
    {LX_SO_TIMESTAMPNS, SOCK_F_TIMESTAMPNS},
    {LX_SO_TIMESTAMPNS_NEW, SOCK_F_TIMESTAMPNS},
    {LX_SO_RXQ_OVFL, SOCK_F_RXQ_OVFL},
    {LX_SO_NOFCS, SOCK_F_NOFCS},
    {LX_SO_SELECT_ERR_QUEUE, SOCK_F_SELECT_ERR},
    {LX_SO_RCVMARK, SOCK_F_RCVMARK},
};

static const struct flag_option *flag_option_find(int name)
{
    for (size_t i = 0; i < ARRAY_COUNT(flag_options); i++) {
        if (flag_options[i].name == name)
            return &flag_options[i];
    }
    return NULL;
}

static void set_flag(struct sock *sk, uint32_t flag, bool on)
{
    if (on)
        atomic_fetch_or(&sk->flags, flag);
    else
        atomic_fetch_and(&sk->flags, ~flag);
}

static int set_buf(struct sock *sk, int name, int val)
{
    bool force = name == LX_SO_SNDBUFFORCE || name == LX_SO_RCVBUFFORCE;
    bool snd = name == LX_SO_SNDBUF || name == LX_SO_SNDBUFFORCE;

    if (force && !cred_ns_capable(curr()->cred, sk->netns->owner, LX_CAP_NET_ADMIN))
        return -EPERM;
    if (force && val < 0)
        val = 0;
    /* Linux: a negative size is huge when it is compared with the limit. */
    if (!force)
        val = (int)MIN((uint32_t)val, (uint32_t)BUF_MAX);
    val = MIN(val, INT32_MAX / 2) * 2;
    if (snd)
        sk->sndbuf = MAX(val, SNDBUF_MIN);
    else
        sk->rcvbuf = MAX(val, RCVBUF_MIN);
    set_flag(sk, snd ? SOCK_F_SNDBUF_LOCK : SOCK_F_RCVBUF_LOCK, true);
    if (sk->ops->buffers_changed)
        sk->ops->buffers_changed(sk);
    if (snd)
        sock_wake(sk, WAKE_OUT | WAKE_WRNORM | WAKE_WRBAND);
    return 0;
}

static int set_timeo(struct sock *sk, int name, const void *val, uint32_t len)
{
    bool rcv = name == LX_SO_RCVTIMEO || name == LX_SO_RCVTIMEO_NEW;
    struct lx_timeval64 tv;
    uint64_t ns;

    if (len < sizeof(tv))
        return -EINVAL;
    memcpy(&tv, val, sizeof(tv));
    if (tv.usec < 0 || tv.usec >= 1000000)
        return -EDOM;
    if (tv.sec < 0) {
        /* Linux: a negative timeout means "do not wait" and is not an error. */
        ns = 0;
    } else if (tv.sec == 0 && tv.usec == 0) {
        ns = NO_DEADLINE;
    } else if ((uint64_t)tv.sec >= INT64_MAX / NSEC_PER_SEC) {
        ns = NO_DEADLINE;
    } else {
        ns = (uint64_t)tv.sec * NSEC_PER_SEC + (uint64_t)tv.usec * 1000;
    }
    mutex_lock(&sk->lock);
    if (rcv)
        sk->rcvtimeo = ns;
    else
        sk->sndtimeo = ns;
    mutex_unlock(&sk->lock);
    return 0;
}

static int set_int_option(struct sock *sk, int name, int val)
{
    bool admin = cred_ns_capable(curr()->cred, sk->netns->owner, LX_CAP_NET_ADMIN);

    switch (name) {
    case LX_SO_SNDBUF:
    case LX_SO_RCVBUF:
    case LX_SO_SNDBUFFORCE:
    case LX_SO_RCVBUFFORCE:
        return set_buf(sk, name, val);
    case LX_SO_PRIORITY:
        if ((val < 0 || val > 6) && !admin)
            return -EPERM;
        sk->priority = (uint32_t)val;
        return 0;
    case LX_SO_MARK:
        if (!admin && !cred_ns_capable(curr()->cred, sk->netns->owner, LX_CAP_NET_RAW))
            return -EPERM;
        sk->mark = (uint32_t)val;
        return 0;
    case LX_SO_RCVLOWAT:
        mutex_lock(&sk->lock);
        sk->rcvlowat = val < 0 ? INT32_MAX : val ? val : 1;
        mutex_unlock(&sk->lock);
        return 0;
    case LX_SO_PEEK_OFF:
        if (sk->family != LX_AF_UNIX && sk->protocol != 17)
            return -EOPNOTSUPP;
        mutex_lock(&sk->lock);
        sk->peek_off = val;
        mutex_unlock(&sk->lock);
        return 0;
    case LX_SO_BUSY_POLL:
        if (val > sk->busy_poll && !admin)
            return -EPERM;
        if (val < 0)
            return -EINVAL;
        sk->busy_poll = val;
        return 0;
    case LX_SO_PREFER_BUSY_POLL:
    case LX_SO_BUSY_POLL_BUDGET:
        return admin || val == 0 ? 0 : -EPERM;
    case LX_SO_INCOMING_CPU:
        sk->incoming_cpu = val;
        return 0;
    case LX_SO_ZEROCOPY:
        if (sk->family != LX_AF_INET && sk->family != LX_AF_INET6)
            return -EOPNOTSUPP;
        if (val < 0 || val > 1)
            return -EINVAL;
        set_flag(sk, SOCK_F_ZEROCOPY, val);
        return 0;
    case LX_SO_BINDTOIFINDEX:
        if (val != 0 && val != 1)
            return -ENODEV;
        sk->bound_if = val;
        return 0;
    case LX_SO_TIMESTAMPING:
    case LX_SO_TIMESTAMPING_NEW:
    case LX_SO_TXREHASH:
    case LX_SO_BSDCOMPAT:
        return 0;
    case LX_SO_BUF_LOCK:
        if (val & ~3)
            return -EINVAL;
        set_flag(sk, SOCK_F_SNDBUF_LOCK, val & 1);
        set_flag(sk, SOCK_F_RCVBUF_LOCK, val & 2);
        return 0;
    case LX_SO_TYPE:
    case LX_SO_PROTOCOL:
    case LX_SO_DOMAIN:
    case LX_SO_ERROR:
        return -ENOPROTOOPT;
    default:
        return -ENOPROTOOPT;
    }
}

int sock_setsockopt(struct sock *sk, int name, const void *val, uint32_t len)
{
    const struct flag_option *fo;
    struct lx_linger linger;
    uint64_t rate;
    char dev[16] = {0};
    int v, ret;

    switch (name) {
    case LX_SO_BINDTODEVICE:
        memcpy(dev, val, MIN(len, sizeof(dev) - 1));
        if (dev[0] && strcmp(dev, "lo") != 0)
            return -ENODEV;
        sk->bound_if = dev[0] ? 1 : 0;
        return 0;
    case LX_SO_LINGER:
        if (len < sizeof(linger))
            return -EINVAL;
        memcpy(&linger, val, sizeof(linger));
        mutex_lock(&sk->lock);
        sk->linger = linger;
        mutex_unlock(&sk->lock);
        return 0;
    case LX_SO_RCVTIMEO:
    case LX_SO_SNDTIMEO:
    case LX_SO_RCVTIMEO_NEW:
    case LX_SO_SNDTIMEO_NEW:
        return set_timeo(sk, name, val, len);
    case LX_SO_MAX_PACING_RATE:
        if (len >= sizeof(rate)) {
            memcpy(&rate, val, sizeof(rate));
        } else {
            ret = sockopt_get_int(val, len, &v);
            if (ret < 0)
                return ret;
            rate = v == -1 ? ~0ull : (uint32_t)v;
        }
        sk->pacing_rate = rate;
        return 0;
    default:
        break;
    }
    ret = filter_setsockopt(sk, name, val, len);
    if (ret != -ENOPROTOOPT)
        return ret;
    ret = sockopt_get_int(val, len, &v);
    if (ret < 0)
        return ret;
    fo = flag_option_find(name);
    if (!fo)
        return set_int_option(sk, name, v);
    if (name == LX_SO_DEBUG && v &&
        !cred_ns_capable(curr()->cred, sk->netns->owner, LX_CAP_NET_ADMIN))
        return -EACCES;
    if (name == LX_SO_TIMESTAMP || name == LX_SO_TIMESTAMP_NEW)
        set_flag(sk, SOCK_F_TIMESTAMPNS, false);
    if (name == LX_SO_TIMESTAMPNS || name == LX_SO_TIMESTAMPNS_NEW)
        set_flag(sk, SOCK_F_TIMESTAMP, false);
    set_flag(sk, fo->flag, v != 0);
    return 0;
}

static int get_timeo(struct sock *sk, bool rcv, void *val, uint32_t *len)
{
    struct lx_timeval64 tv = {0};
    uint64_t ns = rcv ? sk->rcvtimeo : sk->sndtimeo;

    if (ns != NO_DEADLINE) {
        tv.sec = (int64_t)(ns / NSEC_PER_SEC);
        tv.usec = (int64_t)(ns % NSEC_PER_SEC / 1000);
    }
    return sockopt_put(val, len, &tv, sizeof(tv));
}

static int get_peercred(struct sock *sk, void *val, uint32_t *len)
{
    const struct userns *ns = curr()->cred->userns;
    struct lx_ucred uc = {.pid = 0, .uid = ~0u, .gid = ~0u};

    mutex_lock(&sk->lock);
    uc.pid = pid_nr(sk->peer_pid);
    if (sk->peer_cred) {
        uc.uid = userns_from_kuid(ns, sk->peer_cred->euid);
        uc.gid = userns_from_kgid(ns, sk->peer_cred->egid);
    }
    mutex_unlock(&sk->lock);
    return sockopt_put(val, len, &uc, sizeof(uc));
}

static int get_peergroups(struct sock *sk, void *val, uint32_t *len)
{
    struct cred *c;
    uint32_t need;
    int ret = 0;

    mutex_lock(&sk->lock);
    c = sk->peer_cred ? cred_get(sk->peer_cred) : NULL;
    mutex_unlock(&sk->lock);
    if (!c)
        return -ENODATA;
    need = (uint32_t)(c->group_count * sizeof(lx_gid_t));
    if (*len < need) {
        ret = -ERANGE;
    } else {
        for (size_t i = 0; i < c->group_count; i++) {
            lx_gid_t g = userns_from_kgid(curr()->cred->userns, c->groups[i]);

            memcpy((char *)val + i * sizeof(g), &g, sizeof(g));
        }
    }
    *len = need;
    cred_put(c);
    return ret;
}

static int get_meminfo(struct sock *sk, void *val, uint32_t *len)
{
    uint32_t mi[9] = {0};

    mi[1] = (uint32_t)sk->rcvbuf;
    mi[2] = (uint32_t)sk->wmem;
    mi[3] = (uint32_t)sk->sndbuf;
    return sockopt_put(val, len, mi, sizeof(mi));
}

int sock_getsockopt(struct sock *sk, int name, void *val, uint32_t *len)
{
    const struct flag_option *fo = flag_option_find(name);
    struct sockaddr_buf peer;
    int ret;

    if (fo)
        return sockopt_put_int(val, len, (sk->flags & fo->flag) != 0);
    switch (name) {
    case LX_SO_TYPE:
        return sockopt_put_int(val, len, sk->type);
    case LX_SO_DOMAIN:
        return sockopt_put_int(val, len, sk->family);
    case LX_SO_PROTOCOL:
        return sockopt_put_int(val, len, (int)sk->protocol);
    case LX_SO_ERROR:
        return sockopt_put_int(val, len, -sock_take_error(sk));
    case LX_SO_SNDBUF:
        return sockopt_put_int(val, len, sk->sndbuf);
    case LX_SO_RCVBUF:
        return sockopt_put_int(val, len, sk->rcvbuf);
    case LX_SO_PRIORITY:
        return sockopt_put_int(val, len, (int)sk->priority);
    case LX_SO_MARK:
        return sockopt_put_int(val, len, (int)sk->mark);
    case LX_SO_LINGER:
        return sockopt_put(val, len, &sk->linger, sizeof(sk->linger));
    case LX_SO_RCVLOWAT:
        return sockopt_put_int(val, len, sk->rcvlowat);
    case LX_SO_SNDLOWAT:
        return sockopt_put_int(val, len, 1);
    case LX_SO_RCVTIMEO:
    case LX_SO_RCVTIMEO_NEW:
        return get_timeo(sk, /*rcv=*/true, val, len);
    case LX_SO_SNDTIMEO:
    case LX_SO_SNDTIMEO_NEW:
        return get_timeo(sk, /*rcv=*/false, val, len);
    case LX_SO_ACCEPTCONN:
        if (sk->ops->getsockopt)
            return sk->ops->getsockopt(sk, LX_SOL_SOCKET, name, val, len);
        return sockopt_put_int(val, len, 0);
    case LX_SO_PEERCRED:
        return get_peercred(sk, val, len);
    case LX_SO_PEERGROUPS:
        return get_peergroups(sk, val, len);
    case LX_SO_PEERNAME:
        memset(&peer, 0, sizeof(peer));
        ret = sk->ops->getname(sk, /*peer=*/true, &peer);
        if (ret < 0)
            return -ENOTCONN;
        if (peer.len < *len)
            return -EINVAL;
        return sockopt_put(val, len, peer.bytes, peer.len);
    case LX_SO_BINDTODEVICE:
        if (!sk->bound_if) {
            *len = 0;
            return 0;
        }
        return *len < 16 ? -EINVAL : sockopt_put(val, len, "lo", 3);
    case LX_SO_BINDTOIFINDEX:
        return sockopt_put_int(val, len, sk->bound_if);
    case LX_SO_PEEK_OFF:
        return sk->family == LX_AF_UNIX || sk->protocol == 17
                   ? sockopt_put_int(val, len, sk->peek_off)
                   : -EOPNOTSUPP;
    case LX_SO_MAX_PACING_RATE:
        return *len >= 8 ? sockopt_put(val, len, &sk->pacing_rate, 8)
                         : sockopt_put_int(val, len, (int)MIN(sk->pacing_rate, ~0u));
    case LX_SO_COOKIE:
        return *len < 8 ? -EINVAL : sockopt_put(val, len, &sk->cookie, 8);
    case LX_SO_NETNS_COOKIE:
        return *len < 8 ? -EINVAL : sockopt_put(val, len, &sk->netns->cookie, 8);
    case LX_SO_MEMINFO:
        return get_meminfo(sk, val, len);
    case LX_SO_ZEROCOPY:
        return sockopt_put_int(val, len, (sk->flags & SOCK_F_ZEROCOPY) != 0);
    case LX_SO_INCOMING_CPU:
        return sockopt_put_int(val, len, sk->incoming_cpu);
    case LX_SO_BUSY_POLL:
        return sockopt_put_int(val, len, sk->busy_poll);
    case LX_SO_BUF_LOCK:
        return sockopt_put_int(val, len,
                               (sk->flags & SOCK_F_SNDBUF_LOCK ? 1 : 0) |
                                   (sk->flags & SOCK_F_RCVBUF_LOCK ? 2 : 0));
    case LX_SO_BPF_EXTENSIONS:
        return sockopt_put_int(val, len, 64); /* SKF_AD_MAX */
    case LX_SO_BSDCOMPAT:
    case LX_SO_INCOMING_NAPI_ID:
    case LX_SO_PREFER_BUSY_POLL:
    case LX_SO_TIMESTAMPING:
    case LX_SO_TIMESTAMPING_NEW:
    case LX_SO_TXREHASH:
    case LX_SO_RESERVE_MEM:
        return sockopt_put_int(val, len, 0);
    case LX_SO_LOCK_FILTER:
        return sockopt_put_int(val, len, (sk->flags & SOCK_F_LOCK_FILTER) != 0);
    default:
        return -ENOPROTOOPT;
    }
}

void sock_put_timestamp(struct sock *sk, struct net_msg *m, const struct nbuf *b)
{
    struct lx_timeval64 tv = {(int64_t)(b->stamp / NSEC_PER_SEC),
                              (int64_t)(b->stamp % NSEC_PER_SEC / 1000)};

    if (sk->flags & SOCK_F_TIMESTAMP)
        cmsg_put(m, LX_SOL_SOCKET, LX_SO_TIMESTAMP, &tv, sizeof(tv));
    if (sk->flags & SOCK_F_TIMESTAMPNS) {
        tv.usec = (int64_t)(b->stamp % NSEC_PER_SEC);
        cmsg_put(m, LX_SOL_SOCKET, LX_SO_TIMESTAMPNS, &tv, sizeof(tv));
    }
    sk->last_stamp = b->stamp;
}

/* The caller of an ioctl holds the file, so sk->file stays. */
static long ioctl_set_owner(struct sock *sk, uaddr_t arg)
{
    struct pid *pid = NULL;
    int32_t nr;
    int ret = get_user(&nr, arg);

    if (ret < 0)
        return ret;
    if (nr == INT32_MIN)
        return -EINVAL;
    if (nr) {
        pid = g_pid_ops->find_get(nr < 0 ? -nr : nr);
        if (!pid)
            return -ESRCH;
    }
    ret = file_set_owner(sk->file, pid, nr < 0 ? PID_PGRP : PID_TGID);
    pid_put(pid);
    return ret;
}

static long ioctl_get_owner(struct sock *sk, uaddr_t arg)
{
    struct file_owner owner;
    int32_t nr;

    file_get_owner(sk->file, &owner);
    nr = pid_nr(owner.pid);
    if (owner.kind == PID_PGRP)
        nr = -nr;
    pid_put(owner.pid);
    return put_user(&nr, arg);
}

long sock_ioctl_generic(struct sock *sk, uint32_t cmd, uaddr_t arg)
{
    struct lx_timeval64 tv;
    uint64_t stamp;

    switch (cmd) {
    case LX_FIOSETOWN:
    case LX_SIOCSPGRP:
        return ioctl_set_owner(sk, arg);
    case LX_FIOGETOWN:
    case LX_SIOCGPGRP:
        return ioctl_get_owner(sk, arg);
    case LX_SIOCGSTAMP:
    case LX_SIOCGSTAMPNS:
        stamp = sk->last_stamp;
        if (!stamp)
            return -ENOENT;
        tv.sec = (int64_t)(stamp / NSEC_PER_SEC);
        tv.usec = (int64_t)(stamp % NSEC_PER_SEC) / (cmd == LX_SIOCGSTAMP ? 1000 : 1);
        return put_user(&tv, arg);
    default:
        return -ENOTTY;
    }
}
