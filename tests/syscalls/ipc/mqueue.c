/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX message queues: mq_open(2) and friends, their file system and their limits. */
#include <linux/netlink.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/statfs.h>

#include "tests/support/guest_test.h"

#define DEADLINE_MS(ms)                                                                            \
    ({                                                                                             \
        static struct timespec ts_;                                                                \
        clock_gettime(CLOCK_REALTIME, &ts_);                                                       \
        ts_.tv_nsec += (ms)*1000000L;                                                              \
        ts_.tv_sec += ts_.tv_nsec / 1000000000;                                                    \
        ts_.tv_nsec %= 1000000000;                                                                 \
        &ts_;                                                                                      \
    })

static char g_name[32];

/* A fresh queue of maxmsg messages of 16 bytes, its name removed at the end of the test. */
static int queue(long maxmsg, int flags)
{
    struct mq_attr a = {.mq_maxmsg = maxmsg, .mq_msgsize = 16};

    snprintf(g_name, sizeof(g_name), "guest-test-%d", getpid());
    sys(SYS_mq_unlink, g_name);
    return (int)sysp(SYS_mq_open, g_name, O_RDWR | O_CREAT | O_EXCL | flags, 0600, &a);
}

static void done(int fd)
{
    close(fd);
    sys(SYS_mq_unlink, g_name);
}

static int send_text(int fd, const char *text, unsigned prio)
{
    return (int)sysp(SYS_mq_timedsend, fd, text, strlen(text), prio, NULL);
}

