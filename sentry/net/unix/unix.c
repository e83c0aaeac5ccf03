/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_UNIX names, connections and life cycle. unix(7).
 *
 * Names live in three places: a pathname name is the socket inode's unix_sock pointer (under the
 * namespace's table lock), an abstract name an entry of netns->unix_names (key: type, then bytes:
 * like Linux, a stream and a datagram socket may have the same abstract name), and u->addr is the
 * copy that getsockname shows. A name belongs to a socket from bind until close.
 *
 * Locks: table_lock before sk.lock; two endpoints in address order. A connected peer is pinned by a
 * reference on each side, which the sides drop when they close; shutdown bits, not the pointer,
 * tell whether a peer is still there.
 */
#include "sentry/net/unix/unix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/cred.h"
#include "sentry/core/random.h"
#include "sentry/fs/security.h"
#include "sentry/mm/uaccess.h"

#define ADDR_HEAD offsetof(struct lx_sockaddr_un, path)

int unix_alloc(struct netns *ns, const struct sock_ops *ops, int type, struct unix_sock **out)
{
    struct unix_sock *u = calloc(1, sizeof(*u));

    if (!u)
        return -ENOMEM;
    sock_init(&u->sk, ops, ns, LX_AF_UNIX, type, 0);
    list_init(&u->recvq);
    list_init(&u->accept_queue);
    list_init(&u->accept_node);
    list_init(&u->blocked_senders);
    list_init(&u->inflight_node);
    list_init(&u->gc_node);
    list_init(&u->scm_list);
    u->scm_home = u;
    *out = u;
    return 0;
}

int unix_create(struct netns *ns, int type, int protocol, struct sock **out)
{
    const struct sock_ops *ops;
    struct unix_sock *u;
    int ret;

    if (protocol != 0 && protocol != LX_AF_UNIX)
        return -EPROTONOSUPPORT;
    switch (type) {
    case LX_SOCK_STREAM:
        ops = &g_unix_stream_ops;
        break;
    case LX_SOCK_RAW: /* Linux: believed to be a datagram socket */
        type = LX_SOCK_DGRAM;
        ops = &g_unix_dgram_ops;
        break;
    case LX_SOCK_DGRAM:
        ops = &g_unix_dgram_ops;
        break;
    case LX_SOCK_SEQPACKET:
        ops = &g_unix_seqpacket_ops;
        break;
    default:
        return -ESOCKTNOSUPPORT;
    }
    ret = unix_alloc(ns, ops, type, &u);
    if (ret == 0)
        *out = &u->sk;
    return ret;
}

void unix_destroy(struct sock *sk)
{
    struct unix_sock *u = unix_of(sk);

    ASSERT(list_empty(&u->recvq) && !u->name_hashed);
    if (u->peer)
        sock_put(&u->peer->sk);
    path_put(&u->path);
    free(u->name_key);
    sock_destroy_generic(sk);
    free(u);
}

/* ---- names --------------------------------------------------------------------------------- */

int unix_check_addr(const struct sockaddr_buf *addr)
{
    if (addr->len <= ADDR_HEAD || addr->len > sizeof(struct lx_sockaddr_un) ||
        addr->family != LX_AF_UNIX)
        return -EINVAL;
    return 0;
}

static bool addr_is_abstract(const struct sockaddr_buf *addr)
{
    return addr->bytes[ADDR_HEAD] == '\0';
}

/* The path of a pathname address, NUL-terminated. */
static void addr_path(const struct sockaddr_buf *addr, char out[LX_UNIX_PATH_MAX + 1])
{
    size_t len = addr->len - ADDR_HEAD;

    memcpy(out, addr->bytes + ADDR_HEAD, len);
    out[len] = '\0';
}

static struct unix_sock *abstract_find_locked(struct netns *ns, const uint8_t *key, uint32_t len)
{
    struct unix_sock *u = NULL;

    HASH_FIND(hh, ns->unix_names, key, len, u);
    return u;
}

/* Key of the abstract table: type, then the name's bytes. */
static uint32_t abstract_key(const struct sockaddr_buf *addr, int type, uint8_t key[128])
{
    uint32_t len = addr->len - (uint32_t)ADDR_HEAD;

    key[0] = (uint8_t)type;
    memcpy(key + 1, addr->bytes + ADDR_HEAD, len);
    return len + 1;
}

