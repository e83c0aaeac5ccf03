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

/* Neither another namespace nor a copy opens what is locked. */
static void locked_copies(void)
{
    REQUIRE(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    REQUIRE(mkdir("c", 0755) == 0 && mkdir("d", 0755) == 0 &&
            mount("t", "c", "tmpfs", 0, NULL) == 0);
    REQUIRE(mkdir("c/in", 0755) == 0 && mkdir("c/free", 0755) == 0);
    REQUIRE(mount("t", "c/in", "tmpfs", MS_RDONLY, NULL) == 0);
    REQUIRE(enter(0));
    CHECK_ERR(umount2("c/in", 0), EINVAL);
    REQUIRE(unshare(CLONE_NEWNS) == 0);
    CHECK_ERR(umount2("c/in", 0), EINVAL);
    CHECK_ERR(mount(NULL, "c/in", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
    CHECK_ERR(mount("c", "d", NULL, MS_BIND, NULL), EINVAL);
    CHECK_EQ(mount("c/free", "d", NULL, MS_BIND, NULL), 0);
    CHECK_EQ(umount2("d", 0), 0);
    CHECK_EQ(mount("c", "d", NULL, MS_BIND | MS_REC, NULL), 0);
    CHECK_ERR(umount2("d/in", 0), EINVAL);
    CHECK_EQ(umount2("d", MNT_DETACH), 0);
    CHECK_EQ(mount("c/in", "d", NULL, MS_BIND, NULL), 0);
    CHECK_ERR(mount(NULL, "d", NULL, MS_REMOUNT | MS_BIND, NULL), EPERM);
    CHECK_EQ(mount(NULL, "d", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOEXEC, NULL), 0);
    CHECK_EQ(umount2("d", 0), 0);
}

/* What the owner of a namespace adds reaches the lesser one, and is locked there. */
static void locked_arrivals(void)
{
    int up[2], down[2], status;
    char byte;
    pid_t pid;

    REQUIRE(unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    REQUIRE(mkdir("e", 0755) == 0 && mount("t", "e", "tmpfs", 0, NULL) == 0);
    REQUIRE(mkdir("e/late", 0755) == 0 && mount(NULL, "e", NULL, MS_SHARED, NULL) == 0);
    REQUIRE(pipe(up) == 0 && pipe(down) == 0);
    pid = fork();
    if (!pid) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || !write_file("/proc/self/uid_map", "0 0 1\n") ||
            write(up[1], "u", 1) != 1 || read(down[0], &byte, 1) != 1)
            _exit(1);
        if (mount(NULL, "e/late", NULL, MS_REMOUNT | MS_BIND, NULL) != -1 || errno != EPERM)
            _exit(2);
        _exit(umount2("e/late", MNT_DETACH) ? 3 : 0);
    }
    CHECK_EQ(read(up[0], &byte, 1), 1);
    CHECK_EQ(mount("t", "e/late", "tmpfs", MS_NOEXEC, NULL), 0);
    CHECK_EQ(write(down[1], "d", 1), 1);
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

TEST(locks_are_kept)
{
    test_tmpdir();
    if (geteuid() || !possible())
        SKIP("needs root and user namespaces");
    CHECK_EQ(test_in_child(locked_copies), 0);
    CHECK_EQ(test_in_child(locked_arrivals), 0);
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
