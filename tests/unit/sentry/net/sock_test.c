/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoints without system calls: transfers, descriptors in flight, port rules, hostile control
 * messages and netlink requests, and threads that connect, send and close at random.
 */
#include "tests/unit/sentry/fs/fs_unit.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "sentry/abi/in.h"
#include "sentry/abi/netlink.h"
#include "sentry/net/inet/inet.h"
#include "sentry/net/net_tables.h"
#include "sentry/net/unix/unix.h"

const struct fs_type *const g_fs_types[] = {NULL};

static struct netns *g_ns;

static struct pid *no_such_pid(lx_pid_t nr)
{
    return NULL;
}

static const struct pid_ops pid_ops = {.signal = unit_pid_signal, .find_get = no_such_pid};

static int setup(void **state)
{
    unit_fs_setup(state);
    g_pid_ops = &pid_ops;
    assert_int_equal(netns_new(userns_init_get(), &g_ns), 0);
    netns_set_lo_up(g_ns, true);
    assert_int_equal(fdtable_new(&curr()->files), 0);
    return 0;
}

static int teardown(void **state)
{
    fdtable_put(curr()->files);
    curr()->files = NULL;
    netns_put(g_ns); /* asserts that no endpoint is left */
    return 0;
}

static struct sock *make(int family, int type)
{
    struct sock *sk;

    assert_int_equal(sock_create(g_ns, family, type, 0, &sk), 0);
    return sk;
}

static void drop(struct sock *sk)
{
    sk->ops->close(sk, false);
    sock_put(sk);
}

static ssize_t put(struct sock *sk, const void *data, size_t size, uint32_t flags)
{
    struct iov_iter it;
    struct net_msg m = {.iter = &it, .flags = flags | LX_MSG_DONTWAIT | LX_MSG_NOSIGNAL};

    iov_iter_init_kernel(&it, (void *)(uintptr_t)data, size);
    return sk->ops->sendmsg(sk, &m);
}

static ssize_t take(struct sock *sk, void *buf, size_t size, uint32_t flags)
{
    struct iov_iter it;
    struct net_msg m = {.iter = &it, .flags = flags | LX_MSG_DONTWAIT};
    ssize_t ret;

    iov_iter_init_kernel(&it, buf, size);
    ret = sk->ops->recvmsg(sk, &m);
    free(m.cmsg.data);
    return ret;
}

static void unix_stream(void **state)
{
    struct sock *a = make(LX_AF_UNIX, LX_SOCK_STREAM), *b = make(LX_AF_UNIX, LX_SOCK_STREAM);
    static char big[300000];
    char buf[16];
    ssize_t n, total = 0;

    unix_pair(a, b);
    assert_int_equal(take(b, buf, 16, 0), -EAGAIN);
    assert_int_equal(put(a, "hello", 5, 0), 5);
    assert_int_equal(take(b, buf, 16, LX_MSG_PEEK), 5);
    assert_int_equal(take(b, buf, 3, 0), 3);
    assert_int_equal(take(b, buf, 16, 0), 2);
    while ((n = put(a, big, sizeof(big), 0)) > 0)
        total += n;
    assert_int_equal(n, -EAGAIN);
    assert_int_equal(a->ops->poll(a) & WAKE_OUT, 0);
    while ((n = take(b, big, sizeof(big), 0)) > 0)
        total -= n;
    assert_int_equal(total, 0);
    assert_int_equal(a->wmem, 0);
    drop(b);
    assert_int_equal(put(a, "x", 1, 0), -EPIPE);
    assert_int_equal(take(a, buf, 1, 0), 0);
    drop(a);
}

static struct file *file_of(struct sock *sk)
{
    struct file *f;

    assert_int_equal(socket_file_new_take(sk, 0, &f), 0);
    return f;
}

static void send_fd(struct sock *sk, int fd)
{
    struct {
        struct lx_cmsghdr h;
        int32_t fd;
        int32_t pad;
    } c = {.h = {.len = sizeof(c.h) + 4, .level = LX_SOL_SOCKET, .type = LX_SCM_RIGHTS}, .fd = fd};
    struct iov_iter it;
    struct net_msg m = {.iter = &it,
                        .flags = LX_MSG_DONTWAIT,
                        .control = (const uint8_t *)&c,
                        .control_size = sizeof(c)};

    iov_iter_init_kernel(&it, (void *)(uintptr_t) "x", 1);
    assert_int_equal(sk->ops->sendmsg(sk, &m), 1);
}