TEST(names)
{
    char lng[300];
    struct mq_attr a;
    struct stat st;
    int fd, other;

    REQUIRE((fd = queue(4, 0)) >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0600);
    CHECK_EQ(st.st_size, 80);
    CHECK_EQ(st.st_nlink, 1);
    CHECK_ERR(sysp(SYS_mq_open, g_name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
    CHECK_ERR(sysp(SYS_mq_open, g_name, 3, 0, NULL), EINVAL);
    other = (int)sysp(SYS_mq_open, g_name, O_RDONLY | O_NONBLOCK, 0, NULL);
    CHECK(other >= 0);
    CHECK_EQ(sysp(SYS_mq_getsetattr, other, NULL, &a), 0);
    CHECK_EQ(a.mq_flags, O_NONBLOCK);
    CHECK_EQ(a.mq_maxmsg, 4);
    CHECK_EQ(a.mq_msgsize, 16);
    CHECK_ERR(sysp(SYS_mq_timedsend, other, "x", (size_t)1, 0u, NULL), EBADF);
    close(other);
    CHECK_EQ(sysp(SYS_mq_unlink, g_name), 0);
    CHECK_EQ(fstat(fd, &st), 0);
    CHECK_EQ(st.st_nlink, 0);
    CHECK_EQ(send_text(fd, "alive", 1), 0);
    CHECK_ERR(sysp(SYS_mq_unlink, g_name), ENOENT);
    CHECK_ERR(sysp(SYS_mq_open, g_name, O_RDWR, 0, NULL), ENOENT);
    close(fd);

    CHECK_ERR(sysp(SYS_mq_open, "", O_RDWR, 0, NULL), ENOENT);
    CHECK_ERR(sysp(SYS_mq_open, "a/b", O_RDWR | O_CREAT, 0600, NULL), EACCES);
    CHECK_ERR(sysp(SYS_mq_open, "/a", O_RDWR | O_CREAT, 0600, NULL), EACCES);
    CHECK_ERR(sysp(SYS_mq_open, ".", O_RDWR, 0, NULL), EACCES);
    CHECK_ERR(sysp(SYS_mq_open, "..", O_RDWR, 0, NULL), EACCES);
    memset(lng, 'n', sizeof(lng) - 1);
    lng[256] = 0;
    CHECK_ERR(sysp(SYS_mq_open, lng, O_RDWR | O_CREAT, 0600, NULL), ENAMETOOLONG);
    CHECK_ERR(sysp(SYS_mq_unlink, lng), ENAMETOOLONG);
    CHECK_ERR(sysp(SYS_mq_unlink, "a/b"), EACCES);
    CHECK_ERR(sysp(SYS_mq_open, BAD_PTR, O_RDWR, 0, NULL), EFAULT);
    CHECK_ERR(sysp(SYS_mq_open, "x", O_RDWR | O_CREAT, 0600, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_mq_unlink, BAD_PTR), EFAULT);
}

TEST(attributes)
{
    struct mq_attr a = {.mq_maxmsg = 0, .mq_msgsize = 16}, old;
    int fd;

    snprintf(g_name, sizeof(g_name), "guest-test-%d", getpid());
    CHECK_ERR(sysp(SYS_mq_open, g_name, O_RDWR | O_CREAT, 0600, &a), EINVAL);
    a.mq_maxmsg = 70000;
    CHECK_ERR(sysp(SYS_mq_open, g_name, O_RDWR | O_CREAT, 0600, &a), EINVAL);
    a.mq_maxmsg = 1;
    a.mq_msgsize = -1;
    CHECK_ERR(sysp(SYS_mq_open, g_name, O_RDWR | O_CREAT, 0600, &a), EINVAL);
    a.mq_msgsize = 17 << 20;
    CHECK_ERR(sysp(SYS_mq_open, g_name, O_RDWR | O_CREAT, 0600, &a), EINVAL);
    CHECK_ERR(sysp(SYS_mq_open, g_name, O_RDWR, 0600, &a), ENOENT);
    fd = (int)sysp(SYS_mq_open, g_name, O_RDWR | O_CREAT, 0600, NULL);
    REQUIRE(fd >= 0);
    a.mq_flags = O_NONBLOCK;
    CHECK_EQ(sysp(SYS_mq_getsetattr, fd, &a, &old), 0);
    CHECK_EQ(old.mq_flags, 0);
    CHECK_EQ(old.mq_maxmsg, 10);
    CHECK_EQ(old.mq_msgsize, 8192);
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    a.mq_flags = O_APPEND;
    CHECK_ERR(sysp(SYS_mq_getsetattr, fd, &a, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_mq_getsetattr, -1, &a, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_mq_getsetattr, -1, BAD_PTR, NULL), EFAULT);
    CHECK_ERR(sysp(SYS_mq_getsetattr, -1, NULL, BAD_PTR), EBADF);
    CHECK_ERR(sysp(SYS_mq_getsetattr, fd, NULL, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_mq_getsetattr, 0, NULL, &old), EBADF);
    CHECK_EQ(sysp(SYS_mq_getsetattr, fd, NULL, NULL), 0);
    done(fd);
}

TEST(order_is_priority_then_age)
{
    static const char *const want[] = {"high", "mid1", "mid2", "low"};
    char buf[16];
    unsigned prio;
    int fd;

    REQUIRE((fd = queue(4, O_NONBLOCK)) >= 0);
    CHECK_EQ(send_text(fd, "mid1", 5), 0);
    CHECK_EQ(send_text(fd, "low", 0), 0);
    CHECK_EQ(send_text(fd, "high", 32767), 0);
    CHECK_EQ(send_text(fd, "mid2", 5), 0);
    CHECK_ERR(send_text(fd, "full", 9), EAGAIN);
    for (int i = 0; i < 4; i++) {
        memset(buf, 0, sizeof(buf));
        CHECK_EQ(sysp(SYS_mq_timedreceive, fd, buf, sizeof(buf), &prio, NULL), strlen(want[i]));
        CHECK_STR(buf, want[i]);
        CHECK_EQ(prio, i == 0 ? 32767 : i < 3 ? 5 : 0);
    }
    CHECK_ERR(sysp(SYS_mq_timedreceive, fd, buf, sizeof(buf), NULL, NULL), EAGAIN);
    done(fd);
}

TEST(order_of_errors)
{
    struct timespec bad = {0, 1000000000}, past = {0, 0};
    char buf[16];
    int fd;

    REQUIRE((fd = queue(1, 0)) >= 0);
    CHECK_ERR(sysp(SYS_mq_timedsend, -1, "x", (size_t)1, 32768u, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_mq_timedsend, -1, "x", (size_t)1, 32768u, &bad), EINVAL);
    CHECK_ERR(sysp(SYS_mq_timedsend, -1, "x", (size_t)1, 32768u, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_mq_timedsend, -1, "x", (size_t)100, 0u, NULL), EBADF);
    CHECK_ERR(sysp(SYS_mq_timedsend, 0, "x", (size_t)100, 0u, NULL), EBADF);
    CHECK_ERR(sysp(SYS_mq_timedsend, fd, BAD_PTR, (size_t)17, 0u, NULL), EMSGSIZE);
    CHECK_ERR(sysp(SYS_mq_timedsend, fd, BAD_PTR, (size_t)16, 0u, NULL), EFAULT);
    CHECK_EQ(sysp(SYS_mq_timedsend, fd, BAD_PTR, (size_t)0, 0u, NULL), 0);
    CHECK_ERR(sysp(SYS_mq_timedsend, fd, "x", (size_t)1, 0u, &past), ETIMEDOUT);
    CHECK_ERR(sysp(SYS_mq_timedreceive, -1, buf, (size_t)1, NULL, &bad), EINVAL);
    CHECK_ERR(sysp(SYS_mq_timedreceive, -1, buf, (size_t)1, NULL, NULL), EBADF);
    CHECK_ERR(sysp(SYS_mq_timedreceive, fd, buf, (size_t)15, NULL, NULL), EMSGSIZE);
    CHECK_EQ(sysp(SYS_mq_timedreceive, fd, BAD_PTR, (size_t)16, NULL, NULL), 0);
    CHECK_ERR(sysp(SYS_mq_timedreceive, fd, buf, (size_t)16, NULL, &past), ETIMEDOUT);
    /* A bad buffer loses the message. */
    CHECK_EQ(send_text(fd, "lost", 0), 0);
    CHECK_ERR(sysp(SYS_mq_timedreceive, fd, BAD_PTR, (size_t)16, NULL, NULL), EFAULT);
    CHECK_ERR(sysp(SYS_mq_timedreceive, fd, buf, (size_t)16, NULL, &past), ETIMEDOUT);
    CHECK_ERR(write(fd, "x", 1), EINVAL);
    CHECK_ERR(sysp(SYS_mq_notify, fd, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_mq_notify, -1, NULL), EBADF);
    CHECK_ERR(sysp(SYS_mq_notify, 0, NULL), EBADF);
    done(fd);
}

static void nothing(int signo)
{
    (void)signo;
}

TEST(sleepers)
{
    struct sigaction sa = {.sa_handler = nothing};
    char buf[16] = "";
    long long t0;
    pid_t pid;
    int fd, status;

    REQUIRE((fd = queue(1, 0)) >= 0);
    t0 = test_now_ms();
    CHECK_ERR(sysp(SYS_mq_timedreceive, fd, buf, sizeof(buf), NULL, DEADLINE_MS(50)), ETIMEDOUT);
    CHECK(test_now_ms() - t0 >= 45);
    pid = fork();
    if (pid == 0) {
        test_sleep_ms(30);
        send_text(fd, "one", 0);
        send_text(fd, "two", 0);
        _exit(send_text(fd, "three", 0));
    }
    CHECK_EQ(sysp(SYS_mq_timedreceive, fd, buf, sizeof(buf), NULL, NULL), 3);
    test_sleep_ms(30);
    CHECK_EQ(sysp(SYS_mq_timedreceive, fd, buf, sizeof(buf), NULL, NULL), 3);
    CHECK_EQ(sysp(SYS_mq_timedreceive, fd, buf, sizeof(buf), NULL, NULL), 5);
    CHECK(!memcmp(buf, "three", 5));
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    /* A handler without SA_RESTART ends the wait. */
    sigaction(SIGUSR1, &sa, NULL);
    pid = test_signal_in(SYS_mq_timedreceive, SIGUSR1);
    CHECK_ERR(sysp(SYS_mq_timedreceive, fd, buf, sizeof(buf), NULL, NULL), EINTR);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    done(fd);
}

TEST(readiness)
{
    struct pollfd p = {.events = POLLIN | POLLOUT};
    char buf[16];

    REQUIRE((p.fd = queue(1, 0)) >= 0);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLOUT);
    send_text(p.fd, "x", 0);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLIN);
    if (fork() == 0) {
        test_sleep_ms(30);
        sysp(SYS_mq_timedreceive, p.fd, buf, sizeof(buf), NULL, NULL);
        _exit(0);
    }
    p.events = POLLOUT;
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK_EQ(p.revents, POLLOUT);
    wait(NULL);
    done(p.fd);
}

