/* SPDX-License-Identifier: Apache-2.0 */
/* fcntl(F_NOTIFY): signals about a directory's entries; one shot or many; errors. */
#include "tests/support/guest_test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char g_dir[64];

static int open_dir(void)
{
    sigset_t set;
    int fd;

    strcpy(g_dir, "/tmp/dnotify-XXXXXX");
    CHECK(mkdtemp(g_dir) != NULL);
    fd = open(g_dir, O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGIO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK_EQ(fcntl(fd, F_SETSIG, SIGRTMIN), 0);
    return fd;
}

/* The next signal, within ms unless that is -1, or 0. */
static int next_signal(siginfo_t *info, int ms)
{
    struct timespec ts = {ms / 1000, (ms % 1000) * 1000000l};
    sigset_t set;
    int ret;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGIO);
    ret = sigtimedwait(&set, info, ms < 0 ? NULL : &ts);
    return ret < 0 ? 0 : ret;
}

static void make(const char *name)
{
    char path[128];
    int fd;

    snprintf(path, sizeof(path), "%s/%s", g_dir, name);
    fd = open(path, O_CREAT | O_RDWR, 0600);
    CHECK(fd >= 0);
    close(fd);
}

static void drop(const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", g_dir, name);
    CHECK_EQ(unlink(path), 0);
}

TEST(errors)
{
    int pipe_fds[2], file, dir = open_dir(), path = open(g_dir, O_PATH);

    make("f");
    file = openat(dir, "f", O_RDONLY);
    CHECK_EQ(pipe(pipe_fds), 0);
    CHECK_ERR(sysp(SYS_fcntl, 99, F_NOTIFY, DN_CREATE), EBADF);
    CHECK_ERR(sysp(SYS_fcntl, path, F_NOTIFY, DN_CREATE), EBADF);
    CHECK_ERR(sysp(SYS_fcntl, file, F_NOTIFY, DN_CREATE), ENOTDIR);
    CHECK_ERR(sysp(SYS_fcntl, pipe_fds[0], F_NOTIFY, DN_CREATE), ENOTDIR);
    /* Nothing to forget is no error, whatever the file is. */
    CHECK_EQ(sysp(SYS_fcntl, dir, F_NOTIFY, 0), 0);
    CHECK_EQ(sysp(SYS_fcntl, file, F_NOTIFY, 0), 0);
    CHECK_EQ(sysp(SYS_fcntl, file, F_NOTIFY, DN_MULTISHOT), 0);
    drop("f");
    rmdir(g_dir);
}

TEST(one_shot)
{
    int fd = open_dir();
    siginfo_t info;

    CHECK_EQ(fcntl(fd, F_NOTIFY, DN_CREATE), 0);
    CHECK_EQ(fcntl(fd, F_GETOWN), getpid());
    make("a");
    CHECK_EQ(next_signal(&info, -1), SIGRTMIN);
    CHECK_EQ(info.si_code, POLL_MSG);
    CHECK_EQ(info.si_fd, fd);
    CHECK_EQ(info.si_band, POLLIN | POLLRDNORM | POLLMSG);
    make("b");
    CHECK_EQ(next_signal(&info, 100), 0);
    drop("a");
    drop("b");
    rmdir(g_dir);
}

TEST(events_of_entries)
{
    int fd = open_dir(), file;
    siginfo_t info;
    char c;

    CHECK_EQ(fcntl(fd, F_NOTIFY, DN_MULTISHOT | DN_DELETE), 0);
    make("a");
    CHECK_EQ(next_signal(&info, 100), 0);
    /* A second call adds to the first. */
    CHECK_EQ(fcntl(fd, F_NOTIFY, DN_MULTISHOT | DN_MODIFY | DN_ACCESS | DN_ATTRIB | DN_RENAME), 0);
    file = openat(fd, "a", O_RDWR);
    CHECK_EQ(write(file, "x", 1), 1);
    CHECK_EQ(next_signal(&info, -1), SIGRTMIN);
    CHECK_EQ(pread(file, &c, 1, 0), 1);
    CHECK_EQ(next_signal(&info, -1), SIGRTMIN);
    CHECK_EQ(fchmod(file, 0644), 0);
    CHECK_EQ(next_signal(&info, -1), SIGRTMIN);
    CHECK_EQ(renameat(fd, "a", fd, "b"), 0);
    /* One for the name that went (DN_DELETE) and one for the renaming. */
    CHECK_EQ(next_signal(&info, -1), SIGRTMIN);
    CHECK_EQ(next_signal(&info, -1), SIGRTMIN);
    CHECK_EQ(next_signal(&info, 100), 0);
    drop("b");
    CHECK_EQ(next_signal(&info, -1), SIGRTMIN);
    /* Forgotten. */
    CHECK_EQ(fcntl(fd, F_NOTIFY, 0), 0);
    make("a");
    drop("a");
    CHECK_EQ(next_signal(&info, 100), 0);
    rmdir(g_dir);
}

TEST(moved_out_and_in)
{
    int fd = open_dir(), other;
    char sub[96], from[128], to[128];
    siginfo_t info;

    snprintf(sub, sizeof(sub), "%s/sub", g_dir);
    CHECK_EQ(mkdir(sub, 0700), 0);
    make("a");
    other = open(sub, O_RDONLY | O_DIRECTORY);
    CHECK_EQ(fcntl(other, F_SETSIG, SIGRTMIN), 0);
    CHECK_EQ(fcntl(fd, F_NOTIFY, DN_DELETE | DN_MULTISHOT), 0);
    CHECK_EQ(fcntl(other, F_NOTIFY, DN_CREATE | DN_MULTISHOT), 0);
    snprintf(from, sizeof(from), "%s/a", g_dir);
    snprintf(to, sizeof(to), "%s/a", sub);
    CHECK_EQ(rename(from, to), 0);
    CHECK_EQ(next_signal(&info, -1), SIGRTMIN);
    CHECK_EQ(info.si_fd, fd);
    CHECK_EQ(next_signal(&info, -1), SIGRTMIN);
    CHECK_EQ(info.si_fd, other);
    CHECK_EQ(unlink(to), 0);
    CHECK_EQ(rmdir(sub), 0);
    CHECK_EQ(next_signal(&info, -1), SIGRTMIN);
    CHECK_EQ(info.si_fd, fd);
    close(fd);
    close(other);
    rmdir(g_dir);
}

TEST(closing_forgets)
{
    int fd = open_dir(), copy = dup(fd);
    siginfo_t info;

    CHECK_EQ(fcntl(fd, F_NOTIFY, DN_CREATE | DN_MULTISHOT), 0);
    make("a");
    CHECK_EQ(next_signal(&info, -1), SIGRTMIN);
    /* Any descriptor of the open file does it. */
    close(copy);
    make("b");
    CHECK_EQ(next_signal(&info, 100), 0);
    drop("a");
    drop("b");
    close(fd);
    rmdir(g_dir);
}

TEST(default_is_sigio)
{
    int fd = open_dir();
    siginfo_t info;

    CHECK_EQ(fcntl(fd, F_SETSIG, 0), 0);
    CHECK_EQ(fcntl(fd, F_NOTIFY, DN_CREATE), 0);
    make("a");
    CHECK_EQ(next_signal(&info, -1), SIGIO);
    CHECK_EQ(info.si_code, SI_KERNEL);
    drop("a");
    rmdir(g_dir);
}

GUEST_TEST_MAIN
