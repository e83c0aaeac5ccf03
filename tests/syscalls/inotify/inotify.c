/* SPDX-License-Identifier: Apache-2.0 */
/* inotify(7). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>

static char g_buf[8192];
static ssize_t g_size, g_off;

/* The next event; NULL at the end. */
static struct inotify_event *next(int fd)
{
    struct inotify_event *e;

    if (g_off >= g_size) {
        g_off = 0;
        g_size = read(fd, g_buf, sizeof(g_buf));
        if (g_size <= 0) {
            g_size = 0;
            return NULL;
        }
    }
    e = (struct inotify_event *)(void *)(g_buf + g_off);
    g_off += (ssize_t)(sizeof(*e) + e->len);
    return e;
}

static void expect(int fd, int wd, uint32_t mask, const char *name)
{
    struct inotify_event *e = next(fd);

    if (!CHECK(e != NULL))
        return;
    CHECK_EQ(e->wd, wd);
    CHECK_EQ(e->mask, mask);
    CHECK_STR(e->len ? e->name : "", name);
}

TEST(directory)
{
    struct inotify_event *e;
    uint32_t cookie;
    int fd = inotify_init1(IN_NONBLOCK), wd, f;

    REQUIRE(fd >= 0);
    test_tmpdir();
    mkdir("d", 0700);
    wd = inotify_add_watch(fd, "d", IN_ALL_EVENTS);
    CHECK_EQ(wd, 1);
    f = open("d/x", O_CREAT | O_WRONLY, 0600);
    CHECK_EQ(write(f, "hi", 2), 2);
    close(f);
    expect(fd, wd, IN_CREATE, "x");
    expect(fd, wd, IN_OPEN, "x");
    expect(fd, wd, IN_MODIFY, "x");
    expect(fd, wd, IN_CLOSE_WRITE, "x");
    rename("d/x", "d/y");
    e = next(fd);
    REQUIRE(e && e->mask == IN_MOVED_FROM);
    cookie = e->cookie;
    CHECK(cookie != 0);
    e = next(fd);
    REQUIRE(e && e->mask == IN_MOVED_TO);
    CHECK_EQ(e->cookie, cookie);
    CHECK_STR(e->name, "y");
    chmod("d/y", 0644);
    expect(fd, wd, IN_ATTRIB, "y");
    mkdir("d/sub", 0700);
    expect(fd, wd, IN_CREATE | IN_ISDIR, "sub");
    rmdir("d/sub");
    expect(fd, wd, IN_DELETE | IN_ISDIR, "sub");
    unlink("d/y");
    expect(fd, wd, IN_DELETE, "y");
    CHECK_ERR(read(fd, g_buf, 16), EAGAIN);
    rmdir("d");
    expect(fd, wd, IN_DELETE_SELF, "");
    expect(fd, wd, IN_IGNORED, "");
    CHECK_ERR(inotify_rm_watch(fd, wd), EINVAL);
    close(fd);
}

TEST(file_masks)
{
    int fd = inotify_init1(IN_NONBLOCK), wd, f, n;

    REQUIRE(fd >= 0);
    test_tmpdir();
    f = open("file", O_CREAT | O_RDWR, 0600);
    wd = inotify_add_watch(fd, "file", IN_MODIFY);
    CHECK_ERR(inotify_add_watch(fd, "file", IN_MODIFY | IN_MASK_CREATE), EEXIST);
    CHECK_EQ(inotify_add_watch(fd, "file", IN_ATTRIB | IN_MASK_ADD), wd);
    CHECK_EQ(write(f, "a", 1), 1);
    CHECK_EQ(write(f, "b", 1), 1); /* merges with the event before it */
    fchmod(f, 0644);
    CHECK_EQ(ioctl(fd, FIONREAD, &n), 0);
    CHECK_EQ(n, 32);
    expect(fd, wd, IN_MODIFY, "");
    expect(fd, wd, IN_ATTRIB, "");
    CHECK_EQ(inotify_add_watch(fd, "file", IN_ACCESS | IN_ONESHOT), wd);
    CHECK_EQ(pread(f, &n, 1, 0), 1);
    expect(fd, wd, IN_ACCESS, "");
    expect(fd, wd, IN_IGNORED, "");
    CHECK_EQ(pread(f, &n, 1, 0), 1);
    CHECK(next(fd) == NULL);
    close(f);
    close(fd);
}

TEST(errors)
{
    int fd = inotify_init1(0), p[2];

    REQUIRE(fd >= 0 && pipe(p) == 0);
    test_tmpdir();
    close(open("plain", O_CREAT | O_WRONLY, 0600));
    CHECK_ERR(sysp(SYS_inotify_init1, 1), EINVAL);
    CHECK_EQ(close((int)sys(SYS_inotify_init)), 0);
    CHECK_ERR(inotify_add_watch(fd, "plain", 0), EINVAL);
    CHECK_ERR(inotify_add_watch(fd, "missing", IN_OPEN), ENOENT);
    CHECK_ERR(inotify_add_watch(fd, "plain", IN_OPEN | IN_ONLYDIR), ENOTDIR);
    CHECK_ERR(inotify_add_watch(p[0], "plain", IN_OPEN), EINVAL);
    CHECK_ERR(inotify_add_watch(99, "plain", IN_OPEN), EBADF);
    CHECK_ERR(inotify_rm_watch(fd, 7), EINVAL);
    CHECK(inotify_add_watch(fd, "plain", IN_OPEN) > 0);
    close(open("plain", O_RDONLY));
    CHECK_ERR(read(fd, g_buf, 15), EINVAL);
    close(p[0]);
    close(p[1]);
    close(fd);
}

TEST(wakes)
{
    struct pollfd p = {.events = POLLIN};
    pid_t pid;

    p.fd = inotify_init1(0);
    test_tmpdir();
    CHECK(inotify_add_watch(p.fd, ".", IN_CREATE) > 0);
    pid = fork();
    if (pid == 0) {
        test_sleep_ms(30);
        _exit(mkdir("fresh", 0700) == 0 ? 0 : 1);
    }
    CHECK_EQ(poll(&p, 1, -1), 1);
    expect(p.fd, 1, IN_CREATE | IN_ISDIR, "fresh");
    waitpid(pid, NULL, 0);
    close(p.fd);
}

GUEST_TEST_MAIN
