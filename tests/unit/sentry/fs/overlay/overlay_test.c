/* SPDX-License-Identifier: Apache-2.0 */
/* An overlay with a tmpfs above a gofer tree: what Linux's overlayfs does, plus directory renames.
 */
#include "tests/support/gofer_fixture.h"

#include <errno.h>

#include "sentry/fs/overlay/overlay_internal.h"

static struct fixture g_f;
static char g_names[1 << 16];

static void start(void)
{
    struct tmpfs_options opt = {.mode = 0755, .super_flags = SUPER_LOWER};
    struct super *upper, *lower, *root;
    int fd;

    fixture_tree(&g_f);
    host_mkdir(&g_f, "etc");
    host_mkdir(&g_f, "etc/sub");
    host_mkdir(&g_f, "etc/sub/deep");
    host_write_file(&g_f, "etc/passwd", "root");
    host_write_file(&g_f, "etc/hosts", "localhost");
    host_write_file(&g_f, "etc/sub/deep/leaf", "leaf");
    host_mkdir(&g_f, "empty");
    host_symlink(&g_f, "etc/passwd", "ln");
    fd = fixture_serve(&g_f, /*readonly=*/true, GOFER_IO_AUTO);
    assert_int_equal(gofer_mount(fd, GOFER_EXCLUSIVE | GOFER_READONLY | GOFER_LOWER, &lower), 0);
    assert_int_equal(tmpfs_create(&opt, &upper), 0);
    assert_int_equal(overlay_mount(upper, &lower, 1, 0, &root), 0);
    g_f.super = root;
    fixture_chroot(root);
}

static void stop(void)
{
    int status;

    fixture_unroot();
    status = fixture_wait_gofer(&g_f);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fixture_remove_tree(&g_f);
}

/* Forgets every cached name, so that the next walk looks at the layers again. */
static void forget(void)
{
    dcache_drop_super(g_f.super);
}

static uint64_t ino_of(const char *name)
{
    struct fs_attr attr;

    assert_int_equal(stat_path(name, 0, &attr), 0);
    return attr.ino;
}

static void test_lookup_and_list(void **state)
{
    (void)state;
    start();
    assert_string_equal(read_text("/etc/passwd"), "root");
    assert_string_equal(read_text("/ln"), "root");
    assert_int_equal(open_error("/etc/none", LX_O_RDONLY), -ENOENT);
    list_names("/", g_names, sizeof(g_names));
    assert_string_equal(g_names, "empty etc ln");
    write_text("/etc/new", LX_O_CREAT, "n");
    list_names("/etc", g_names, sizeof(g_names));
    assert_string_equal(g_names, "hosts new passwd sub");
    stop();
}

static void test_copy_up_keeps_identity(void **state)
{
    struct fs_attr attr;
    struct file *old;
    uint64_t ino, dir_ino;
    char buf[16] = "";
    char path[256];
    struct stat st;

    (void)state;
    start();
    ino = ino_of("/etc/passwd");
    dir_ino = ino_of("/etc");
    old = open_file("/etc/passwd", LX_O_RDONLY, 0);
    write_text("/etc/passwd", 0, "ROOT!");
    assert_string_equal(read_text("/etc/passwd"), "ROOT!");
    assert_int_equal(file_read_kernel(old, buf, sizeof(buf), 0), 5); /* Linux >= 4.19 */
    file_put(old);
    assert_int_equal(ino_of("/etc/passwd"), ino);
    assert_int_equal(ino_of("/etc"), dir_ino);
    forget();
    assert_int_equal(ino_of("/etc/passwd"), ino);
    assert_int_equal(ino_of("/etc"), dir_ino);
    assert_string_equal(read_text("/etc/passwd"), "ROOT!");
    assert_int_equal(stat_path("/etc/passwd", 0, &attr), 0);
    assert_int_equal(attr.size, 5);
    snprintf(path, sizeof(path), "%s/etc/passwd", g_f.dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 4); /* the host's file is untouched */
    stop();
}