/* Gives u the abstract name. -EADDRINUSE, -EINVAL when it has a name already. */
static int bind_abstract(struct unix_sock *u, const struct sockaddr_buf *addr)
{
    struct netns *ns = u->sk.netns;
    uint8_t key[128], *copy;
    uint32_t len = abstract_key(addr, u->sk.type, key);
    int ret = 0;

    copy = malloc(len);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, key, len);
    mutex_lock(&ns->table_lock);
    mutex_lock(&u->sk.lock);
    if (u->addr.len) {
        ret = -EINVAL;
    } else if (abstract_find_locked(ns, key, len)) {
        ret = -EADDRINUSE;
    } else {
        u->name_key = copy;
        u->name_key_len = len;
        HASH_ADD_KEYPTR(hh, ns->unix_names, u->name_key, u->name_key_len, u);
        if (uthash_oom(u->hh)) {
            u->name_key = NULL;
            ret = -ENOMEM;
        } else {
            u->name_hashed = true;
            u->addr = *addr;
            copy = NULL;
        }
    }
    mutex_unlock(&u->sk.lock);
    mutex_unlock(&ns->table_lock);
    free(copy);
    return ret;
}

int unix_autobind(struct unix_sock *u)
{
    struct sockaddr_buf addr = {.len = (uint32_t)ADDR_HEAD + 6};
    uint32_t nr;
    char digits[8];
    int ret = -ENOSPC;

    random_bytes(&nr, sizeof(nr));
    for (uint32_t i = 0; i < 0x100000; i++) {
        addr.family = LX_AF_UNIX;
        snprintf(digits, sizeof(digits), "%05x", (nr + i) & 0xfffff);
        addr.bytes[ADDR_HEAD] = '\0';
        memcpy(addr.bytes + ADDR_HEAD + 1, digits, 5);
        ret = bind_abstract(u, &addr);
        if (ret != -EADDRINUSE)
            break;
    }
    /* Somebody else named it meanwhile: fine, it has a name. */
    return ret == -EINVAL ? 0 : ret;
}

static int bind_path(struct unix_sock *u, const struct sockaddr_buf *addr)
{
    struct netns *ns = u->sk.netns;
    char name[LX_UNIX_PATH_MAX + 1];
    struct path p;
    int ret;

    addr_path(addr, name);
    ret = vfs_mknod_path(LX_AT_FDCWD, name, 0140777, 0, &p);
    if (ret < 0)
        return ret == -EEXIST ? -EADDRINUSE : ret;
    mutex_lock(&ns->table_lock);
    mutex_lock(&u->sk.lock);
    if (u->addr.len) {
        ret = -EINVAL;
    } else {
        u->addr = *addr;
        u->addr.len = (uint32_t)(ADDR_HEAD + strlen(name) + 1);
        u->addr.bytes[u->addr.len - 1] = '\0';
        u->path = p;
        p.dentry->inode->unix_sock = u;
    }
    mutex_unlock(&u->sk.lock);
    mutex_unlock(&ns->table_lock);
    if (ret < 0) {
        path_put(&p);
        /* Linux: the name is made before the socket is looked at, and taken back. */
        IGNORE_RESULT(vfs_unlink(LX_AT_FDCWD, name));
    }
    return ret;
}

int unix_bind(struct sock *sk, const struct sockaddr_buf *addr)
{
    struct unix_sock *u = unix_of(sk);
    int ret;

    if (addr->len == ADDR_HEAD && addr->family == LX_AF_UNIX)
        return unix_autobind(u);
    ret = unix_check_addr(addr);
    if (ret < 0)
        return ret;
    return addr_is_abstract(addr) ? bind_abstract(u, addr) : bind_path(u, addr);
}

static int find_path(struct netns *ns, const struct sockaddr_buf *addr, int type,
                     struct unix_sock **out)
{
    char name[LX_UNIX_PATH_MAX + 1];
    struct inode *inode;
    struct unix_sock *u;
    struct path p;
    int ret;

