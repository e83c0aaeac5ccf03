/* SPDX-License-Identifier: Apache-2.0 */
/* The gofer and its client together on a real directory: reading, changing, caching, death. */
#include "tests/support/gofer_fixture.h"

#include <errno.h>

#include "sentry/fs/gofer/gofer_internal.h"

static struct fixture g_f;
static char g_names[1 << 16];

static struct gofer_super *gs(void)
{
    return gofer_super(g_f.super);
}

static uint64_t trips(void)
{
    return gs()->session->round_trips;
}

static void start(bool readonly, uint32_t flags, enum gofer_io io)
{
    int fd = fixture_serve(&g_f, readonly, io);

    assert_int_equal(gofer_mount(fd, flags | (readonly ? GOFER_READONLY : 0), &g_f.super), 0);
    fixture_chroot(g_f.super);
}

static void make_tree(void)
{
    char path[256];

    fixture_tree(&g_f);
    host_mkdir(&g_f, "a");
    host_mkdir(&g_f, "a/b");
    host_mkdir(&g_f, "a/b/c");
    host_write_file(&g_f, "a/b/c/file", "hello");
    host_write_file(&g_f, "a/one", "1");
    host_symlink(&g_f, "b/c", "a/link");
    host_symlink(&g_f, "/a/one", "abs");
    snprintf(path, sizeof(path), "%s/fifo", g_f.dir);
    assert_int_equal(mkfifo(path, 0644), 0);
}

static void stop(void)
{
    int status;

    fixture_unroot();
    status = fixture_wait_gofer(&g_f);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fixture_remove_tree(&g_f);
}

static void read_path(enum gofer_io io)
{
    struct fs_attr attr;
    uint64_t before;

    make_tree();
    start(/*readonly=*/true, GOFER_EXCLUSIVE, io);
    before = trips();
    assert_string_equal(read_text("/a/b/c/file"), "hello");
    assert_int_equal(trips() - before, 1); /* walk, attributes, descriptor: one round trip */
    assert_string_equal(read_text("/a/b/c/file"), "hello");
    assert_int_equal(stat_path("/a/b/c", 0, &attr), 0);
    assert_true(LX_S_ISDIR(attr.mode));
    assert_int_equal(trips() - before, 1);
    assert_string_equal(read_text("/a/link/file"), "hello");
    assert_string_equal(read_text("/abs"), "1");
    assert_int_equal(open_error("/a/b/nope", LX_O_RDONLY), -ENOENT);
    before = trips();
    assert_int_equal(open_error("/a/b/nope", LX_O_RDONLY), -ENOENT);
    assert_int_equal(trips() - before, 0);
    assert_int_equal(open_error("/a/one/x", LX_O_RDONLY), -ENOTDIR);
    assert_int_equal(open_error("/a/one", LX_O_WRONLY), -EROFS);
    assert_int_equal(stat_path("/fifo", 0, &attr), 0);
    assert_true(LX_S_ISFIFO(attr.mode));
    list_names("/a", g_names, sizeof(g_names));
    assert_string_equal(g_names, "b link one");
    stop();
}

static void test_read_uring(void **state)
{
    (void)state;
    read_path(GOFER_IO_URING);
}

static void test_read_poll(void **state)
{
    (void)state;
    read_path(GOFER_IO_POLL);
}

static void test_listing_answers_lookups(void **state)
{
    struct fs_attr attr;
    char name[64];
    uint64_t before;

    (void)state;
    fixture_tree(&g_f);
    host_mkdir(&g_f, "d");
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "d/f%d", i);
        host_write_file(&g_f, name, "");
    }
    start(true, GOFER_EXCLUSIVE, GOFER_IO_AUTO);
    before = trips();
    assert_int_equal(list_names("/d", g_names, 0), 3000);
    assert_true(trips() - before < 12);
    before = trips();
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "/d/f%d", i);
        assert_int_equal(stat_path(name, 0, &attr), 0);
        assert_true(LX_S_ISREG(attr.mode));
    }
    assert_int_equal(stat_path("/d/none", 0, &attr), -ENOENT);
    /* A few, until it shows that all are looked at; then the listing again, with attributes. */
    assert_true(trips() - before < 24);
    stop();
}