static void test_whiteouts_and_opaque(void **state)
{
    (void)state;
    start();
    assert_int_equal(vfs_unlink(LX_AT_FDCWD, "/etc/passwd"), 0);
    assert_int_equal(open_error("/etc/passwd", LX_O_RDONLY), -ENOENT);
    forget();
    assert_int_equal(open_error("/etc/passwd", LX_O_RDONLY), -ENOENT);
    list_names("/etc", g_names, sizeof(g_names));
    assert_string_equal(g_names, "hosts sub");
    write_text("/etc/passwd", LX_O_CREAT | LX_O_EXCL, "again");
    forget();
    assert_string_equal(read_text("/etc/passwd"), "again");

    assert_int_equal(vfs_rmdir(LX_AT_FDCWD, "/etc/sub"), -ENOTEMPTY);
    assert_int_equal(vfs_unlink(LX_AT_FDCWD, "/etc/sub/deep/leaf"), 0);
    assert_int_equal(vfs_rmdir(LX_AT_FDCWD, "/etc/sub/deep"), 0);
    assert_int_equal(vfs_rmdir(LX_AT_FDCWD, "/etc/sub"), 0);
    assert_int_equal(vfs_mkdir(LX_AT_FDCWD, "/etc/sub", 0700), 0);
    forget();
    assert_int_equal(list_names("/etc/sub", g_names, sizeof(g_names)), 0); /* opaque */
    stop();
}

static void test_rename_file(void **state)
{
    (void)state;
    start();
    assert_int_equal(vfs_rename(LX_AT_FDCWD, "/etc/passwd", LX_AT_FDCWD, "/etc/hosts", 0), 0);
    forget();
    assert_string_equal(read_text("/etc/hosts"), "root");
    assert_int_equal(open_error("/etc/passwd", LX_O_RDONLY), -ENOENT);
    list_names("/etc", g_names, sizeof(g_names));
    assert_string_equal(g_names, "hosts sub");
    stop();
}

static void test_rename_lower_directory(void **state)
{
    uint64_t ino;

    (void)state;
    start();
    ino = ino_of("/etc/sub");
    assert_int_equal(vfs_rename(LX_AT_FDCWD, "/etc/sub", LX_AT_FDCWD, "/moved", 0), 0);
    assert_string_equal(read_text("/moved/deep/leaf"), "leaf");
    forget();
    assert_string_equal(read_text("/moved/deep/leaf"), "leaf");
    assert_int_equal(ino_of("/moved"), ino);
    assert_int_equal(open_error("/etc/sub", LX_O_RDONLY), -ENOENT);
    assert_int_equal(vfs_rename(LX_AT_FDCWD, "/moved/deep", LX_AT_FDCWD, "/etc/sub", 0), 0);
    forget();
    assert_string_equal(read_text("/etc/sub/leaf"), "leaf");
    assert_int_equal(list_names("/moved", g_names, sizeof(g_names)), 0);
    /* Over an empty lower directory. */
    assert_int_equal(vfs_rename(LX_AT_FDCWD, "/etc/sub", LX_AT_FDCWD, "/empty", 0), 0);
    forget();
    assert_string_equal(read_text("/empty/leaf"), "leaf");
    /* A new directory over a place that hides a lower one. */
    assert_int_equal(vfs_mkdir(LX_AT_FDCWD, "/fresh", 0755), 0);
    assert_int_equal(vfs_rename(LX_AT_FDCWD, "/fresh", LX_AT_FDCWD, "/etc/sub", 0), 0);
    forget();
    assert_int_equal(list_names("/etc/sub", g_names, sizeof(g_names)), 0);
    stop();
}

static void test_exchange(void **state)
{
    (void)state;
    start();
    assert_int_equal(
        vfs_rename(LX_AT_FDCWD, "/etc/sub", LX_AT_FDCWD, "/etc/passwd", LX_RENAME_EXCHANGE), 0);
    forget();
    assert_string_equal(read_text("/etc/sub"), "root");
    assert_string_equal(read_text("/etc/passwd/deep/leaf"), "leaf");
    stop();
}