/* Sockets that only reach each other through their queues are freed; teardown would notice. */
static void cycles(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct sock *a = make(LX_AF_UNIX, LX_SOCK_STREAM), *b = make(LX_AF_UNIX, LX_SOCK_STREAM);
        int fa, fb;

        unix_pair(a, b);
        fa = fdtable_install_take(curr()->files, file_of(a), 0, false);
        fb = fdtable_install_take(curr()->files, file_of(b), 0, false);
        assert_true(fa >= 0 && fb >= 0);
        send_fd(a, fa);
        send_fd(a, fb);
        send_fd(b, fb);
        assert_int_equal(fdtable_close(curr()->files, fa), 0);
        assert_int_equal(fdtable_close(curr()->files, fb), 0);
    }
    /* As in Linux, the collector runs when some socket is closed. */
    drop(make(LX_AF_UNIX, LX_SOCK_STREAM));
    assert_true(list_empty(&g_ns->socks));
}

/* Each socket waits in the queue of the next: closing the last frees all, without recursion. */
static void chain(void **state)
{
    int prev = -1;

    for (int i = 0; i < 2000; i++) {
        struct sock *a = make(LX_AF_UNIX, LX_SOCK_DGRAM), *b = make(LX_AF_UNIX, LX_SOCK_DGRAM);
        struct file *fb;
        int fa;

        unix_pair(a, b);
        fa = fdtable_install_take(curr()->files, file_of(a), 0, false);
        fb = file_of(b);
        if (prev >= 0) {
            send_fd(b, prev);
            assert_int_equal(fdtable_close(curr()->files, prev), 0);
        }
        file_put(fb);
        prev = fa;
    }
    assert_int_equal(fdtable_close(curr()->files, prev), 0);
    assert_true(list_empty(&g_ns->socks));
}

static struct sockaddr_buf addr4(uint16_t port)
{
    struct lx_sockaddr_in s = {
        .family = LX_AF_INET, .port = htons(port), .addr = htonl(0x7f000001)};
    struct sockaddr_buf a = {.len = sizeof(s)};

    memcpy(a.bytes, &s, sizeof(s));
    return a;
}

static void tcp_connection(void **state)
{
    struct sock *l = make(LX_AF_INET, LX_SOCK_STREAM), *c = make(LX_AF_INET, LX_SOCK_STREAM), *s;
    struct sockaddr_buf a = addr4(5000);
    char buf[8];

    assert_int_equal(l->ops->bind(l, &a), 0);
    assert_int_equal(c->ops->connect(c, &a, false), -ECONNREFUSED);
    assert_int_equal(l->ops->listen(l, 1), 0);
    assert_int_equal(c->ops->connect(c, &a, false), 0);
    assert_int_equal(put(c, "ping", 4, 0), 4);
    assert_int_equal(l->ops->accept(l, true, &s), 0);
    assert_int_equal(take(s, buf, 8, 0), 4);
    assert_int_equal(c->ops->shutdown(c, LX_SHUT_WR), 0);
    assert_int_equal(tcp_state(c), LX_TCP_FIN_WAIT2);
    assert_int_equal(tcp_state(s), LX_TCP_CLOSE_WAIT);
    assert_int_equal(take(s, buf, 8, 0), 0);
    drop(s);
    assert_int_equal(tcp_state(c), LX_TCP_CLOSE);
    assert_int_equal(g_ns->time_wait_count, 1);
    drop(c);
    drop(l);
}

static void listener_closes_with_waiters(void **state)
{
    struct sock *l = make(LX_AF_INET, LX_SOCK_STREAM), *c[5];
    struct sockaddr_buf a = addr4(5001);

    assert_int_equal(l->ops->bind(l, &a), 0);
    assert_int_equal(l->ops->listen(l, 1), 0);
    for (int i = 0; i < 5; i++) {
        c[i] = make(LX_AF_INET, LX_SOCK_STREAM);
        assert_int_equal(c[i]->ops->connect(c[i], &a, true), -EINPROGRESS);
    }
    assert_int_equal(tcp_state(c[1]), LX_TCP_ESTABLISHED);
    assert_int_equal(tcp_state(c[2]), LX_TCP_SYN_SENT);
    drop(c[3]);
    drop(l);
    assert_int_equal(c[0]->err, ECONNRESET);
    assert_int_equal(c[2]->err, ECONNREFUSED);
    drop(c[0]);
    drop(c[1]);
    drop(c[2]);
    drop(c[4]);
}

static void udp_datagrams(void **state)
{
    struct sock *r = make(LX_AF_INET, LX_SOCK_DGRAM), *w = make(LX_AF_INET, LX_SOCK_DGRAM);
    struct sockaddr_buf a = addr4(6000);
    char buf[8];

    assert_int_equal(r->ops->bind(r, &a), 0);
    assert_int_equal(w->ops->connect(w, &a, false), 0);
    assert_int_equal(put(w, "one", 3, 0), 3);
    assert_int_equal(take(r, buf, 2, LX_MSG_TRUNC), 3);
    drop(r);
    assert_int_equal(put(w, "two", 3, 0), 3);
    assert_int_equal(put(w, "three", 5, 0), -ECONNREFUSED);
    drop(w);
}

