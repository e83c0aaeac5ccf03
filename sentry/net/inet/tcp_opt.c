/* SPDX-License-Identifier: Apache-2.0 */
/* SOL_TCP options. Those that shape packets are remembered only: there are no packets. */
#include <errno.h>

#include "sentry/net/inet/tcp.h"

#define WINDOW_CLAMP_MIN 1152
#define FIN_TIMEOUT      60 /* net.ipv4.tcp_fin_timeout */

struct int_option {
    int name;
    size_t off; /* of an int in struct tcp_sock */
    int min, max;
};

#define OPT(name, field, lo, hi)                                                                   \
    {                                                                                              \
        name, offsetof(struct tcp_sock, field), lo, hi                                             \
    }

static const struct int_option int_options[] = {
    OPT(LX_TCP_KEEPIDLE, keepidle, 1, 32767),
    OPT(LX_TCP_KEEPINTVL, keepintvl, 1, 32767),
    OPT(LX_TCP_KEEPCNT, keepcnt, 1, 127),
    OPT(LX_TCP_SYNCNT, syncnt, 1, 127),
    OPT(LX_TCP_USER_TIMEOUT, user_timeout, 0, INT32_MAX),
    OPT(LX_TCP_INQ, inq, 0, 1),
    OPT(LX_TCP_SAVE_SYN, save_syn, 0, 2),
    OPT(LX_TCP_THIN_LINEAR_TIMEOUTS, thin_linear, 0, 1),
    OPT(LX_TCP_NOTSENT_LOWAT, notsent_lowat, INT32_MIN, INT32_MAX),
};

static const struct int_option *int_option_find(int name)
{
    for (size_t i = 0; i < ARRAY_COUNT(int_options); i++) {
        if (int_options[i].name == name)
            return &int_options[i];
    }
    return NULL;
}

static int *int_option_at(struct tcp_sock *t, const struct int_option *o)
{
    /* SAFETY: off is the offset of an int member, from the table above. */
    return (int *)(void *)((char *)t + o->off);
}

/* Linux: counted in retransmissions of the SYN-ACK, after 1, 3, 7 ... s and then every 120 s. */
static int defer_accept_rounded(int seconds)
{
    int period = seconds > 0 ? 1 : 0, timeout = 1;

    for (int retries = 1; seconds > period && retries < 255; retries++) {
        timeout = MIN(timeout * 2, 120);
        period += timeout;
    }
    return period;
}

/* Options that only some states take. */
static int set_fastopen(struct tcp_sock *t, int name, int v)
{
    if (v < 0 || (name == LX_TCP_FASTOPEN_CONNECT && v > 1))
        return -EINVAL;
    if (t->state != LX_TCP_CLOSE && (name != LX_TCP_FASTOPEN || t->state != LX_TCP_LISTEN))
        return -EINVAL;
    if (name == LX_TCP_FASTOPEN)
        t->fastopen = v;
    else
        t->fastopen_connect = v;
    return 0;
}

static int set_congestion(struct tcp_sock *t, const void *val, uint32_t len)
{
    char name[16] = {0};

    if (len < 1)
        return -EINVAL;
    memcpy(name, val, MIN((size_t)len, sizeof(name) - 1));
    if (strcmp(name, "cubic") != 0 && strcmp(name, "reno") != 0)
        return -ENOENT;
    memcpy(t->congestion, name, sizeof(name));
    return 0;
}

int tcp_setsockopt(struct sock *sk, int level, int name, const void *val, uint32_t len)
{
    struct tcp_sock *t = tcp_of(sk);
    const struct int_option *o;
    int v, ret;

    if (level == LX_SOL_SOCKET)
        return -ENOPROTOOPT;
    if (level != LX_SOL_TCP)
        return inet_setsockopt(&t->in, level, name, val, len);
    if (name == LX_TCP_CONGESTION)
        return set_congestion(t, val, len);
    if (name == LX_TCP_ULP)
        return -ENOENT;
    ret = sockopt_get_int(val, len, &v);
    if (ret < 0)
        return ret;
    o = int_option_find(name);
    if (o) {
        if (v < o->min || v > o->max)
            return -EINVAL;
        *int_option_at(t, o) = v;
        return 0;
    }
    switch (name) {
    case LX_TCP_NODELAY:
        t->nodelay = v != 0;
        return 0;
    case LX_TCP_CORK:
        t->cork = v != 0;
        return 0;
    case LX_TCP_QUICKACK:
        t->quickack = v & 1;
        return 0;
    case LX_TCP_MAXSEG:
        if (v && (v < 88 || v > 32767))
            return -EINVAL;
        t->maxseg = v;
        return 0;
    case LX_TCP_LINGER2:
        t->linger2 = v < 0 ? -1 : MIN(v, 120);
        return 0;
    case LX_TCP_DEFER_ACCEPT:
        t->defer_accept = defer_accept_rounded(v);
        return 0;
    case LX_TCP_FASTOPEN:
    case LX_TCP_FASTOPEN_CONNECT:
        return set_fastopen(t, name, v);
    case LX_TCP_WINDOW_CLAMP:
        if (!v && t->state != LX_TCP_CLOSE)
            return -EINVAL;
        t->window_clamp = v ? MAX(v, WINDOW_CLAMP_MIN) : 0;
        return 0;
    case LX_TCP_THIN_DUPACK:
    case LX_TCP_FASTOPEN_NO_COOKIE:
    case LX_TCP_TX_DELAY:
        return 0;
    case LX_TCP_REPAIR:
        return -EPERM;
    default:
        return -ENOPROTOOPT;
    }
}