static void test_links(void **state)
{
    struct fs_attr a, b;

    (void)state;
    start();
    assert_int_equal(vfs_link(LX_AT_FDCWD, "/etc/passwd", LX_AT_FDCWD, "/twin", 0), 0);
    assert_int_equal(stat_path("/etc/passwd", 0, &a), 0);
    assert_int_equal(stat_path("/twin", 0, &b), 0);
    assert_int_equal(a.ino, b.ino);
    assert_int_equal(b.nlink, 2);
    forget();
    assert_int_equal(stat_path("/etc/passwd", 0, &a), 0);
    assert_int_equal(stat_path("/twin", 0, &b), 0);
    assert_int_equal(a.ino, b.ino);
    write_text("/twin", 0, "ROOT");
    assert_string_equal(read_text("/etc/passwd"), "ROOT");
    assert_int_equal(vfs_unlink(LX_AT_FDCWD, "/etc/passwd"), 0);
    assert_string_equal(read_text("/twin"), "ROOT");
    assert_int_equal(stat_path("/twin", 0, &b), 0);
    assert_int_equal(b.nlink, 1);
    stop();
}

static void test_unlinked_open_file(void **state)
{
    struct fs_attr set = {.mask = ATTR_MODE, .mode = 0640};
    struct file *f;
    char buf[8] = "";

    (void)state;
    start();
    f = open_file("/etc/passwd", LX_O_RDONLY, 0);
    assert_int_equal(vfs_unlink(LX_AT_FDCWD, "/etc/passwd"), 0);
    assert_int_equal(file_read_kernel(f, buf, sizeof(buf), 0), 4);
    assert_int_equal(f->inode->attr.nlink, 0);
    assert_int_equal(vfs_setattr(&f->path, &set, f), 0); /* copied up without a name */
    assert_int_equal(f->inode->attr.mode & 07777, 0640);
    assert_int_equal(file_read_kernel(f, buf, sizeof(buf), 0), 4);
    file_put(f);
    assert_int_equal(open_error("/etc/passwd", LX_O_RDONLY), -ENOENT);
    stop();
}

static void test_truncate_copies_little(void **state)
{
    struct fs_attr attr;

    (void)state;
    start();
    write_text("/etc/hosts", LX_O_TRUNC, "x");
    assert_string_equal(read_text("/etc/hosts"), "x");
    assert_int_equal(stat_path("/etc/hosts", 0, &attr), 0);
    assert_int_equal(attr.size, 1);
    stop();
}

static void test_listing_numbers_match_stat(void **state)
{
    (void)state;
    start();
    write_text("/etc/passwd", 0, "ROOT");
    write_text("/etc/fresh", LX_O_CREAT, "");
    assert_int_equal(vfs_mkdir(LX_AT_FDCWD, "/etc/sub/x", 0755), 0);
    for (int round = 0; round < 2; round++) {
        static struct name_list l;
        struct file *f = open_file("/etc", LX_O_RDONLY | LX_O_DIRECTORY, 0);

        l.emit.entry = name_list_add;
        l.count = 0;
        mutex_lock(&f->inode->lock);
        assert_int_equal(f->ops->readdir(f, &l.emit), 0);
        mutex_unlock(&f->inode->lock);
        file_put(f);
        assert_int_equal(l.count, 4);
        for (size_t i = 0; i < l.count; i++) {
            char name[64];

            snprintf(name, sizeof(name), "/etc/%s", l.names[i]);
            assert_int_equal(ino_of(name), l.inos[i]);
            free(l.names[i]);
        }
        forget();
    }
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup_and_list),
        cmocka_unit_test(test_copy_up_keeps_identity),
        cmocka_unit_test(test_whiteouts_and_opaque),
        cmocka_unit_test(test_rename_file),
        cmocka_unit_test(test_rename_lower_directory),
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_unlinked_open_file),
        cmocka_unit_test(test_truncate_copies_little),
        cmocka_unit_test(test_listing_numbers_match_stat),
    };

    fixture_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