/* Random bytes as control messages and as netlink requests: errors at most. */
static void hostile_bytes(void **state)
{
    struct sock *a = make(LX_AF_UNIX, LX_SOCK_DGRAM), *b = make(LX_AF_UNIX, LX_SOCK_DGRAM), *n, *d;
    uint64_t seed = 12345;
    uint8_t data[256];
    char buf[64];

    unix_pair(a, b);
    assert_int_equal(sock_create(g_ns, LX_AF_NETLINK, LX_SOCK_RAW, LX_NETLINK_ROUTE, &n), 0);
    assert_int_equal(sock_create(g_ns, LX_AF_NETLINK, LX_SOCK_RAW, 4, &d), 0);
    for (int i = 0; i < 20000; i++) {
        struct iov_iter it;
        struct net_msg m = {.iter = &it, .flags = LX_MSG_DONTWAIT, .control = data};

        for (size_t k = 0; k < sizeof(data); k++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            data[k] = (uint8_t)(seed >> 33);
        }
        m.control_size = data[0];
        if (i & 1) { /* plausible headers get further */
            uint64_t len = 16 + data[9] % 40;
            int32_t type = 1 + data[10] % 3, level = LX_SOL_SOCKET;

            memcpy(data, &len, 8);
            memcpy(data + 8, &level, 4);
            memcpy(data + 12, &type, 4);
        }
        iov_iter_init_kernel(&it, buf, 1);
        if (a->ops->sendmsg(a, &m) >= 0)
            assert_true(take(b, buf, sizeof(buf), 0) >= 0);
        if (i & 1) {
            struct lx_nlmsghdr h = {.len = 16u + data[20] % 200,
                                    .type = (uint16_t)(16 + data[21] % 30),
                                    .flags = (uint16_t)(1 | (data[22] & 1 ? 0x300 : 0))};

            if (data[23] & 1)
                h.type = 20;
            memcpy(data, &h, sizeof(h));
        }
        assert_int_equal(put(n, data, sizeof(data), 0), sizeof(data));
        assert_int_equal(put(d, data, sizeof(data), 0), sizeof(data));
        while (take(n, buf, sizeof(buf), 0) >= 0)
            ;
        while (take(d, buf, sizeof(buf), 0) >= 0)
            ;
    }
    drop(a);
    drop(b);
    drop(n);
    drop(d);
}

/* ---- stress --------------------------------------------------------------------------------- */

static void *stress(void *arg)
{
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    struct sock *mine[4] = {NULL};

    unit_thread_init();
    for (int i = 0; i < 3000; i++) {
        struct sockaddr_buf a = addr4((uint16_t)(7000 + (seed >> 40) % 3));
        struct sock **s = &mine[(seed >> 50) & 3], *conn;
        char buf[64];

        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        if (!*s) {
            if (sock_create(g_ns, LX_AF_INET, LX_SOCK_STREAM, 0, s) < 0)
                continue;
            atomic_fetch_or(&(*s)->flags, SOCK_F_REUSEADDR);
        }
        switch ((seed >> 33) % 8) {
        case 0:
            if ((*s)->ops->bind(*s, &a) == 0)
                IGNORE_RESULT((*s)->ops->listen(*s, 1));
            break;
        case 1:
        case 2:
            IGNORE_RESULT((*s)->ops->connect(*s, &a, true));
            break;
        case 3:
            if ((*s)->ops->accept(*s, true, &conn) == 0) {
                put(conn, "hi", 2, 0);
                drop(conn);
            }
            break;
        case 4:
            put(*s, buf, sizeof(buf), 0);
            break;
        case 5:
            take(*s, buf, sizeof(buf), 0);
            break;
        case 6:
            IGNORE_RESULT((*s)->ops->shutdown(*s, (int)(seed >> 60) % 3));
            break;
        default:
            drop(*s);
            *s = NULL;
            break;
        }
        if (*s)
            (void)(*s)->ops->poll(*s);
    }
    for (int i = 0; i < 4; i++) {
        if (mine[i])
            drop(mine[i]);
    }
    return NULL;
}

static void stress_tcp(void **state)
{
    pthread_t t[4];

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, stress, (void *)(i * 7919 + 1)), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    assert_true(list_empty(&g_ns->socks));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unix_stream),
        cmocka_unit_test(cycles),
        cmocka_unit_test(chain),
        cmocka_unit_test(tcp_connection),
        cmocka_unit_test(listener_closes_with_waiters),
        cmocka_unit_test(udp_datagrams),
        cmocka_unit_test(hostile_bytes),
        cmocka_unit_test(stress_tcp),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
