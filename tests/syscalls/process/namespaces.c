/* SPDX-License-Identifier: Apache-2.0 */
/* User, pid and uts namespaces through unshare and clone; what PID 1 of a namespace may and must.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/utsname.h>

#include "tests/support/guest_test.h"

static int wait_for(pid_t pid)
{
    int status = -1;

    CHECK_EQ(waitpid(pid, &status, 0), pid);
    return status;
}

static int write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = write(fd, text, strlen(text));
    n = n < 0 ? -errno : 0;
    close(fd);
    return (int)n;
}

static bool may_unshare(int flags)
{
    int status;
    pid_t pid = fork();

    if (!pid)
        _exit(unshare(flags) ? 1 : 0);
    waitpid(pid, &status, 0);
    return status == 0;
}

TEST(user_namespace_maps_ids)
{
    uid_t uid = getuid();
    char line[64];
    pid_t pid;

    if (!may_unshare(CLONE_NEWUSER))
        SKIP("no user namespaces here");
    snprintf(line, sizeof(line), "0 %u 1\n", uid);
    pid = fork();
    if (!pid) {
        if (unshare(CLONE_NEWUSER))
            _exit(1);
        if (getuid() != 65534)
            _exit(2);
        if (write_file("/proc/self/uid_map", line))
            _exit(3);
        if (getuid() != 0)
            _exit(4);
        if (setuid(5) != -1 || errno != EINVAL)
            _exit(5);
        if (sethostname("x", 1) != -1 || errno != EPERM)
            _exit(6);
        _exit(write_file("/proc/self/uid_map", line) == -EPERM ? 0 : 7);
    }
    CHECK_EQ(wait_for(pid), 0);
}

TEST(uts_namespace_is_private)
{
    struct utsname before, after;
    pid_t pid;

    if (!may_unshare(CLONE_NEWUSER | CLONE_NEWUTS))
        SKIP("no user namespaces here");
    uname(&before);
    pid = fork();
    if (!pid) {
        struct utsname u;

        if (unshare(CLONE_NEWUSER | CLONE_NEWUTS) || sethostname("inside", 6))
            _exit(1);
        uname(&u);
        _exit(strcmp(u.nodename, "inside") != 0);
    }
    CHECK_EQ(wait_for(pid), 0);
    uname(&after);
    CHECK_STR(after.nodename, before.nodename);
}

/* First process of a new namespace. */
static int init_main(void)
{
    pid_t child;
    int status;

    if (getpid() != 1 || getppid() != 0)
        return 1;
    kill(1, SIGKILL); /* PID 1 cannot be killed from inside */
    kill(1, SIGTERM);
    child = fork();
    if (!child) {
        pid_t grandchild = fork();

        if (!grandchild) {
            WAIT_UNTIL(getppid() != 2);
            _exit(getppid() == 1 ? 7 : 8); /* an orphan belongs to PID 1 */
        }
        _exit(getpid() == 2 && grandchild == 3 ? 0 : 9);
    }
    if (child != 2 || waitpid(child, &status, 0) != 2 || status)
        return 2;
    if (waitpid(-1, &status, 0) != 3 || status != 7 << 8)
        return 3;
    return 0;
}

TEST(pid_namespace_has_its_own_init)
{
    pid_t pid;

    if (!may_unshare(CLONE_NEWUSER | CLONE_NEWPID))
        SKIP("no user namespaces here");
    pid = fork();
    if (!pid) {
        pid_t init;
        int status;

        if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
            _exit(20);
        init = fork();
        if (!init)
            _exit(init_main());
        waitpid(init, &status, 0);
        if (status)
            _exit(WEXITSTATUS(status));
        /* The namespace is dead: no more processes in it. */
        _exit(fork() == -1 && errno == ENOMEM ? 0 : 21);
    }
    CHECK_EQ(wait_for(pid), 0);
}

TEST(a_namespace_dies_with_its_init)
{
    int pipefd[2];
    pid_t pid;
    char c;

    if (!may_unshare(CLONE_NEWUSER | CLONE_NEWPID))
        SKIP("no user namespaces here");
    REQUIRE(pipe(pipefd) == 0);
    pid = fork();
    if (!pid) {
        pid_t init;

        if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
            _exit(20);
        init = fork();
        if (!init) {
            if (!fork()) {
                pause();
                _exit(0);
            }
            usleep(10000);
            _exit(0);
        }
        waitpid(init, NULL, 0);
        _exit(0);
    }
    close(pipefd[1]);
    CHECK_EQ(wait_for(pid), 0);
    CHECK_EQ(read(pipefd[0], &c, 1), 0); /* the sleeper is gone: end of file */
    close(pipefd[0]);
}

/* Nested: the last process inside, the init of a namespace of its own, has no parent to wait for it. */
TEST(a_namespace_dies_with_those_inside)
{
    pid_t pid;

    if (!may_unshare(CLONE_NEWUSER | CLONE_NEWPID))
        SKIP("no user namespaces here");
    for (int round = 0; round < 8; round++) {
        pid = fork();
        if (!pid) {
            pid_t init;

            if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
                _exit(20);
            init = fork();
            if (!init) {
                if (!fork()) {
                    if (unshare(CLONE_NEWPID))
                        _exit(0);
                    if (!fork())
                        pause();
                    pause();
                }
                usleep(10000);
                if (!fork())
                    _exit(0);
                wait(NULL);
                _exit(0);
            }
            _exit(waitpid(init, NULL, 0) == init ? 0 : 21);
        }
        CHECK_EQ(wait_for(pid), 0);
    }
}

TEST(time_namespaces_are_listed_if_there_are_any)
{
    int fd = open("/proc/self/ns/time", O_RDONLY);

    if (fd < 0) {
        CHECK_ERR(sys(SYS_unshare, CLONE_NEWTIME), EINVAL);
        return;
    }
    if (setns(fd, 0) != 0)
        CHECK_EQ(errno, EPERM); /* one's own, but for root only */
    close(fd);
}

/* Who makes a user namespace stays as open to others as before, and may write its maps. */
TEST(user_namespaces_do_not_hide)
{
    pid_t pid;

    if (!may_unshare(CLONE_NEWUSER))
        SKIP("no user namespaces here");
    pid = fork();
    if (!pid) {
        char uids[32], gids[32];
        int fd;

        if (geteuid() == 0 && (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)))
            _exit(1);
        snprintf(uids, sizeof(uids), "%u %u 1", getuid(), getuid());
        snprintf(gids, sizeof(gids), "%u %u 1", getgid(), getgid());
        prctl(PR_SET_DUMPABLE, 1);
        for (int level = 0; level < 2; level++) {
            if (unshare(CLONE_NEWUSER))
                _exit(2);
            if (prctl(PR_GET_DUMPABLE) != 1)
                _exit(3);
            fd = open("/proc/self/setgroups", O_WRONLY);
            if (fd < 0 || write(fd, "deny", 4) != 4)
                _exit(4);
            close(fd);
            if (level == 0 && (write_file("/proc/self/uid_map", uids) < 0 ||
                               write_file("/proc/self/gid_map", gids) < 0))
                _exit(5);
        }
        _exit(0);
    }
    CHECK_EQ(wait_for(pid), 0);
}

TEST(unshare_errors)
{
    CHECK_ERR(unshare(0x10), EINVAL);
    CHECK_EQ(unshare(0), 0);
    CHECK_EQ(unshare(CLONE_FILES | CLONE_FS), 0);
    CHECK_ERR(setns(1000, 0), EBADF);
}

GUEST_TEST_MAIN