    addr_path(addr, name);
    ret = vfs_walk(LX_AT_FDCWD, name, WALK_FOLLOW, &p);
    if (ret < 0)
        return ret;
    inode = p.dentry->inode;
    ret = inode_permission(inode, MAY_WRITE);
    if (ret == 0 && inode_type(inode) != 0140000)
        ret = -ECONNREFUSED;
    if (ret == 0) {
        /* SAFETY: the pointer is cleared under the same lock before the socket is freed. */
        mutex_lock(&ns->table_lock);
        u = inode->unix_sock;
        if (!u || !refs_get_not_zero(&u->sk.refs))
            ret = -ECONNREFUSED;
        mutex_unlock(&ns->table_lock);
        if (ret == 0 && u->sk.type != type) {
            sock_put(&u->sk);
            ret = -EPROTOTYPE;
        }
        if (ret == 0)
            *out = u;
    }
    path_put(&p);
    return ret;
}

int unix_find(struct netns *ns, const struct sockaddr_buf *addr, int type, struct unix_sock **out)
{
    uint8_t key[128];
    uint32_t len;
    int ret = 0;

    if (!addr_is_abstract(addr))
        return find_path(ns, addr, type, out);
    len = abstract_key(addr, type, key);
    mutex_lock(&ns->table_lock);
    *out = abstract_find_locked(ns, key, len);
    if (!*out || !refs_get_not_zero(&(*out)->sk.refs))
        ret = -ECONNREFUSED;
    mutex_unlock(&ns->table_lock);
    if (ret == 0 && !security_idle()) {
        struct sock *sk = &(*out)->sk;

        mutex_lock(&sk->lock);
        ret = security_abstract_unix(sk->file ? sk->file->cred : NULL);
        mutex_unlock(&sk->lock);
        if (ret < 0)
            sock_put(sk);
    }
    return ret;
}

int unix_getname(struct sock *sk, bool peer, struct sockaddr_buf *out)
{
    struct unix_sock *u = unix_of(sk), *other = u;
    int ret = 0;

    mutex_lock(&sk->lock);
    if (peer) {
        other = u->peer;
        if (other)
            sock_get(&other->sk);
        else
            ret = -ENOTCONN;
    }
    mutex_unlock(&sk->lock);
    if (ret < 0)
        return ret;
    mutex_lock(&other->sk.lock);
    *out = other->addr;
    mutex_unlock(&other->sk.lock);
    if (peer)
        sock_put(&other->sk);
    if (out->len == 0) {
        out->family = LX_AF_UNIX;
        out->len = ADDR_HEAD;
    }
    return 0;
}

static void drop_name(struct unix_sock *u)
{
    struct netns *ns = u->sk.netns;
    struct path p;

    mutex_lock(&ns->table_lock);
    if (u->name_hashed) {
        HASH_DELETE(hh, ns->unix_names, u);
        u->name_hashed = false;
    }
    if (u->path.dentry && u->path.dentry->inode && u->path.dentry->inode->unix_sock == u)
        u->path.dentry->inode->unix_sock = NULL;
    mutex_lock(&u->sk.lock);
    p = u->path;
    u->path = (struct path){0};
    mutex_unlock(&u->sk.lock);
    mutex_unlock(&ns->table_lock);
    path_put(&p);
}

/* ---- connecting ---------------------------------------------------------------------------- */

static void set_peer_to_caller_locked(struct unix_sock *u)
{
    sock_set_peer_cred_locked(&u->sk, curr()->tgid, curr()->cred);
}

void unix_pair(struct sock *a, struct sock *b)
{
    struct unix_sock *ua = unix_of(a), *ub = unix_of(b);

    sock_lock_pair(a, b);
    ua->peer = unix_of(sock_get(b));
    ub->peer = unix_of(sock_get(a));
    set_peer_to_caller_locked(ua);
    set_peer_to_caller_locked(ub);
    if (a->type != LX_SOCK_DGRAM)
        ua->state = ub->state = UNIX_CONNECTED;
    sock_unlock_pair(a, b);
}

int unix_listen(struct sock *sk, int backlog)
{
    struct unix_sock *u = unix_of(sk);
    int ret = 0;

    mutex_lock(&sk->lock);
    if (!u->addr.len || (u->state != UNIX_CLOSED && u->state != UNIX_LISTENING)) {
        ret = -EINVAL;
    } else {
        if ((uint32_t)backlog > u->backlog)
            sock_wake(sk, WAKE_OUT);
        u->backlog = (uint32_t)backlog;
        u->state = UNIX_LISTENING;
        set_peer_to_caller_locked(u);
    }
    mutex_unlock(&sk->lock);
    return ret;
}