TEST(notify_by_signal)
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    struct timespec none = {0, 0};
    char buf[128];
    siginfo_t info;
    sigset_t set;
    pid_t pid;
    int fd, status;

    REQUIRE((fd = queue(2, O_NONBLOCK)) >= 0);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    ev.sigev_value.sival_int = 77;
    CHECK_EQ(sysp(SYS_mq_notify, fd, &ev), 0);
    CHECK_ERR(sysp(SYS_mq_notify, fd, &ev), EBUSY);
    pid = fork();
    if (pid == 0) {
        CHECK_ERR(sysp(SYS_mq_notify, fd, &ev), EBUSY);
        CHECK_EQ(sysp(SYS_mq_notify, fd, NULL), 0);
        CHECK_ERR(sysp(SYS_mq_notify, fd, &ev), EBUSY);
        send_text(fd, "a", 0);
        _exit(g_test_failures);
    }
    CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR2);
    CHECK_EQ(info.si_code, SI_MESGQ);
    CHECK_EQ(info.si_value.sival_int, 77);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_uid, getuid());
    waitpid(pid, &status, 0);
    CHECK_EQ(status, 0);
    /* Once; and not when the queue was not empty. */
    CHECK_EQ(sysp(SYS_mq_notify, fd, &ev), 0);
    memset(buf, 0, sizeof(buf));
    CHECK(pread(fd, buf, sizeof(buf) - 1, 0) > 0);
    snprintf(buf + 64, 64, "QSIZE:1          NOTIFY:0     SIGNO:12    NOTIFY_PID:%-6d\n", getpid());
    CHECK_STR(buf, buf + 64);
    send_text(fd, "b", 0);
    CHECK_ERR(sigtimedwait(&set, &info, &none), EAGAIN);
    CHECK_EQ(sysp(SYS_mq_notify, fd, NULL), 0);
    ev.sigev_signo = 65;
    CHECK_ERR(sysp(SYS_mq_notify, -1, &ev), EINVAL);
    ev.sigev_notify = 4;
    CHECK_ERR(sysp(SYS_mq_notify, -1, &ev), EINVAL);
    /* Closing any descriptor of it unregisters. */
    ev = (struct sigevent){.sigev_notify = SIGEV_NONE};
    CHECK_EQ(sysp(SYS_mq_notify, fd, &ev), 0);
    close(dup(fd));
    CHECK_EQ(sysp(SYS_mq_notify, fd, &ev), 0);
    done(fd);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

