/* SPDX-License-Identifier: Apache-2.0 */
/* See filter.h. */
#include "sentry/net/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/refs.h"
#include "sentry/fs/vfs.h"
#include "sentry/mm/uaccess.h"

/* Lifetime: refcounted: by the endpoint, and by whoever asks it. All immutable but refs. */
struct sock_program {
    struct refs refs;
    uint32_t count;
    struct lx_sock_filter insns[];
};

static void program_put(struct sock_program *p)
{
    if (p && refs_put(&p->refs))
        free(p);
}

static struct sock_program *program_get(struct sock *sk)
{
    struct sock_program *p;

    mutex_lock(&sk->lock);
    p = sk->program;
    if (p)
        refs_get(&p->refs);
    mutex_unlock(&sk->lock);
    return p;
}

/* Linux: the length of the option beats its contents, those the program's memory, that its code. */
static int copy_program(const void *val, uint32_t len, struct sock_program **out)
{
    struct lx_sock_fprog fprog;
    struct sock_program *p;
    int ret;

    if (len != sizeof(fprog))
        return -EINVAL;
    memcpy(&fprog, val, sizeof(fprog));
    if (!fprog.filter || !fprog.len || fprog.len > LX_BPF_MAXINSNS)
        return -EINVAL;
    p = malloc(sizeof(*p) + fprog.len * sizeof(p->insns[0]));
    if (!p)
        return -ENOMEM;
    refs_init(&p->refs);
    p->count = fprog.len;
    ret = copy_in(p->insns, fprog.filter, fprog.len * sizeof(p->insns[0]));
    if (ret == 0)
        ret = bpf_check(BPF_KIND_SOCKET, p->insns, p->count);
    if (ret < 0) {
        free(p);
        return ret;
    }
    *out = p;
    return 0;
}

static void replace(struct sock *sk, struct sock_program *p)
{
    struct sock_program *old;

    mutex_lock(&sk->lock);
    old = sk->program;
    sk->program = p;
    if (p)
        atomic_fetch_or(&sk->flags, SOCK_F_FILTER);
    else
        atomic_fetch_and(&sk->flags, ~SOCK_F_FILTER);
    mutex_unlock(&sk->lock);
    program_put(old);
    if (sk->ops->filter_changed)
        sk->ops->filter_changed(sk);
}

void filter_inherit_locked(struct sock *listener, struct sock *child)
{
    ASSERT_HELD(&listener->lock);
    if (!listener->program)
        return;
    refs_get(&listener->program->refs);
    child->program = listener->program;
    atomic_fetch_or(&child->flags, listener->flags & (SOCK_F_FILTER | SOCK_F_LOCK_FILTER));
}

static bool locked(struct sock *sk)
{
    return sk->flags & SOCK_F_LOCK_FILTER;
}

/* No descriptor names an eBPF program: bpf(2) makes none. */
static int attach_bpf(const void *val, uint32_t len)
{
    struct file *f;
    int fd, ret;

    if (len != sizeof(fd))
        return -EINVAL;
    memcpy(&fd, val, sizeof(fd));
    ret = fdtable_lookup_get(curr()->files, fd, &f);
    if (ret < 0)
        return ret;
    file_put(f);
    return -EINVAL;
}

static int set_lock(struct sock *sk, int v)
{
    if (!v && locked(sk))
        return -EPERM;
    if (v)
        atomic_fetch_or(&sk->flags, SOCK_F_LOCK_FILTER);
    return 0;
}

static int check_reuseport(struct sock *sk, const void *val, uint32_t len)
{
    struct sock_program *p;
    int ret;

    if (locked(sk))
        return -EPERM;
    ret = copy_program(val, len, &p);
    if (ret < 0)
        return ret;
    program_put(p);
    return sk->flags & SOCK_F_REUSEPORT ? 0 : -EINVAL;
}

int filter_setsockopt(struct sock *sk, int name, const void *val, uint32_t len)
{
    struct sock_program *p;
    int v, ret = sockopt_get_int(val, len, &v);

    switch (name) {
    case LX_SO_ATTACH_FILTER:
        if (ret == 0 && len == sizeof(struct lx_sock_fprog) && locked(sk))
            return -EPERM;
        ret = ret < 0 ? ret : copy_program(val, len, &p);
        if (ret == 0)
            replace(sk, p);
        return ret;
    case LX_SO_ATTACH_BPF:
    case LX_SO_ATTACH_REUSEPORT_EBPF:
        return ret < 0 ? ret : locked(sk) ? -EPERM : attach_bpf(val, len);
    case LX_SO_ATTACH_REUSEPORT_CBPF:
        return ret < 0 ? ret : check_reuseport(sk, val, len);
    case LX_SO_DETACH_FILTER: /* and SO_DETACH_BPF */
        if (ret < 0)
            return ret;
        if (locked(sk))
            return -EPERM;
        if (!sock_has_filter(sk))
            return -ENOENT;
        replace(sk, NULL);
        return 0;
    case LX_SO_LOCK_FILTER:
        return ret < 0 ? ret : set_lock(sk, v);
    default:
        return -ENOPROTOOPT;
    }
}

int filter_get(struct sock *sk, uaddr_t to, uint32_t count)
{
    struct sock_program *p = program_get(sk);
    int ret;

    if (!p)
        return 0;
    ret = (int)p->count;
    if (count && count < p->count)
        ret = -EINVAL;
    else if (count && copy_out(to, p->insns, p->count * sizeof(p->insns[0])) < 0)
        ret = -EFAULT;
    program_put(p);
    return ret;
}

void filter_destroy(struct sock *sk)
{
    program_put(sk->program);
}

bool sock_filter_packet_locked(struct sock *sk, const struct bpf_packet *packet, size_t cap,
                               size_t *size)
{
    size_t take;

    ASSERT_HELD(&sk->lock);
    *size = packet->size - packet->start;
    if (!sk->program)
        return true;
    take = bpf_run_packet(sk->program->insns, packet);
    *size = MIN(*size, MAX(take, cap));
    return take > 0;
}

bool sock_filter_packet(struct sock *sk, const struct bpf_packet *packet, size_t cap, size_t *size)
{
    struct sock_program *p = program_get(sk);
    size_t take;

    *size = packet->size - packet->start;
    if (!p)
        return true;
    take = bpf_run_packet(p->insns, packet);
    program_put(p);
    *size = MIN(*size, MAX(take, cap));
    return take > 0;
}

bool sock_filter_bytes(struct sock *sk, const void *bytes, size_t *size)
{
    const struct bpf_packet packet = {
        .bytes = bytes, .size = *size, .link = BPF_NO_HEADER, .net = BPF_NO_HEADER};

    return sock_filter_packet(sk, &packet, 1, size);
}
