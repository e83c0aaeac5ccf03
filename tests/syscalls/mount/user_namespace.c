/* SPDX-License-Identifier: Apache-2.0 */
/* A mount namespace that is made together with its user namespace: its owner may do all in it. */
#include <sched.h>
#include <sys/mount.h>

#include "tests/support/guest_test.h"

static bool write_file(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

    close(fd);
    return ok;
}

/* Into both namespaces as their root. */
static bool enter(int more)
{
    char map[64], groups[64];

    snprintf(map, sizeof(map), "0 %u 1\n", getuid());
    snprintf(groups, sizeof(groups), "0 %u 1\n", getgid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS | more) == 0 &&
           write_file("/proc/self/uid_map", map) && write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/gid_map", groups) &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static bool possible(void)
{
    int status;
    pid_t pid = fork();

    if (!pid)
        _exit(unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0);
    waitpid(pid, &status, 0);
    return status == 0;
}

static void mounts(void)
{
    REQUIRE(enter(0));
    CHECK_EQ(mkdir("a", 0755), 0);
    CHECK_EQ(mkdir("b", 0755), 0);
    CHECK_EQ(mount("t", "a", "tmpfs", 0, "size=1m"), 0);
    CHECK_EQ(mkdir("a/inside", 0755), 0);
    CHECK_EQ(mount("a", "b", NULL, MS_BIND, NULL), 0);
    CHECK_EQ(access("b/inside", F_OK), 0);
    CHECK_EQ(umount2("b", 0), 0);
    CHECK_EQ(umount2("a", MNT_DETACH), 0);
    /* What came with the copy stays: it may cover something. */
    CHECK_ERR(umount2("/proc", MNT_DETACH), EINVAL);
    CHECK_ERR(umount2("/", 0), EINVAL);
}

static void new_root(void)
{
    REQUIRE(enter(0));
    CHECK_EQ(mkdir("r", 0755), 0);
    CHECK_EQ(mount("t", "r", "tmpfs", 0, NULL), 0);
    CHECK_EQ(mkdir("r/old", 0755), 0);
    CHECK_EQ(syscall(SYS_pivot_root, "r", "r/old"), 0);
    CHECK_EQ(chdir("/"), 0);
    CHECK_EQ(access("/old/proc/self", F_OK), 0);
    CHECK_EQ(umount2("/old", MNT_DETACH), 0);
    CHECK_ERR(access("/old/proc/self", F_OK), ENOENT);
}

/* Not of a new pid namespace: proc shows what the owner of the new namespace does not own. */
static void proc(void)
{
    pid_t pid;
    int status;

    REQUIRE(enter(CLONE_NEWPID));
    pid = fork();
    if (!pid) {
        char self[16] = {0};

        if (mount("proc", "/proc", "proc", 0, NULL))
            _exit(errno == EPERM ? 77 : 1); /* Linux: some files of the old /proc may be covered */
        _exit(readlink("/proc/self", self, sizeof(self) - 1) != 1 || self[0] != '1' ? 2 : 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(status == 0 || WEXITSTATUS(status) == 77);
}

/* What the owner of the old namespace covered cannot be had back by a mount of one's own. */
static void covered_proc(void)
{
    int status;
    pid_t pid;

    REQUIRE(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    REQUIRE(mount("t", "/proc/sys", "tmpfs", 0, NULL) == 0);
    REQUIRE(enter(CLONE_NEWPID));
    pid = fork();
    if (!pid)
        _exit(mount("proc", "/proc", "proc", 0, NULL) != -1 || errno != EPERM);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

TEST(owner_may_mount)
{
    test_tmpdir();
    if (!possible())
        SKIP("no user namespaces here");
    CHECK_EQ(test_in_child(mounts), 0);
}

TEST(owner_may_pivot)
{
    test_tmpdir();
    if (!possible())
        SKIP("no user namespaces here");
    CHECK_EQ(test_in_child(new_root), 0);
}

TEST(proc_of_a_new_pid_namespace)
{
    if (!possible())
        SKIP("no user namespaces here");
    CHECK_EQ(test_in_child(proc), 0);
}

TEST(proc_that_is_covered)
{
    int status;
    pid_t pid;

    if (!possible())
        SKIP("no user namespaces here");
    pid = fork(); /* a namespace that root can mount in */
    if (!pid)
        _exit(unshare(CLONE_NEWNS) != 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (status)
        SKIP("needs root");
    CHECK_EQ(test_in_child(covered_proc), 0);
}

TEST(user_namespace_alone_owns_no_mounts)
{
    int status;
    pid_t pid;

    if (!possible())
        SKIP("no user namespaces here");
    pid = fork();
    if (!pid) {
        if (unshare(CLONE_NEWUSER))
            _exit(1);
        _exit(mount("t", "/tmp", "tmpfs", 0, NULL) != -1 || errno != EPERM);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

GUEST_TEST_MAIN
