/* SPDX-License-Identifier: Apache-2.0 */
/* Creating, naming and connecting sockets; socket options. Transfers are in socket_msg.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"
#include "sentry/net/filter.h"
#include "sentry/net/net_tables.h"
#include "sentry/net/unix/unix.h"
#include "sentry/syscalls/socket_internal.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

#define OPTVAL_MAX 65536

int socket_lookup(int fd, struct file **out_file, struct sock **out_sk)
{
    int ret = fdtable_lookup_get(curr()->files, fd, out_file);

    if (ret < 0)
        return ret;
    ret = socket_from_file(*out_file, out_sk);
    if (ret < 0)
        file_put(*out_file);
    return ret;
}

int sockaddr_in(uaddr_t addr, int len, struct sockaddr_buf *out)
{
    memset(out, 0, sizeof(*out));
    if (len < 0 || (size_t)len > sizeof(out->bytes))
        return -EINVAL;
    out->len = (uint32_t)len;
    return len ? copy_in(out->bytes, addr, (size_t)len) : 0;
}

int sockaddr_out(const struct sockaddr_buf *a, uaddr_t addr, uaddr_t len_addr)
{
    int32_t room, full = (int32_t)a->len;
    int ret = get_user(&room, len_addr);

    if (ret < 0)
        return ret;
    if (room < 0)
        return -EINVAL;
    room = MIN(room, full);
    if (room) {
        ret = copy_out(addr, a->bytes, (size_t)room);
        if (ret < 0)
            return ret;
    }
    return put_user(&full, len_addr);
}

/* Splits type and flags of socket, socketpair and accept4. */
static int split_type(int *type, uint32_t *flags)
{
    *flags = (uint32_t)*type & ~(uint32_t)LX_SOCK_TYPE_MASK;
    if (*flags & ~(uint32_t)(LX_SOCK_CLOEXEC | LX_SOCK_NONBLOCK))
        return -EINVAL;
    *type &= LX_SOCK_TYPE_MASK;
    return 0;
}

/* Opens sk as a descriptor; consumes the reference in every case. */
static int install_sock(struct sock *sk, uint32_t flags)
{
    struct file *f;
    int ret = socket_file_new_take(sk, flags, &f);

    if (ret < 0) {
        sk->ops->close(sk, /*linger=*/false);
        sock_put(sk);
        return ret;
    }
    ret = fdtable_install_take(curr()->files, f, 0, flags & LX_SOCK_CLOEXEC);
    if (ret < 0)
        file_put(f);
    return ret;
}

long sys_socket(struct task *t, int family, int type, int protocol)
{
    uint32_t flags;
    struct sock *sk;
    int ret = split_type(&type, &flags);

    if (ret == 0)
        ret = sock_create(curr()->netns, family, type, protocol, &sk);
    return ret < 0 ? ret : install_sock(sk, flags);
}

long sys_socketpair(struct task *t, int family, int type, int protocol, uaddr_t usockvec)
{
    struct sock *a, *b;
    int32_t fds[2];
    uint32_t flags;
    int ret = split_type(&type, &flags);

    if (ret < 0)
        return ret;
    ret = sock_create(curr()->netns, family, type, protocol, &a);
    if (ret < 0)
        return ret;
    ret =
        family == LX_AF_UNIX ? sock_create(curr()->netns, family, type, protocol, &b) : -EOPNOTSUPP;
    if (ret < 0) {
        a->ops->close(a, /*linger=*/false);
        sock_put(a);
        return ret;
    }
    unix_pair(a, b);
    fds[0] = install_sock(a, flags);
    if (fds[0] < 0) {
        b->ops->close(b, /*linger=*/false);
        sock_put(b);
        return fds[0];
    }
    fds[1] = install_sock(b, flags);
    ret = fds[1] < 0 ? fds[1] : copy_out(usockvec, fds, sizeof(fds));
    if (ret < 0) {
        fdtable_close(curr()->files, fds[0]);
        if (fds[1] >= 0)
            fdtable_close(curr()->files, fds[1]);
    }
    return ret;
}

