/* SPDX-License-Identifier: Apache-2.0 */
/* statmount(2), listmount(2), open_tree_attr(2), statx's unique mount id. */
#include <sched.h>
#include <sys/mount.h>

#include "tests/support/guest_test.h"

#define STATMOUNT      457
#define LISTMOUNT      458
#define OPEN_TREE_ATTR 467
#define UNIQUE         0x4000u /* STATX_MNT_ID_UNIQUE */
#define ROOT           UINT64_MAX

struct req {
    uint32_t size, fd;
    uint64_t id, param, ns;
};
struct sm {
    uint32_t size, mnt_opts;
    uint64_t mask;
    uint32_t major, minor;
    uint64_t magic;
    uint32_t sb_flags, fs_type;
    uint64_t id, parent;
    uint32_t id_old, parent_old;
    uint64_t attr, propagation, peer, master, from;
    uint32_t mnt_root, mnt_point;
    uint64_t ns;
    uint32_t subtype, source;
    uint64_t rest[48];
    char str[512];
};
_Static_assert(sizeof(struct sm) == 1024, "struct statmount and room for strings");

static uint64_t unique_id(const char *path)
{
    uint64_t sx[32] = {0}, id;

    if (sysp(SYS_statx, AT_FDCWD, path, 0, UNIQUE, sx) < 0)
        return 0;
    CHECK(*(uint32_t *)sx & UNIQUE);
    memcpy(&id, (char *)sx + 0x90, sizeof(id));
    return id;
}

static bool missing(void)
{
    return sysp(STATMOUNT, NULL, NULL, (size_t)0, 0u) == -ENOSYS;
}

TEST(root)
{
    struct req r = {.size = sizeof(r), .param = 0x3b};
    uint64_t ids[4096];
    struct sm sm;
    bool found = false;
    long n;

    if (missing())
        SKIP_ON_HOST("before Linux 6.8");
    r.id = unique_id("/");
    CHECK(r.id > 1UL << 31);
    memset(&sm, 0xaa, sizeof(sm));
    REQUIRE(sysp(STATMOUNT, &r, &sm, sizeof(sm), 0u) == 0);
    CHECK_EQ(sm.mask, 0x3b);
    CHECK_EQ(sm.id, r.id);
    CHECK(sm.size > 512 && sm.size <= sizeof(sm));
    CHECK_STR(sm.str + sm.mnt_point, "/");
    CHECK(strlen(sm.str + sm.fs_type) > 0);
    CHECK(sm.magic != 0);
    /* As much of the struct as there is room for. */
    r.param = 3;
    memset(&sm, 0xaa, sizeof(sm));
    CHECK_EQ(sysp(STATMOUNT, &r, &sm, (size_t)16, 0u), 0);
    CHECK_EQ(sm.size, 16);
    CHECK_EQ(sm.mask, 3);
    CHECK_EQ(sm.major, 0xaaaaaaaa);
    r.param = 0x10;
    CHECK_ERR(sysp(STATMOUNT, &r, &sm, (size_t)512, 0u), EOVERFLOW);
    CHECK_ERR(sysp(STATMOUNT, &r, &sm, (size_t)514, 0u), EOVERFLOW);
    CHECK_EQ(sysp(STATMOUNT, &r, &sm, (size_t)515, 0u), 0);

    r = (struct req){.size = 24, .id = ROOT};
    n = sysp(LISTMOUNT, &r, ids, (size_t)4096, 0u);
    REQUIRE(n > 0);
    for (long i = 0; i < n; i++) {
        found |= ids[i] == unique_id("/proc");
        CHECK(i == 0 || ids[i] > ids[i - 1]);
    }
    CHECK(found);
    r.param = ids[0];
    CHECK_EQ(sysp(LISTMOUNT, &r, ids, (size_t)4096, 0u), n - 1);
    r.param = 0;
    CHECK_EQ(sysp(LISTMOUNT, &r, ids, (size_t)1, 0u), 1);
}