static int get_info(struct tcp_sock *t, void *val, uint32_t *len)
{
    struct lx_tcp_info i = {0};

    mutex_lock(&t->in.sk.lock);
    i.state = (uint8_t)t->state;
    i.options = t->state == LX_TCP_CLOSE || t->state == LX_TCP_LISTEN ? 0 : 7;
    i.wscale = i.options ? 0xaa : 0;
    i.rto = 201000;
    i.ato = 40000;
    i.snd_mss = i.options ? 32768 : 536;
    i.rcv_mss = i.options ? 65483 : 536;
    i.pmtu = i.options ? 65535 : 0;
    i.rcv_ssthresh = 65495;
    i.rtt = i.options ? 20 : 0;
    i.rttvar = i.options ? 10 : 250000;
    i.snd_ssthresh = 0x7fffffff;
    i.snd_cwnd = 10;
    i.advmss = i.options ? 65483 : 0;
    i.reordering = 3;
    i.rcv_space = 65495;
    i.min_rtt = i.options ? 10 : ~0u;
    i.bytes_received = t->bytes_received;
    i.bytes_sent = i.bytes_acked = t->bytes_sent;
    i.segs_in = i.data_segs_in = (uint32_t)t->segs_in;
    i.segs_out = i.data_segs_out = (uint32_t)t->segs_out;
    i.delivered = (uint32_t)t->segs_out;
    i.pacing_rate = i.max_pacing_rate = ~0ull;
    i.snd_wnd = i.options ? 65536 : 0;
    if (t->state == LX_TCP_LISTEN) {
        i.unacked = t->accept_count;
        i.sacked = t->backlog;
    }
    mutex_unlock(&t->in.sk.lock);
    return sockopt_put(val, len, &i, sizeof(i));
}

int tcp_getsockopt(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
    struct tcp_sock *t = tcp_of(sk);
    const struct int_option *o;

    if (level == LX_SOL_SOCKET)
        return name == LX_SO_ACCEPTCONN ? sockopt_put_int(val, len, t->state == LX_TCP_LISTEN)
                                        : -ENOPROTOOPT;
    if (level != LX_SOL_TCP)
        return inet_getsockopt(&t->in, level, name, val, len);
    o = int_option_find(name);
    if (o)
        return sockopt_put_int(val, len, *int_option_at(t, o));
    switch (name) {
    case LX_TCP_NODELAY:
        return sockopt_put_int(val, len, t->nodelay);
    case LX_TCP_CORK:
        return sockopt_put_int(val, len, t->cork);
    case LX_TCP_QUICKACK:
        return sockopt_put_int(val, len, t->quickack);
    case LX_TCP_MAXSEG:
        return sockopt_put_int(val, len,
                               t->state == LX_TCP_CLOSE || t->state == LX_TCP_LISTEN
                                   ? (t->maxseg ? t->maxseg : 536)
                                   : 32741);
    case LX_TCP_LINGER2:
        return sockopt_put_int(val, len, t->linger2 ? t->linger2 : FIN_TIMEOUT);
    case LX_TCP_DEFER_ACCEPT:
        return sockopt_put_int(val, len, t->defer_accept);
    case LX_TCP_FASTOPEN:
        return sockopt_put_int(val, len, t->fastopen);
    case LX_TCP_FASTOPEN_CONNECT:
        return sockopt_put_int(val, len, t->fastopen_connect);
    case LX_TCP_WINDOW_CLAMP:
        return sockopt_put_int(val, len, t->window_clamp);
    case LX_TCP_INFO:
        return get_info(t, val, len);
    case LX_TCP_CONGESTION:
        return sockopt_put(val, len, t->congestion, sizeof(t->congestion));
    case LX_TCP_ULP:
    case LX_TCP_CC_INFO:
        *len = 0;
        return 0;
    case LX_TCP_TIMESTAMP:
        return sockopt_put_int(val, len, (int)(clock_monotonic() / 1000000));
    case LX_TCP_THIN_DUPACK:
    case LX_TCP_FASTOPEN_NO_COOKIE:
    case LX_TCP_TX_DELAY:
    case LX_TCP_REPAIR:
        return sockopt_put_int(val, len, 0);
    default:
        return -ENOPROTOOPT;
    }
}