long sys_bind(struct task *t, int fd, uaddr_t addr, int addrlen)
{
    struct sockaddr_buf a;
    struct file *f;
    struct sock *sk;
    int ret = socket_lookup(fd, &f, &sk);

    if (ret < 0)
        return ret;
    ret = sockaddr_in(addr, addrlen, &a);
    if (ret == 0)
        ret = sock_bind(sk, &a);
    file_put(f);
    return ret;
}

long sys_listen(struct task *t, int fd, int backlog)
{
    struct file *f;
    struct sock *sk;
    int ret = socket_lookup(fd, &f, &sk);

    if (ret < 0)
        return ret;
    if ((uint32_t)backlog > (uint32_t)sk->netns->somaxconn)
        backlog = sk->netns->somaxconn;
    ret = sk->ops->listen ? sk->ops->listen(sk, backlog) : -EOPNOTSUPP;
    file_put(f);
    return ret;
}

long sys_connect(struct task *t, int fd, uaddr_t addr, int addrlen)
{
    struct sockaddr_buf a;
    struct file *f;
    struct sock *sk;
    int ret = socket_lookup(fd, &f, &sk);

    if (ret < 0)
        return ret;
    ret = sockaddr_in(addr, addrlen, &a);
    if (ret == 0 && a.len < sizeof(uint16_t))
        ret = -EINVAL;
    if (ret == 0)
        ret = sock_connect(sk, &a, file_nonblock(f));
    file_put(f);
    return ret;
}

static long do_accept(int fd, uaddr_t addr, uaddr_t addrlen, uint32_t flags)
{
    struct sockaddr_buf a = {0};
    struct sock *sk, *conn;
    struct file *f, *nf;
    int ret, newfd = -1;

    ret = socket_lookup(fd, &f, &sk);
    if (ret < 0)
        return ret;
    if (flags & ~(uint32_t)(LX_SOCK_CLOEXEC | LX_SOCK_NONBLOCK)) {
        file_put(f);
        return -EINVAL;
    }
    /* The descriptor is reserved first: a full table must not lose a connection. */
    newfd = fdtable_reserve(curr()->files, 0, flags & LX_SOCK_CLOEXEC);
    ret = newfd;
    if (ret >= 0)
        ret = sk->ops->accept ? sk->ops->accept(sk, file_nonblock(f), &conn) : -EOPNOTSUPP;
    file_put(f);
    if (ret < 0)
        goto out_cancel;
    ret = socket_file_new_take(conn, flags, &nf);
    if (ret < 0) {
        conn->ops->close(conn, /*linger=*/false);
        sock_put(conn);
        goto out_cancel;
    }
    if (addr) {
        /* Linux: a connection that is reset already is still handed over, its name is gone. */
        ret = conn->ops->getname(conn, /*peer=*/true, &a);
        if (ret < 0)
            ret = -ECONNABORTED;
        if (ret == 0)
            ret = sockaddr_out(&a, addr, addrlen);
        if (ret < 0) {
            file_put(nf);
            goto out_cancel;
        }
    }
    fdtable_publish_take(curr()->files, newfd, nf);
    return newfd;
out_cancel:
    if (newfd >= 0)
        fdtable_cancel(curr()->files, newfd);
    return ret;
}

long sys_accept(struct task *t, int fd, uaddr_t addr, uaddr_t addrlen)
{
    return do_accept(fd, addr, addrlen, 0);
}

long sys_accept4(struct task *t, int fd, uaddr_t addr, uaddr_t addrlen, int flags)
{
    return do_accept(fd, addr, addrlen, (uint32_t)flags);
}

static long do_getname(int fd, uaddr_t addr, uaddr_t addrlen, bool peer)
{
    struct sockaddr_buf a = {0};
    struct file *f;
    struct sock *sk;
    int ret = socket_lookup(fd, &f, &sk);

    if (ret < 0)
        return ret;
    ret = sk->ops->getname(sk, peer, &a);
    if (ret == 0)
        ret = sockaddr_out(&a, addr, addrlen);
    file_put(f);
    return ret;
}

long sys_getsockname(struct task *t, int fd, uaddr_t addr, uaddr_t addrlen)
{
    return do_getname(fd, addr, addrlen, /*peer=*/false);
}

long sys_getpeername(struct task *t, int fd, uaddr_t addr, uaddr_t addrlen)
{
    return do_getname(fd, addr, addrlen, /*peer=*/true);
}