/* One attempt. 0; -EAGAIN: the backlog is full; errors. conn becomes the listener's end. */
static int try_connect(struct unix_sock *u, struct unix_sock *listener, struct unix_sock *conn)
{
    int ret = 0;

    sock_lock_pair(&u->sk, &listener->sk);
    if (listener->dead || listener->state != UNIX_LISTENING ||
        (listener->sk.shutdown & SOCK_SHUT_RCV)) {
        ret = -ECONNREFUSED;
    } else if (listener->accept_count > listener->backlog) {
        ret = -EAGAIN;
    } else if (u->state != UNIX_CLOSED) {
        ret = u->state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
    } else {
        conn->state = UNIX_CONNECTED;
        conn->peer = unix_of(sock_get(&u->sk));
        conn->addr = listener->addr;
        conn->scm_home = listener;
        atomic_store(&conn->sk.flags, listener->sk.flags & (SOCK_F_PASSCRED | SOCK_F_PASSSEC));
        set_peer_to_caller_locked(conn);
        sock_set_peer_cred_locked(&u->sk, listener->sk.peer_pid, listener->sk.peer_cred);
        u->peer = unix_of(sock_get(&conn->sk));
        u->state = UNIX_CONNECTED;
        list_add_tail(&listener->accept_queue, &conn->accept_node);
        listener->accept_count++;
        sock_get(&conn->sk);
        sock_wake_locked(&listener->sk, WAKE_IN | WAKE_RDNORM);
        sock_wake_locked(&u->sk, WAKE_OUT | WAKE_WRNORM);
    }
    sock_unlock_pair(&u->sk, &listener->sk);
    return ret;
}

int unix_stream_connect(struct sock *sk, const struct sockaddr_buf *addr, bool nonblock)
{
    struct unix_sock *u = unix_of(sk), *listener, *conn;
    struct sock_wait w;
    int ret = unix_check_addr(addr);

    if (ret < 0)
        return ret;
    if ((sk->flags & SOCK_F_PASSCRED) && !u->addr.len) {
        ret = unix_autobind(u);
        if (ret < 0)
            return ret;
    }
    ret = unix_find(sk->netns, addr, sk->type, &listener);
    if (ret < 0)
        return ret;
    if (listener == u) {
        sock_put(&listener->sk);
        return u->state == UNIX_LISTENING ? -EINVAL : -ECONNREFUSED;
    }
    ret = unix_alloc(sk->netns, sk->ops, sk->type, &conn);
    if (ret < 0)
        goto out_listener;
    sock_wait_init(&w, &listener->sk, WAKE_OUT, sk->sndtimeo, nonblock);
    do {
        ret = try_connect(u, listener, conn);
        if (ret == -EAGAIN)
            ret = sock_wait(&w) ?: -EINPROGRESS;
    } while (ret == -EINPROGRESS);
    sock_wait_end(&w);
    sock_put(&conn->sk);
out_listener:
    sock_put(&listener->sk);
    return ret;
}

int unix_accept(struct sock *sk, bool nonblock, struct sock **out)
{
    struct unix_sock *u = unix_of(sk), *conn = NULL;
    struct sock_wait w;
    int ret;

    sock_wait_init(&w, sk, WAKE_IN, sk->rcvtimeo, nonblock);
    do {
        mutex_lock(&sk->lock);
        ret = 0;
        if (u->state != UNIX_LISTENING) {
            ret = -EINVAL;
        } else if (!list_empty(&u->accept_queue)) {
            conn = list_first_entry(&u->accept_queue, struct unix_sock, accept_node);
            list_del(&conn->accept_node);
            u->accept_count--;
            scm_move_holder(u, conn);
            sock_wake_locked(sk, WAKE_OUT);
        } else if (sk->shutdown & SOCK_SHUT_RCV) {
            ret = -EINVAL;
        }
        mutex_unlock(&sk->lock);
        if (ret == 0 && !conn)
            ret = sock_wait(&w);
    } while (ret == 0 && !conn);
    sock_wait_end(&w);
    if (conn)
        *out = &conn->sk;
    return conn ? 0 : ret;
}

/* ---- shutting down ------------------------------------------------------------------------- */

