/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl_ns(2): what kind of namespace a file is, who owns it, what is above it. */
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

#include "tests/support/guest_test.h"

static int open_ns(const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

TEST(kinds)
{
    static const struct {
        const char *name;
        int flag;
    } kinds[] = {
        {"mnt", CLONE_NEWNS},        {"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET},
        {"uts", CLONE_NEWUTS},       {"ipc", CLONE_NEWIPC}, {"user", CLONE_NEWUSER},
        {"cgroup", CLONE_NEWCGROUP},
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        int fd = open_ns(kinds[i].name);

        CHECK(fd >= 0);
        CHECK_EQ(ioctl(fd, NS_GET_NSTYPE), kinds[i].flag);
        CHECK_ERR(ioctl(fd, 0x1234), ENOTTY);
        close(fd);
    }
}

TEST(owners_and_parents)
{
    int fd = open_ns("uts");
    uid_t uid;

    CHECK_ERR(ioctl(fd, NS_GET_PARENT), EINVAL);
    CHECK_ERR(ioctl(fd, NS_GET_OWNER_UID, &uid), EINVAL);
    close(fd);
    fd = open_ns("user");
    /* Nothing above the caller's own is shown. */
    CHECK_ERR(ioctl(fd, NS_GET_USERNS), EPERM);
    CHECK_ERR(ioctl(fd, NS_GET_PARENT), EPERM);
    CHECK_EQ(ioctl(fd, NS_GET_OWNER_UID, &uid), 0);
    CHECK_ERR(ioctl(fd, NS_GET_OWNER_UID, BAD_PTR), EFAULT);
    close(fd);
    fd = open_ns("pid");
    CHECK_ERR(ioctl(fd, NS_GET_PARENT), EPERM);
    close(fd);
}

static void in_userns(void)
{
    struct stat own, owner;
    int fd, up;

    if (unshare(CLONE_NEWUSER | CLONE_NEWUTS | CLONE_NEWNS) < 0)
        _exit(77);
    fd = open_ns("uts");
    up = ioctl(fd, NS_GET_USERNS);
    CHECK(up >= 0);
    CHECK_EQ(fcntl(up, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(ioctl(up, NS_GET_NSTYPE), CLONE_NEWUSER);
    CHECK_EQ(fstat(up, &owner), 0);
    CHECK_EQ(stat("/proc/self/ns/user", &own), 0);
    CHECK_EQ(own.st_ino, owner.st_ino);
    CHECK_EQ(own.st_dev, owner.st_dev);
    /* The mount namespace that came with it is the new user namespace's. */
    CHECK_EQ(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
}

TEST(a_user_namespace_owns_what_was_made_with_it)
{
    int status = test_in_child(in_userns);

    if (WEXITSTATUS(status) == 77)
        SKIP("no user namespaces");
    CHECK_EQ(status, 0);
}

GUEST_TEST_MAIN