TEST(notify_by_netlink)
{
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD};
    char cookie[32] = "cookie", got[32];
    int fd, sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);

    REQUIRE(sock >= 0);
    REQUIRE((fd = queue(2, O_NONBLOCK)) >= 0);
    ev.sigev_signo = sock;
    ev.sigev_value.sival_ptr = cookie;
    CHECK_EQ(sysp(SYS_mq_notify, fd, &ev), 0);
    send_text(fd, "x", 0);
    CHECK_EQ(recv(sock, got, sizeof(got), 0), 32);
    CHECK_STR(got, "cookie");
    CHECK_EQ(got[31], 1);
    CHECK_EQ(sysp(SYS_mq_notify, fd, &ev), 0);
    CHECK_EQ(sysp(SYS_mq_notify, fd, NULL), 0);
    CHECK_EQ(recv(sock, got, sizeof(got), 0), 32);
    CHECK_EQ(got[31], 2);
    ev.sigev_value.sival_ptr = BAD_PTR;
    CHECK_ERR(sysp(SYS_mq_notify, -1, &ev), EFAULT);
    ev.sigev_value.sival_ptr = cookie;
    ev.sigev_signo = 999;
    CHECK_ERR(sysp(SYS_mq_notify, fd, &ev), EBADF);
    ev.sigev_signo = fd;
    CHECK_ERR(sysp(SYS_mq_notify, fd, &ev), ENOTSOCK);
    close(sock);
    sock = socket(AF_UNIX, SOCK_DGRAM, 0);
    ev.sigev_signo = sock;
    CHECK_ERR(sysp(SYS_mq_notify, fd, &ev), EINVAL);
    close(sock);
    done(fd);
}

static atomic_int g_told;

static void told(union sigval v)
{
    g_told = v.sival_int;
}

TEST(notify_by_thread_of_libc)
{
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = told};
    int fd;

    REQUIRE((fd = queue(2, 0)) >= 0);
    ev.sigev_value.sival_int = 41;
    REQUIRE(mq_notify(fd, &ev) == 0);
    send_text(fd, "x", 0);
    WAIT_UNTIL(g_told);
    CHECK_EQ(g_told, 41);
    done(fd);
}