long sys_shutdown(struct task *t, int fd, int how)
{
    struct file *f;
    struct sock *sk;
    int ret = socket_lookup(fd, &f, &sk);

    if (ret < 0)
        return ret;
    if (how < LX_SHUT_RD || how > LX_SHUT_RDWR)
        ret = -EINVAL;
    else
        ret = sk->ops->shutdown ? sk->ops->shutdown(sk, how) : -EOPNOTSUPP;
    file_put(f);
    return ret;
}

static int set_option(struct sock *sk, int level, int name, const void *val, uint32_t len)
{
    int ret;

    if (level == LX_SOL_SOCKET && !sk->ops->own_socket_level) {
        ret = sock_setsockopt(sk, name, val, len);
        if (ret != -ENOPROTOOPT || !sk->ops->setsockopt)
            return ret;
    }
    return sk->ops->setsockopt ? sk->ops->setsockopt(sk, level, name, val, len) : -ENOPROTOOPT;
}

long sys_setsockopt(struct task *t, int fd, int level, int optname, uaddr_t optval, int optlen)
{
    uint8_t small[64] = {0}, *val = small;
    struct file *f;
    struct sock *sk;
    int ret;

    ret = socket_lookup(fd, &f, &sk);
    if (ret < 0)
        return ret;
    if (optlen < 0) {
        ret = -EINVAL;
    } else if (optlen > OPTVAL_MAX) {
        ret = -ENOMEM;
    } else if (optlen > (int)sizeof(small)) {
        val = calloc(1, (size_t)optlen);
        ret = val ? 0 : -ENOMEM;
    }
    /* Linux: options copy their value themselves; a length that is too short beats a bad address.
     */
    if (ret == 0 && optlen > 0 && (optlen >= 4 || level != LX_SOL_SOCKET))
        ret = copy_in(val, optval, (size_t)optlen);
    if (ret == 0)
        ret = set_option(sk, level, optname, val, (uint32_t)optlen);
    if (val != small)
        free(val);
    file_put(f);
    return ret;
}

static int get_option(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
    int ret;

    if (level == LX_SOL_SOCKET && !sk->ops->own_socket_level) {
        ret = sock_getsockopt(sk, name, val, len);
        if (ret != -ENOPROTOOPT || !sk->ops->getsockopt)
            return ret;
    }
    return sk->ops->getsockopt ? sk->ops->getsockopt(sk, level, name, val, len) : -ENOPROTOOPT;
}

long sys_getsockopt(struct task *t, int fd, int level, int optname, uaddr_t optval, uaddr_t optlen)
{
    uint8_t small[256] = {0}, *val = small;
    uint32_t used;
    int32_t len;
    struct file *f;
    struct sock *sk;
    int ret = socket_lookup(fd, &f, &sk);

    if (ret < 0)
        return ret;
    ret = get_user(&len, optlen);
    if (ret == 0 && len < 0)
        ret = -EINVAL;
    if (ret < 0)
        goto out;
    if (level == LX_SOL_SOCKET && optname == LX_SO_ATTACH_FILTER) {
        /* SO_GET_FILTER: its lengths are counts of instructions. */
        ret = filter_get(sk, optval, (uint32_t)len);
        len = ret;
        ret = ret < 0 ? ret : put_user(&len, optlen);
        goto out;
    }
    len = MIN(len, OPTVAL_MAX);
    if (len > (int32_t)sizeof(small)) {
        val = calloc(1, (size_t)len);
        ret = val ? 0 : -ENOMEM;
        if (ret < 0)
            goto out;
    }
    used = (uint32_t)len;
    /* PACKET_HDRLEN asks about the version that stands there. */
    if (level == LX_SOL_PACKET && used && copy_in(val, optval, MIN(used, sizeof(int32_t))) < 0) {
        ret = -EFAULT;
        goto free;
    }
    ret = get_option(sk, level, optname, val, &used);
    if (ret == 0 || ret == -ERANGE) {
        int err = ret;

        len = (int32_t)used;
        ret = put_user(&len, optlen);
        if (ret == 0 && err == 0 && used)
            ret = copy_out(optval, val, used);
        ret = ret < 0 ? ret : err;
    }
free:
    if (val != small)
        free(val);
out:
    file_put(f);
    return ret;
}
