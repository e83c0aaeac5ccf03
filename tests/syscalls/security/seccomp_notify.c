/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp_unotify(2): a supervisor answers the calls of another process; verdicts by argument. */
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/support/seccomp_filter.h"

#define WAIT_KILLABLE_RECV 0x20u

/* Call nr gets action, all others are allowed. */
static long install(int nr, uint32_t action, unsigned flags)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return filter_one_call(nr, action, flags);
}

static int listen_to(int nr)
{
    return (int)install(nr, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

static void send_fd(int sock, int fd)
{
    char space[CMSG_SPACE(sizeof(int))] = {0}, byte = 0;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    REQUIRE(sendmsg(sock, &m, 0) == 1);
}

static int receive_fd(int sock)
{
    char space[CMSG_SPACE(sizeof(int))] = {0}, byte;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
    int fd;

    if (recvmsg(sock, &m, 0) != 1 || !CMSG_FIRSTHDR(&m))
        return -1;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
    return fd;
}

/* A child that filters nr, hands the listener over and runs fn; its exit status is fn's result. */
static int start(int nr, int (*fn)(void), pid_t *out_pid)
{
    int pair[2], fd;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    *out_pid = fork();
    CHECK(*out_pid >= 0);
    if (*out_pid == 0) {
        int listener = listen_to(nr);

        send_fd(pair[1], listener);
        close(listener);
        _exit(fn());
    }
    fd = receive_fd(pair[0]);
    CHECK(fd >= 0);
    close(pair[0]);
    close(pair[1]);
    return fd;
}

static int end(pid_t pid)
{
    int status = -1;

    waitpid(pid, &status, 0);
    return status;
}

static int call_getppid_thrice(void)
{
    if (syscall(SYS_getppid) != 4711)
        return 1;
    if (syscall(SYS_getppid) != -1 || errno != EXDEV)
        return 2;
    return syscall(SYS_getppid) > 0 ? 0 : 3;
}

TEST(replies_errors_and_continue)
{
    struct seccomp_notif n = {0};
    struct seccomp_notif_resp r = {0};
    struct pollfd p;
    pid_t pid;
    int fd = start(SYS_getppid, call_getppid_thrice, &pid);

    p = (struct pollfd){.fd = fd, .events = POLLIN | POLLOUT};
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK_EQ(p.revents, POLLIN);
    CHECK_EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n), 0);
    CHECK_EQ(n.pid, (unsigned)pid);
    CHECK_EQ(n.data.nr, SYS_getppid);
    CHECK_EQ(n.data.arch, AUDIT_ARCH_X86_64);
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLOUT);
    CHECK_EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id), 0);
    r = (struct seccomp_notif_resp){.id = n.id + 1, .val = 1};
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r), ENOENT);
    r = (struct seccomp_notif_resp){.id = n.id, .val = 4711};
    CHECK_EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r), 0);
    CHECK_EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &(struct seccomp_notif){0}), 0);
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id), ENOENT);
    n.id++;
    r = (struct seccomp_notif_resp){.id = n.id, .error = -EXDEV};
    CHECK_EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r), 0);
    memset(&n, 0, sizeof(n));
    CHECK_EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n), 0);
    r = (struct seccomp_notif_resp){
        .id = n.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE, .val = 1};
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r), EINVAL);
    r.val = 0;
    CHECK_EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r), 0);
    CHECK_EQ(end(pid), 0);
    CHECK_EQ(poll(&p, 1, -1), 1);
    CHECK(p.revents & POLLHUP);
    memset(&n, 0, sizeof(n));
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n), ENOENT);
    close(fd);
}

static int open_and_read(void)
{
    char buf[8] = "";
    int fd = openat(AT_FDCWD, "/does/not/exist", O_RDONLY);

    if (fd < 0 || read(fd, buf, 5) != 5 || memcmp(buf, "given", 5) != 0)
        return 1;
    return fcntl(fd, F_GETFD) == FD_CLOEXEC ? 0 : 2;
}

TEST(descriptors_are_given)
{
    struct seccomp_notif n = {0};
    struct seccomp_notif_addfd a;
    pid_t pid;
    int pipes[2], fd = start(SYS_openat, open_and_read, &pid);

    REQUIRE(pipe(pipes) == 0);
    REQUIRE(write(pipes[1], "given", 5) == 5);
    CHECK_EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n), 0);
    a = (struct seccomp_notif_addfd){.id = n.id, .srcfd = 9999};
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a), EBADF);
    a = (struct seccomp_notif_addfd){.id = n.id, .srcfd = (unsigned)pipes[0], .newfd = 3};
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a), EINVAL);
    a = (struct seccomp_notif_addfd){
        .id = n.id, .srcfd = (unsigned)pipes[0], .newfd_flags = O_APPEND};
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a), EINVAL);
    a = (struct seccomp_notif_addfd){.id = n.id + 7, .srcfd = (unsigned)pipes[0]};
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a), ENOENT);
    /* At a chosen number, then anywhere with the number as the call's result. */
    a = (struct seccomp_notif_addfd){
        .id = n.id, .srcfd = (unsigned)pipes[0], .newfd = 77, .flags = SECCOMP_ADDFD_FLAG_SETFD};
    CHECK_EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a), 77);
    a = (struct seccomp_notif_addfd){.id = n.id,
                                     .srcfd = (unsigned)pipes[0],
                                     .newfd_flags = O_CLOEXEC,
                                     .flags = SECCOMP_ADDFD_FLAG_SEND};
    CHECK(ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a) >= 0);
    CHECK_EQ(end(pid), 0);
    close(fd);
    close(pipes[0]);
    close(pipes[1]);
}