TEST(limit_per_user)
{
    struct rlimit old, lim;
    struct mq_attr a = {.mq_maxmsg = 10, .mq_msgsize = 8192};
    int fd;

    /* 10 messages cost 48 bytes each, 10 priority levels 48. */
    getrlimit(RLIMIT_MSGQUEUE, &old);
    lim = (struct rlimit){10 * 8192 + 959, old.rlim_max};
    setrlimit(RLIMIT_MSGQUEUE, &lim);
    snprintf(g_name, sizeof(g_name), "guest-test-%d", getpid());
    CHECK_ERR(sysp(SYS_mq_open, g_name, O_RDWR | O_CREAT, 0600, &a), EMFILE);
    lim.rlim_cur = 10 * 8192 + 960;
    setrlimit(RLIMIT_MSGQUEUE, &lim);
    fd = (int)sysp(SYS_mq_open, g_name, O_RDWR | O_CREAT, 0600, &a);
    CHECK(fd >= 0);
    setrlimit(RLIMIT_MSGQUEUE, &old);
    done(fd);
}

static void as_nobody(void)
{
    struct mq_attr a = {.mq_maxmsg = 11, .mq_msgsize = 16};

    if (setresuid(1, 1, 1))
        return;
    CHECK_ERR(sysp(SYS_mq_open, g_name, O_RDONLY, 0, NULL), EACCES);
    CHECK_ERR(sysp(SYS_mq_unlink, g_name), EPERM);
    CHECK_ERR(sysp(SYS_mq_open, "guest-test-x", O_RDONLY | O_CREAT, 0, &a), EINVAL);
    a.mq_maxmsg = 10;
    a.mq_msgsize = 8193;
    CHECK_ERR(sysp(SYS_mq_open, "guest-test-x", O_RDONLY | O_CREAT, 0, &a), EINVAL);
}

TEST(permissions)
{
    int fd;

    if (geteuid())
        SKIP("needs root");
    REQUIRE((fd = queue(1, 0)) >= 0);
    CHECK_EQ(test_in_child(as_nobody), 0);
    done(fd);
}

TEST(file_system)
{
    struct mq_attr a;
    struct statfs sf;
    char path[64], text[100] = "";
    int fd, file;

    if (geteuid() || unshare(CLONE_NEWIPC | CLONE_NEWNS))
        SKIP("needs root");
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    test_tmpdir();
    mkdir("mq", 0777);
    REQUIRE(mount("none", "mq", "mqueue", 0, NULL) == 0);
    CHECK_EQ(statfs("mq", &sf), 0);
    CHECK_EQ(sf.f_type, 0x19800202);
    REQUIRE((fd = queue(3, 0)) >= 0);
    send_text(fd, "hello", 0);
    snprintf(path, sizeof(path), "mq/%s", g_name);
    file = open(path, O_RDONLY);
    REQUIRE(file >= 0);
    CHECK(read(file, text, sizeof(text) - 1) > 0);
    CHECK_STR(text, "QSIZE:5          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n");
    /* The file is a descriptor of the queue. */
    CHECK_EQ(sysp(SYS_mq_timedreceive, file, text, sizeof(text), NULL, NULL), 5);
    close(file);
    CHECK_ERR(mkdir("mq/dir", 0777), EPERM);
    CHECK_ERR(symlink("x", "mq/link"), EPERM);
    CHECK_ERR(link(path, "mq/hard"), EPERM);
    CHECK_ERR(rename(path, "mq/other"), EPERM);
    file = open("mq/made", O_RDWR | O_CREAT, 0600);
    REQUIRE(file >= 0);
    CHECK_EQ(sysp(SYS_mq_getsetattr, file, NULL, &a), 0);
    CHECK_EQ(a.mq_maxmsg, 10);
    close(file);
    CHECK_EQ(unlink("mq/made"), 0);
    CHECK_EQ(unlink(path), 0);
    CHECK_ERR(sysp(SYS_mq_unlink, g_name), ENOENT);
    close(fd);
    CHECK_EQ(umount("mq"), 0);
    /* Another namespace has other names. */
    REQUIRE((fd = queue(3, 0)) >= 0);
    CHECK_EQ(unshare(CLONE_NEWIPC), 0);
    CHECK_ERR(sysp(SYS_mq_open, g_name, O_RDWR, 0, NULL), ENOENT);
    CHECK_EQ(send_text(fd, "still", 0), 0);
    close(fd);
    file = open("/proc/sys/fs/mqueue/msg_max", O_RDONLY);
    CHECK_EQ(read(file, text, sizeof(text)), 3);
    CHECK(!memcmp(text, "10\n", 3));
    close(file);
}

GUEST_TEST_MAIN