static void test_misses_fetch_the_listing(void **state)
{
    struct fs_attr attr;
    char name[64];
    uint64_t before;

    (void)state;
    make_tree();
    start(true, GOFER_EXCLUSIVE, GOFER_IO_AUTO);
    before = trips();
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "/a/nothing%d", i);
        assert_int_equal(stat_path(name, 0, &attr), -ENOENT);
    }
    assert_true(trips() - before < 8);
    stop();
}

static void test_changes(void **state)
{
    struct fs_attr attr, set = {.mask = ATTR_MODE, .mode = 0600};
    struct path p;
    struct file *f;
    struct stat st;
    char path[256];

    (void)state;
    make_tree();
    start(false, GOFER_EXCLUSIVE, GOFER_IO_AUTO);
    write_text("/new", LX_O_CREAT | LX_O_EXCL, "text");
    assert_string_equal(read_text("/new"), "text");
    snprintf(path, sizeof(path), "%s/new", g_f.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 4);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(stat_path("/new", 0, &attr), 0);
    assert_int_equal(attr.size, 4);

    f = open_file("/new", LX_O_WRONLY | LX_O_APPEND, 0);
    assert_non_null(f);
    assert_int_equal(file_write_kernel(f, "+", 1, 0), 1);
    file_put(f);
    assert_string_equal(read_text("/new"), "text+");

    assert_int_equal(vfs_mkdir(LX_AT_FDCWD, "/dir", 0755), 0);
    assert_int_equal(vfs_mkdir(LX_AT_FDCWD, "/dir", 0755), -EEXIST);
    assert_int_equal(vfs_rename(LX_AT_FDCWD, "/new", LX_AT_FDCWD, "/dir/moved", 0), 0);
    assert_int_equal(stat_path("/new", 0, &attr), -ENOENT);
    assert_string_equal(read_text("/dir/moved"), "text+");
    assert_int_equal(vfs_link(LX_AT_FDCWD, "/dir/moved", LX_AT_FDCWD, "/twin", 0), 0);
    assert_int_equal(stat_path("/twin", 0, &attr), 0);
    assert_int_equal(attr.nlink, 2);
    assert_int_equal(vfs_symlink("dir/moved", LX_AT_FDCWD, "/ln"), 0);
    assert_string_equal(read_text("/ln"), "text+");
    assert_int_equal(vfs_walk(LX_AT_FDCWD, "/twin", 0, &p), 0);
    assert_int_equal(vfs_setattr(&p, &set, NULL), 0);
    path_put(&p);
    assert_int_equal(stat_path("/dir/moved", 0, &attr), 0);
    assert_int_equal(attr.mode & 07777, 0600);

    f = open_file("/twin", LX_O_RDWR, 0);
    assert_int_equal(vfs_unlink(LX_AT_FDCWD, "/twin"), 0);
    assert_int_equal(vfs_unlink(LX_AT_FDCWD, "/dir/moved"), 0);
    assert_int_equal(file_write_kernel(f, "T", 1, 0), 1); /* unlinked but open */
    file_put(f);
    assert_int_equal(vfs_rmdir(LX_AT_FDCWD, "/a"), -ENOTEMPTY);
    assert_int_equal(vfs_rmdir(LX_AT_FDCWD, "/dir"), 0);
    list_names("/", g_names, sizeof(g_names));
    assert_string_equal(g_names, "a abs fifo ln");
    stop();
}

