/* SPDX-License-Identifier: Apache-2.0 */
/* fsopen, fsmount, move_mount, open_tree, fspick, mount_setattr, unshare and setns of mount
 * namespaces. */
#include <sched.h>
#include <sys/mount.h>

#include "tests/support/guest_test.h"

static void new_mounts(void)
{
    int fs, mnt, tree, ns = open("/proc/self/ns/mnt", O_RDONLY);

    if (unshare(CLONE_NEWNS) < 0)
        _exit(0);
    CHECK(sysp(SYS_mount, NULL, "/", NULL, (unsigned long)(MS_REC | MS_PRIVATE), NULL) == 0);
    CHECK(mkdir("m", 0700) == 0 && mkdir("t", 0700) == 0);
    CHECK_EQ(sysp(SYS_mount, "tmpfs", "m", "tmpfs", 0UL, "size=1m"), 0);
    CHECK(close(open("m/file", O_CREAT | O_WRONLY, 0600)) == 0);
    CHECK_ERR(sysp(SYS_umount2, "m", 0x100), EINVAL);
    CHECK_EQ(sysp(SYS_mount, "m", "t", NULL, (unsigned long)MS_BIND, NULL), 0);
    CHECK(access("t/file", F_OK) == 0);
    CHECK_EQ(sysp(SYS_umount2, "t", 0), 0);
    CHECK_ERR(sysp(SYS_umount2, "t", 0), EINVAL);
    CHECK_EQ(
        sysp(SYS_mount, NULL, "m", NULL, (unsigned long)(MS_REMOUNT | MS_RDONLY | MS_BIND), NULL),
        0);
    CHECK_ERR(open("m/new", O_CREAT | O_WRONLY, 0600), EROFS);
    fs = (int)sysp(430, "tmpfs", 0u);
    if (fs >= 0) {
        CHECK_EQ(sysp(431, fs, 6u, NULL, NULL, 0), 0); /* FSCONFIG_CMD_CREATE */
        mnt = (int)sysp(432, fs, 0u, 0u);
        CHECK(mnt >= 0);
        CHECK_EQ(sysp(429, mnt, "", AT_FDCWD, "t", 4u), 0);
        CHECK(close(open("t/x", O_CREAT | O_WRONLY, 0600)) == 0);
        tree = (int)sysp(428, AT_FDCWD, "t", 1u);
        CHECK(tree >= 0);
        CHECK_EQ(sysp(SYS_umount2, "t", MNT_DETACH), 0);
        CHECK(access("t/x", F_OK) < 0);
        close(tree);
    }
    CHECK_ERR(sysp(SYS_mount, "x", "m", "no-such-type", 0UL, NULL), ENODEV);
    CHECK_ERR(sysp(SYS_mount, "x", "nothing", "tmpfs", 0UL, NULL), ENOENT);
    CHECK_EQ(sysp(SYS_setns, ns, CLONE_NEWNS), 0);
}

TEST(in_a_namespace_of_its_own)
{
    if (getuid() != 0)
        SKIP("needs root");
    test_tmpdir();
    CHECK_EQ(test_in_child(new_mounts), 0);
    CHECK(access("m/file", F_OK) < 0);
}

TEST(errors)
{
    CHECK_ERR(sysp(430, BAD_PTR, 0u), getuid() == 0 ? EFAULT : EPERM);
    CHECK_ERR(sysp(433, 9999, "x", 0u), getuid() == 0 ? EBADF : EPERM); /* fspick */
    CHECK_ERR(sysp(442, 9999, "x", 0u, NULL, (size_t)8), EINVAL);       /* mount_setattr */
}

GUEST_TEST_MAIN