int unix_shutdown(struct sock *sk, int how)
{
    struct unix_sock *u = unix_of(sk), *peer;
    uint32_t bits = (uint32_t)how + 1, theirs = 0;

    mutex_lock(&sk->lock);
    sk->shutdown |= bits;
    peer = u->peer;
    if (peer)
        sock_get(&peer->sk);
    sock_wake_locked(sk, WAKE_ALL);
    mutex_unlock(&sk->lock);
    if (peer && sk->type != LX_SOCK_DGRAM) {
        if (bits & SOCK_SHUT_RCV)
            theirs |= SOCK_SHUT_SND;
        if (bits & SOCK_SHUT_SND)
            theirs |= SOCK_SHUT_RCV;
        mutex_lock(&peer->sk.lock);
        peer->sk.shutdown |= theirs;
        sock_wake_locked(&peer->sk, WAKE_ALL);
        mutex_unlock(&peer->sk.lock);
    }
    if (peer)
        sock_put(&peer->sk);
    return 0;
}

void unix_take_queue_locked(struct unix_sock *u, struct list *out)
{
    ASSERT_HELD(&u->sk.lock);
    list_splice_tail(out, &u->recvq);
    u->rcv_bytes = 0;
    u->rcv_count = 0;
}

/* The end of u: names, queue, peers. accepted: false for a connection nobody accepted. */
static void unix_end(struct unix_sock *u, bool accepted)
{
    struct list bufs = LIST_INIT(bufs), conns = LIST_INIT(conns), blocked = LIST_INIT(blocked);
    struct unix_sock *peer;
    bool unread;

    drop_name(u);
    mutex_lock(&u->sk.lock);
    u->dead = true;
    u->sk.shutdown = SOCK_SHUT_RCV | SOCK_SHUT_SND;
    unread = !list_empty(&u->recvq);
    unix_take_queue_locked(u, &bufs);
    unix_take_blocked_locked(u, &blocked);
    list_splice_tail(&conns, &u->accept_queue);
    u->accept_count = 0;
    u->state = UNIX_CLOSED;
    peer = u->peer;
    u->peer = NULL;
    sock_wake_locked(&u->sk, WAKE_ALL);
    mutex_unlock(&u->sk.lock);
    if (peer && u->sk.type != LX_SOCK_DGRAM) {
        mutex_lock(&peer->sk.lock);
        peer->sk.shutdown = SOCK_SHUT_RCV | SOCK_SHUT_SND;
        if (unread || !accepted)
            peer->sk.err = ECONNRESET;
        sock_wake_locked(&peer->sk, WAKE_ALL);
        mutex_unlock(&peer->sk.lock);
    }
    unix_wake_blocked(&blocked);
    nbuf_list_free(&bufs);
    while (!list_empty(&conns)) {
        struct unix_sock *conn = list_first_entry(&conns, struct unix_sock, accept_node);

        list_del(&conn->accept_node);
        scm_move_holder(u, conn);
        unix_end(conn, /*accepted=*/false);
        sock_put(&conn->sk);
    }
    if (peer)
        sock_put(&peer->sk);
}

void unix_close(struct sock *sk, bool linger)
{
    unix_end(unix_of(sk), /*accepted=*/true);
    scm_collect_garbage();
}

int unix_getsockopt(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
    if (level != LX_SOL_SOCKET)
        return -EOPNOTSUPP;
    if (name == LX_SO_ACCEPTCONN)
        return sockopt_put_int(val, len, unix_of(sk)->state == UNIX_LISTENING);
    return -ENOPROTOOPT;
}

long unix_ioctl(struct sock *sk, uint32_t cmd, uaddr_t arg)
{
    struct unix_sock *u = unix_of(sk);
    int amount;

    switch (cmd) {
    case LX_SIOCINQ:
        mutex_lock(&sk->lock);
        amount = (int)u->rcv_bytes;
        if (u->state == UNIX_LISTENING)
            amount = -EINVAL;
        else if (sk->type != LX_SOCK_STREAM)
            amount = list_empty(&u->recvq)
                         ? 0
                         : (int)nbuf_left(list_first_entry(&u->recvq, struct nbuf, node));
        mutex_unlock(&sk->lock);
        return amount < 0 ? amount : put_user(&amount, arg);
    case LX_SIOCOUTQ:
        amount = (int)sk->wmem;
        return put_user(&amount, arg);
    default:
        return -ENOTTY;
    }
}