static void in_namespace(void)
{
    struct req r = {.size = sizeof(r), .id = ROOT, .param = 0x23f};
    uint64_t attr[4] = {1}; /* MOUNT_ATTR_RDONLY */
    uint64_t ids[16], top, sub;
    struct sm sm;
    int tree;

    if (unshare(CLONE_NEWNS) < 0)
        return;
    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    mkdir("m", 0700);
    CHECK_EQ(mount("source", "m", "tmpfs", MS_NOSUID | MS_NOATIME, "size=1m"), 0);
    mkdir("m/n", 0700);
    CHECK_EQ(mount("inner", "m/n", "tmpfs", MS_NODEV, ""), 0);
    top = unique_id("m");
    sub = unique_id("m/n");
    r.id = top;
    REQUIRE(sysp(STATMOUNT, &r, &sm, sizeof(sm), 0u) == 0);
    CHECK_EQ(sm.attr, 0x12);
    CHECK_EQ(sm.propagation, MS_PRIVATE);
    CHECK_STR(sm.str + sm.fs_type, "tmpfs");
    CHECK_STR(sm.str + sm.mnt_root, "/");
    CHECK_STR(sm.str + sm.source, "source");
    CHECK(strlen(sm.str + sm.mnt_point) > 2 &&
          !strcmp(sm.str + sm.mnt_point + strlen(sm.str + sm.mnt_point) - 2, "/m"));
    CHECK_EQ(sm.magic, 0x01021994);
    r.id = sub;
    REQUIRE(sysp(STATMOUNT, &r, &sm, sizeof(sm), 0u) == 0);
    CHECK_EQ(sm.parent, top);
    r = (struct req){.size = sizeof(r), .id = top};
    CHECK_EQ(sysp(LISTMOUNT, &r, ids, (size_t)16, 0u), 1);
    CHECK_EQ(ids[0], sub);
    r.id = ROOT;
    CHECK(sysp(LISTMOUNT, &r, ids, (size_t)16, 1u) >= 3); /* backwards */
    CHECK_EQ(ids[0], sub);
    CHECK_EQ(ids[1], top);

    tree = (int)sysp(OPEN_TREE_ATTR, AT_FDCWD, "m", 1u, attr, sizeof(attr));
    if (tree == -ENOSYS)
        return;
    CHECK(tree >= 0);
    CHECK_ERR(openat(tree, "x", O_CREAT | O_WRONLY, 0600), EROFS);
    CHECK(close(open("m/x", O_CREAT | O_WRONLY, 0600)) == 0);
    close(tree);
    CHECK_ERR(sysp(OPEN_TREE_ATTR, AT_FDCWD, "m", 1u, NULL, sizeof(attr)), EINVAL);
    CHECK_ERR(sysp(OPEN_TREE_ATTR, AT_FDCWD, "m", 1u, attr, (size_t)8), EINVAL);
    CHECK_ERR(sysp(OPEN_TREE_ATTR, AT_FDCWD, "none", 1u, attr, (size_t)8), ENOENT);
    CHECK_ERR(sysp(OPEN_TREE_ATTR, AT_FDCWD, "m", 1u, attr, (size_t)5000), E2BIG);
    attr[0] = 1UL << 40;
    CHECK_ERR(sysp(OPEN_TREE_ATTR, AT_FDCWD, "m", 1u, attr, sizeof(attr)), EINVAL);
    tree = (int)sysp(OPEN_TREE_ATTR, AT_FDCWD, "m", 1u, NULL, (size_t)0);
    CHECK(tree >= 0);
}

TEST(mounts_below)
{
    if (geteuid())
        SKIP("needs root");
    if (missing())
        SKIP_ON_HOST("before Linux 6.8");
    test_tmpdir();
    CHECK_EQ(test_in_child(in_namespace), 0);
}

TEST(order_of_errors)
{
    struct req r = {.size = 24, .id = 5};
    uint64_t ids[4];

    if (missing())
        SKIP_ON_HOST("before Linux 6.8");
    CHECK_ERR(sysp(STATMOUNT, BAD_PTR, ids, (size_t)8, 1u), EINVAL);
    CHECK_ERR(sysp(STATMOUNT, BAD_PTR, ids, (size_t)8, 0u), EFAULT);
    CHECK_ERR(sysp(STATMOUNT, &r, ids, (size_t)8, 0u), EINVAL);
    r.size = 23;
    CHECK_ERR(sysp(STATMOUNT, &r, ids, (size_t)8, 0u), EINVAL);
    r.size = 5000;
    CHECK_ERR(sysp(STATMOUNT, &r, ids, (size_t)8, 0u), E2BIG);
    r.size = 24;
    r.id = (1UL << 62) + 1;
    CHECK_ERR(sysp(STATMOUNT, &r, ids, (size_t)8, 0u), ENOENT);
    CHECK_ERR(sysp(LISTMOUNT, &r, ids, (size_t)4, 0u), ENOENT);
    CHECK_ERR(sysp(LISTMOUNT, &r, ids, (size_t)4, 2u), EINVAL);
    CHECK_ERR(sysp(LISTMOUNT, BAD_PTR, ids, (size_t)1 << 40, 0u), EOVERFLOW);
    CHECK_ERR(sysp(LISTMOUNT, BAD_PTR, ids, (size_t)4, 0u), EFAULT);
    r.param = 7;
    CHECK_ERR(sysp(LISTMOUNT, &r, ids, (size_t)4, 0u), EINVAL);
}

GUEST_TEST_MAIN
