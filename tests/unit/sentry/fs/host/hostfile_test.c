/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/sentry/fs/fs_unit.h"

#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <termios.h>

#include "sentry/fs/devpts/devpts.h"
#include "sentry/fs/devpts/tty.h"
#include "sentry/fs/epoll/epoll.h"
#include "sentry/fs/host/console.h"
#include "sentry/fs/host/hostfile.h"

static void *write_later(void *arg)
{
    int fd = *(int *)arg;

    usleep(20000);
    assert_int_equal(write(fd, "late", 4), 4);
    return NULL;
}

static void test_pipe(void **state)
{
    struct lx_epoll_event ev[2], want = {WAKE_IN | LX_EPOLLET, 7};
    struct file *f, *ep;
    pthread_t thread;
    char buf[16];
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(hostfile_new_take(fds[0], LX_O_RDONLY, &f), 0);
    assert_int_equal(file_poll(f), 0);
    pthread_create(&thread, NULL, write_later, &fds[1]);
    assert_int_equal(unit_read(f, buf, 16), 4);
    pthread_join(thread, NULL);
    unit_nonblock(f);
    assert_int_equal(unit_read(f, buf, 16), -EAGAIN);
    assert_int_equal(unit_write(f, "x", 1), -EBADF);
    /* Edges: one event per arrival after a drain. */
    assert_int_equal(epoll_create_file(&ep), 0);
    assert_int_equal(epoll_ctl(ep, LX_EPOLL_CTL_ADD, 7, f, &want), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(epoll_wait_events(ep, ev, 2, 0), 0);
        pthread_create(&thread, NULL, write_later, &fds[1]);
        assert_int_equal(epoll_wait_events(ep, ev, 2, deadline_after(NSEC_PER_SEC)), 1);
        assert_int_equal(ev[0].events, WAKE_IN);
        pthread_join(thread, NULL);
        assert_int_equal(unit_read(f, buf, 16), 4);
    }
    close(fds[1]);
    assert_int_equal(epoll_wait_events(ep, ev, 2, deadline_after(NSEC_PER_SEC)), 1);
    assert_int_equal(ev[0].events & WAKE_HUP, WAKE_HUP);
    assert_int_equal(unit_read(f, buf, 16), 0);
    file_put(f);
    file_put(ep);
}

static void *read_all(void *arg)
{
    static char buf[65536];
    size_t *total = arg;
    ssize_t n;

    while ((n = read((int)*total, buf, sizeof(buf))) > 0)
        total[1] += (size_t)n;
    return NULL;
}

static void test_big_write(void **state)
{
    size_t args[2] = {0, 0};
    char *big = calloc(1, 8 << 20);
    struct file *f;
    pthread_t thread;
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    args[0] = (size_t)fds[0];
    assert_int_equal(hostfile_new_take(fds[1], LX_O_WRONLY, &f), 0);
    pthread_create(&thread, NULL, read_all, args);
    assert_int_equal(unit_write(f, big, 8 << 20), 8 << 20);
    file_put(f); /* the reader must see the end */
    pthread_join(thread, NULL);
    assert_int_equal(args[1], 8 << 20);
    close(fds[0]);
    free(big);
}

static void test_broken_pipe(void **state)
{
    struct file *f;
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(hostfile_new_take(fds[1], LX_O_WRONLY, &f), 0);
    close(fds[0]);
    g_unit_last_signal = 0;
    assert_int_equal(unit_write(f, "x", 1), -EPIPE);
    assert_int_equal(g_unit_last_signal, 13);
    assert_int_equal(file_poll(f) & WAKE_ERR, WAKE_ERR);
    file_put(f);
}

static void test_regular(void **state)
{
    int fd = memfd_create("x", 0), shared = dup(fd);
    struct file *f;
    char buf[16];
    lx_loff_t pos = 2;
    struct iov_iter it;

    assert_int_equal(hostfile_new_take(fd, LX_O_RDWR, &f), 0);
    assert_int_equal(unit_write(f, "hello", 5), 5);
    assert_int_equal(lseek(shared, 0, SEEK_CUR), 5); /* the offset is the host's */
    assert_int_equal(vfs_lseek(f, 1, 0), 1);
    assert_int_equal(unit_read(f, buf, 16), 4);
    assert_memory_equal(buf, "ello", 4);
    iov_iter_init_kernel(&it, buf, 2);
    assert_int_equal(file_read_at(f, &it, &pos), 2);
    assert_memory_equal(buf, "ll", 2);
    assert_int_equal(lseek(shared, 0, SEEK_CUR), 5);
    assert_null(f->ops->poll);
    file_put(f);
    close(shared);
}

static void test_console(void **state)
{
    struct winsize ws = {.ws_row = 24, .ws_col = 80};
    struct console *console;
    struct file *slave;
    struct super *s;
    struct termios raw;
    char buf[64];
    int host, tty, fds[2];

    assert_int_equal(devpts_create(NULL, &s), 0);
    assert_int_equal(openpty(&host, &tty, NULL, NULL, &ws), 0);
    tcgetattr(tty, &raw);
    cfmakeraw(&raw);
    tcsetattr(tty, TCSANOW, &raw);
    assert_int_equal(console_attach(s, tty, &console, &slave), 0);
    assert_true(file_is_tty(slave));
    assert_int_equal(write(host, "hi\r", 3), 3);
    assert_int_equal(unit_read(slave, buf, 64), 3);
    assert_memory_equal(buf, "hi\n", 3);
    assert_int_equal(read(host, buf, 64), 4);
    assert_memory_equal(buf, "hi\r\n", 4);
    for (int i = 0; i < 100; i++)
        assert_int_equal(unit_write(slave, "0123456789", 10), 10);
    fds[0] = 0;
    while (fds[0] < 1000) {
        ssize_t n = read(host, buf, 64);

        assert_true(n > 0);
        fds[0] += (int)n;
    }
    assert_int_equal(unit_write(slave, "last", 4), 4);
    console_detach(console);
    assert_int_equal(read(host, buf, 64), 4);
    assert_int_equal(unit_read(slave, buf, 64), 0);
    /* The host's terminal was given back: its other end sees that. */
    assert_int_equal(read(host, buf, 64), -1);
    assert_int_equal(errno, EIO);
    close(host);
    file_put(slave);
}

static int setup(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    return unit_fs_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipe),        cmocka_unit_test(test_big_write),
        cmocka_unit_test(test_broken_pipe), cmocka_unit_test(test_regular),
        cmocka_unit_test(test_console),
    };

    return cmocka_run_group_tests(tests, setup, NULL);
}