static void test_shared_tree_sees_host_changes(void **state)
{
    struct fs_attr attr;
    char path[256];

    (void)state;
    make_tree();
    start(false, GOFER_SHARED, GOFER_IO_AUTO);
    assert_string_equal(read_text("/a/one"), "1");
    assert_int_equal(stat_path("/late", 0, &attr), -ENOENT);
    host_write_file(&g_f, "late", "now");
    assert_string_equal(read_text("/late"), "now");
    host_write_file(&g_f, "a/one", "longer");
    assert_int_equal(stat_path("/a/one", 0, &attr), 0);
    assert_int_equal(attr.size, 6);
    snprintf(path, sizeof(path), "%s/late", g_f.dir);
    unlink(path);
    assert_int_equal(stat_path("/late", 0, &attr), -ENOENT);
    list_names("/", g_names, sizeof(g_names));
    assert_string_equal(g_names, "a abs fifo");
    stop();
}

static void test_xattr(void **state)
{
    struct path p;
    char buf[64];
    ssize_t n;
    int ret;

    (void)state;
    make_tree();
    start(false, GOFER_EXCLUSIVE, GOFER_IO_AUTO);
    assert_int_equal(vfs_walk(LX_AT_FDCWD, "/a/one", 0, &p), 0);
    ret = p.dentry->inode->ops->setxattr(p.dentry->inode, "user.k", "value", 5, 0);
    if (ret == 0) { /* the host's /tmp may not have them */
        n = p.dentry->inode->ops->getxattr(p.dentry->inode, "user.k", buf, sizeof(buf));
        assert_int_equal(n, 5);
        assert_memory_equal(buf, "value", 5);
        n = p.dentry->inode->ops->listxattr(p.dentry->inode, buf, sizeof(buf));
        assert_int_equal(n, 7);
        assert_int_equal(p.dentry->inode->ops->removexattr(p.dentry->inode, "user.k"), 0);
        n = p.dentry->inode->ops->getxattr(p.dentry->inode, "user.k", buf, sizeof(buf));
        assert_int_equal(n, -ENODATA);
    }
    path_put(&p);
    stop();
}

static void test_gofer_killed(void **state)
{
    struct fs_attr attr;
    struct file *f;
    char buf[8];

    (void)state;
    make_tree();
    start(true, GOFER_EXCLUSIVE, GOFER_IO_AUTO);
    f = open_file("/a/one", LX_O_RDONLY, 0);
    assert_false(gs()->session->dead);
    kill(g_f.gofer, SIGKILL);
    (void)fixture_wait_gofer(&g_f);
    assert_int_equal(stat_path("/a/b/c/file", 0, &attr), -EIO);
    assert_true(gs()->session->dead);
    assert_int_equal(file_read_kernel(f, buf, sizeof(buf), 0), 1); /* donated: still there */
    file_put(f);
    fixture_unroot();
    fixture_remove_tree(&g_f);
}

static void test_few_fids(void **state)
{
    struct fs_attr attr;
    char name[64];

    (void)state;
    fixture_tree(&g_f);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "d%d", i);
        host_mkdir(&g_f, name);
        snprintf(name, sizeof(name), "d%d/f", i);
        host_write_file(&g_f, name, "x");
    }
    start(true, GOFER_EXCLUSIVE, GOFER_IO_AUTO);
    gs()->fid_limit = 40; /* most inodes must give theirs back and walk again */
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 300; i++) {
            snprintf(name, sizeof(name), "/d%d/f", i);
            assert_int_equal(stat_path(name, 0, &attr), 0);
            gi_data_drop(gofer_inode(g_f.super->root->inode)); /* no descriptor there: harmless */
            assert_string_equal(read_text(name), "x");
        }
    }
    assert_true(gs()->fid_count <= 80);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_uring),
        cmocka_unit_test(test_read_poll),
        cmocka_unit_test(test_listing_answers_lookups),
        cmocka_unit_test(test_misses_fetch_the_listing),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_shared_tree_sees_host_changes),
        cmocka_unit_test(test_xattr),
        cmocka_unit_test(test_gofer_killed),
        cmocka_unit_test(test_few_fids),
    };

    fixture_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