static volatile sig_atomic_t g_signals;

static void on_signal(int signo)
{
    (void)signo;
    g_signals++;
}

static int call_with_handler(void)
{
    struct sigaction sa = {.sa_handler = on_signal};

    sigaction(SIGUSR1, &sa, NULL);
    return syscall(SYS_getppid) == -1 && errno == EINTR && g_signals == 1 ? 0 : 1;
}

TEST(a_signal_ends_the_wait)
{
    struct seccomp_notif n = {0};
    struct seccomp_notif_resp r;
    pid_t pid;
    int fd = start(SYS_getppid, call_with_handler, &pid);

    CHECK_EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n), 0);
    kill(pid, SIGUSR1);
    CHECK_EQ(end(pid), 0);
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id), ENOENT);
    r = (struct seccomp_notif_resp){.id = n.id};
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &r), ENOENT);
    close(fd);
}

static int expect_enosys(void)
{
    return syscall(SYS_getppid) == -1 && errno == ENOSYS ? 0 : 1;
}

TEST(a_closed_listener_answers_enosys)
{
    struct seccomp_notif n = {0};
    pid_t pid;
    int fd = start(SYS_getppid, expect_enosys, &pid);

    CHECK_EQ(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n), 0);
    close(fd);
    CHECK_EQ(end(pid), 0);
}

static void errors_in_child(void)
{
    struct seccomp_notif_sizes sizes;
    struct seccomp_notif n = {.id = 1};
    uint32_t action = SECCOMP_RET_USER_NOTIF;
    int fd;

    CHECK_EQ(sysp(SYS_seccomp, (unsigned)SECCOMP_GET_NOTIF_SIZES, 0u, &sizes), 0);
    CHECK_EQ(sizes.seccomp_notif, 80);
    CHECK_EQ(sizes.seccomp_notif_resp, 24);
    CHECK_EQ(sizes.seccomp_data, 64);
    CHECK_EQ(sysp(SYS_seccomp, (unsigned)SECCOMP_GET_ACTION_AVAIL, 0u, &action), 0);
    CHECK_EQ(install(SYS_getppid, SECCOMP_RET_USER_NOTIF,
                     SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC),
             -EINVAL);
    CHECK_EQ(install(SYS_getppid, SECCOMP_RET_USER_NOTIF, WAIT_KILLABLE_RECV), -EINVAL);
    fd = listen_to(SYS_getppid);
    REQUIRE(fd >= 0);
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(listen_to(SYS_getppid), -EBUSY);
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n), EINVAL);
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, BAD_PTR), EFAULT);
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, BAD_PTR), EFAULT);
    CHECK_ERR(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, BAD_PTR), EFAULT);
    CHECK_ERR(ioctl(fd, 12345, 0), EINVAL);
    CHECK_EQ(sysp(SYS_read, fd, &n, sizeof(n)), -EINVAL);
    close(fd);
}

TEST(errors)
{
    CHECK_EQ(test_in_child(errors_in_child), 0);
}

/* A line of /proc/self/status. */
static int status_number(const char *name)
{
    FILE *f = fopen("/proc/self/status", "re");
    char line[256];
    int v = -1;

    while (f && fgets(line, sizeof(line), f)) {
        if (strncmp(line, name, strlen(name)) == 0)
            v = atoi(line + strlen(name));
    }
    if (f)
        fclose(f);
    return v;
}

/* A verdict that looks at an argument is asked for every call. */
static void by_argument(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 0, 2),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EDOM),
    };
    struct sock_fprog prog = {6, code};

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    REQUIRE(sysp(SYS_seccomp, (unsigned)SECCOMP_SET_MODE_FILTER, 0u, &prog) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(sysp(SYS_getpriority, 0, 0) > 0);
        CHECK_EQ(sysp(SYS_getpriority, 0, 1), -EDOM);
        CHECK(sysp(SYS_getpid) > 0);
    }
    /* Stacked: what was always allowed is no more. */
    REQUIRE(install(SYS_getpid, SECCOMP_RET_ERRNO | ERANGE, 0) == 0);
    CHECK_EQ(sysp(SYS_getpid), -ERANGE);
    CHECK_EQ(status_number("Seccomp_filters:"), 2);
    CHECK(sysp(SYS_getpriority, 0, 0) > 0);
    CHECK_EQ(sysp(SYS_getpriority, 0, 1), -EDOM);
}

TEST(verdicts_by_argument)
{
    CHECK_EQ(test_in_child(by_argument), 0);
}

GUEST_TEST_MAIN
