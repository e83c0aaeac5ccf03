/* SPDX-License-Identifier: Apache-2.0 */
/* The file systems of files that have no name: which they are, and that they differ. */
#include <linux/magic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/vfs.h>

#include "tests/support/guest_test.h"

static dev_t check_home(int fd, long magic)
{
    struct statfs fs;
    struct stat st;

    CHECK_EQ(sysp(SYS_fstatfs, fd, &fs), 0);
    CHECK_EQ(fs.f_type, magic);
    CHECK_EQ(fs.f_namelen, 255);
    CHECK_EQ(fs.f_blocks, 0);
    CHECK(fs.f_fsid.__val[0] != 0);
    CHECK_EQ(fstat(fd, &st), 0);
    close(fd);
    return st.st_dev;
}

TEST(each_kind_has_its_own)
{
    dev_t pipes, sockets, namespaces, others;
    int p[2];

    REQUIRE(pipe(p) == 0);
    pipes = check_home(p[0], PIPEFS_MAGIC);
    CHECK_EQ(check_home(p[1], PIPEFS_MAGIC), pipes);
    sockets = check_home(socket(AF_UNIX, SOCK_STREAM, 0), SOCKFS_MAGIC);
    namespaces = check_home(open("/proc/self/ns/uts", O_RDONLY), NSFS_MAGIC);
    others = check_home(eventfd(0, 0), ANON_INODE_FS_MAGIC);
    CHECK(pipes != sockets && pipes != namespaces && pipes != others);
    CHECK(sockets != namespaces && sockets != others && namespaces != others);
}

TEST(namespace_files_have_times)
{
    struct stat st;

    CHECK_EQ(stat("/proc/self/ns/uts", &st), 0);
    CHECK_EQ(st.st_mode, S_IFREG | 0444);
    CHECK(st.st_mtime > 0 && st.st_atime > 0 && st.st_ctime > 0);
}

GUEST_TEST_MAIN
