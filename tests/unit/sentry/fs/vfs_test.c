/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vfs on tmpfs: names, walks, links, renames, mounts, descriptors, data, locks. A random test
 * drives names against a model.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "sentry/abi/fcntl.h"
#include "sentry/abi/mount.h"
#include "sentry/abi/stat.h"
#include "sentry/core/curr.h"
#include "sentry/fs/flock.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/fs/vfs.h"
#include "sentry/mm/safecopy.h"

#define AT LX_AT_FDCWD

const struct fs_type *const g_fs_types[] = {&g_fs_tmpfs, NULL};

static struct curr g_self;

static uint64_t test_rlimit(int resource)
{
    return resource == LX_RLIMIT_NOFILE ? 1024 : LX_RLIM_INFINITY;
}
static void test_raise(int signo)
{
}
static const struct curr_ops test_curr_ops = {
    .rlimit = test_rlimit, .raise_thread = test_raise, .raise_process = test_raise};

static int setup(void **state)
{
    struct tmpfs_options opt = {.mode = 0755};
    struct super *s;
    struct path root;

    g_curr_ops = &test_curr_ops;
    g_curr = &g_self;
    sleeper_init(&g_self.sleeper);
    g_self.cred = cred_kernel();
    assert_int_equal(memfile_init(0), 0);
    assert_int_equal(uaccess_fault_init(), 0);
    assert_int_equal(vfs_init(), 0);
    assert_int_equal(shmem_init(), 0);
    assert_int_equal(tmpfs_create(&opt, &s), 0);
    assert_int_equal(mntns_new(s, 0, &g_self.mntns), 0);
    super_put(s);
    mntns_root(g_self.mntns, &root);
    assert_int_equal(fs_ctx_new(&root, &root, 022, &g_self.fs), 0);
    path_put(&root);
    assert_int_equal(fdtable_new(&g_self.files), 0);
    return 0;
}

static int teardown(void **state)
{
    fdtable_put(g_self.files);
    fs_ctx_put(g_self.fs);
    mntns_put(g_self.mntns);
    return 0;
}

static int open_fd(const char *name, uint32_t flags)
{
    struct open_how how = {.flags = flags, .mode = 0644};
    struct file *f;
    int ret = vfs_open(AT, name, &how, &f);

    if (ret < 0)
        return ret;
    ret = fdtable_install_take(g_self.files, f, 0, false);
    assert_true(ret >= 0);
    return ret;
}

static struct file *file_of(int fd)
{
    struct file *f;

    assert_int_equal(fdtable_lookup_get(g_self.files, fd, &f), 0);
    file_put(f); /* the table keeps it */
    return f;
}

static void put_file(const char *name, const char *text)
{
    int fd = open_fd(name, LX_O_CREAT | LX_O_TRUNC | LX_O_WRONLY);

    assert_true(fd >= 0);
    assert_int_equal(file_write_kernel(file_of(fd), text, strlen(text), 0), (ssize_t)strlen(text));
    assert_int_equal(fdtable_close(g_self.files, fd), 0);
}

static void expect_file(const char *name, const char *text)
{
    char buf[256];
    int fd = open_fd(name, LX_O_RDONLY);
    ssize_t n;

    assert_true(fd >= 0);
    n = file_read_kernel(file_of(fd), buf, sizeof(buf), 0);
    assert_int_equal(n, (ssize_t)strlen(text));
    assert_memory_equal(buf, text, (size_t)n);
    fdtable_close(g_self.files, fd);
}

static int stat_of(const char *name, bool follow, struct fs_attr *a)
{
    struct path p;
    int ret = vfs_walk(AT, name, follow ? WALK_FOLLOW : 0, &p);

    if (ret < 0)
        return ret;
    ret = vfs_getattr(&p, a);
    path_put(&p);
    return ret;
}

static void test_names(void **state)
{
    struct fs_attr a;

    assert_int_equal(vfs_mkdir(AT, "/n", 0755), 0);
    assert_int_equal(vfs_mkdir(AT, "/n", 0755), -EEXIST);
    assert_int_equal(vfs_mkdir(AT, "/n/a/b", 0755), -ENOENT);
    assert_int_equal(vfs_mkdir(AT, "/n/a/", 0755), 0);
    assert_int_equal(vfs_mkdir(AT, "/", 0755), -EEXIST);
    put_file("/n/f", "hello");
    expect_file("/n/f", "hello");
    expect_file("//n/./a/..//f", "hello");
    assert_int_equal(open_fd("/n/f/", LX_O_RDONLY), -ENOTDIR);
    assert_int_equal(open_fd("/n/f/x", LX_O_RDONLY), -ENOTDIR);
    assert_int_equal(open_fd("/n", LX_O_WRONLY), -EISDIR);
    assert_int_equal(open_fd("/n", LX_O_CREAT | LX_O_RDONLY), -EISDIR);
    assert_int_equal(open_fd("/n/f", LX_O_CREAT | LX_O_EXCL), -EEXIST);
    assert_int_equal(open_fd("/n/none", LX_O_RDONLY), -ENOENT);
    assert_int_equal(stat_of("/n", true, &a), 0);
    assert_int_equal(a.nlink, 3);
    assert_int_equal(vfs_rmdir(AT, "/n"), -ENOTEMPTY);
    assert_int_equal(vfs_rmdir(AT, "/n/f"), -ENOTDIR);
    assert_int_equal(vfs_unlink(AT, "/n/a"), -EISDIR);
    assert_int_equal(vfs_rmdir(AT, "/n/."), -EINVAL);
    assert_int_equal(vfs_rmdir(AT, "/n/a/.."), -ENOTEMPTY);
    assert_int_equal(vfs_rmdir(AT, "/"), -EBUSY);
    assert_int_equal(vfs_link(AT, "/n/f", AT, "/n/g", 0), 0);
    assert_int_equal(stat_of("/n/g", true, &a), 0);
    assert_int_equal(a.nlink, 2);
    assert_int_equal(vfs_unlink(AT, "/n/f"), 0);
    expect_file("/n/g", "hello");
    assert_int_equal(vfs_unlink(AT, "/n/g"), 0);
    assert_int_equal(vfs_unlink(AT, "/n/g"), -ENOENT);
    assert_int_equal(vfs_rmdir(AT, "/n/a"), 0);
    assert_int_equal(vfs_rmdir(AT, "/n"), 0);
    assert_int_equal(stat_of("/n", true, &a), -ENOENT);
}

static void test_symlinks(void **state)
{
    struct fs_attr a;
    char name[16];
    int i;

    assert_int_equal(vfs_mkdir(AT, "/s", 0755), 0);
    assert_int_equal(vfs_mkdir(AT, "/s/d", 0755), 0);
    put_file("/s/d/f", "x");
    assert_int_equal(vfs_symlink("d", AT, "/s/rel"), 0);
    assert_int_equal(vfs_symlink("/s/d", AT, "/s/abs"), 0);
    assert_int_equal(vfs_symlink("loop", AT, "/s/loop"), 0);
    assert_int_equal(vfs_symlink("made", AT, "/s/dangling"), 0);
    expect_file("/s/rel/f", "x");
    expect_file("/s/abs/f", "x");
    expect_file("/s/abs/../rel/./f", "x");
    assert_int_equal(open_fd("/s/loop", LX_O_RDONLY), -ELOOP);
    assert_int_equal(open_fd("/s/rel", LX_O_RDONLY | LX_O_NOFOLLOW), -ELOOP);
    assert_int_equal(stat_of("/s/rel", false, &a), 0);
    assert_true(LX_S_ISLNK(a.mode));
    assert_int_equal(stat_of("/s/rel/", false, &a), 0);
    assert_true(LX_S_ISDIR(a.mode));
    assert_int_equal(open_fd("/s/dangling", LX_O_CREAT | LX_O_EXCL | LX_O_WRONLY), -EEXIST);
    put_file("/s/dangling", "through");
    expect_file("/s/made", "through");
    /* 40 links are followed, not more. */
    assert_int_equal(vfs_symlink("d/f", AT, "/s/l0"), 0);
    for (i = 1; i <= 40; i++) {
        char target[16];

        snprintf(target, sizeof(target), "l%d", i - 1);
        snprintf(name, sizeof(name), "/s/l%d", i);
        assert_int_equal(vfs_symlink(target, AT, name), 0);
    }
    expect_file("/s/l39", "x");
    assert_int_equal(open_fd("/s/l40", LX_O_RDONLY), -ELOOP);
}

static void test_rename(void **state)
{
    struct fs_attr a;

    assert_int_equal(vfs_mkdir(AT, "/r", 0755), 0);
    assert_int_equal(vfs_mkdir(AT, "/r/a", 0755), 0);
    assert_int_equal(vfs_mkdir(AT, "/r/b", 0755), 0);
    put_file("/r/a/f", "one");
    put_file("/r/b/f", "two");
    assert_int_equal(vfs_rename(AT, "/r/a/f", AT, "/r/b/f", LX_RENAME_NOREPLACE), -EEXIST);
    assert_int_equal(vfs_rename(AT, "/r/a/f", AT, "/r/b/f", LX_RENAME_EXCHANGE), 0);
    expect_file("/r/a/f", "two");
    expect_file("/r/b/f", "one");
    assert_int_equal(vfs_rename(AT, "/r/a/f", AT, "/r/b/f", 0), 0);
    expect_file("/r/b/f", "two");
    assert_int_equal(stat_of("/r/a/f", true, &a), -ENOENT);
    assert_int_equal(vfs_rename(AT, "/r/a", AT, "/r/a/x", 0), -EINVAL);
    assert_int_equal(vfs_rename(AT, "/r/a", AT, "/r/b", 0), -ENOTEMPTY);
    assert_int_equal(vfs_rename(AT, "/r/b", AT, "/r/a", 0), 0);
    expect_file("/r/a/f", "two");
    assert_int_equal(stat_of("/r", true, &a), 0);
    assert_int_equal(a.nlink, 3);
    assert_int_equal(vfs_rename(AT, "/r/a/f", AT, "/r/g", LX_RENAME_WHITEOUT), 0);
    assert_int_equal(stat_of("/r/a/f", true, &a), 0);
    assert_true(LX_S_ISCHR(a.mode) && a.rdev == 0);
    assert_int_equal(vfs_rename(AT, "/r/.", AT, "/r/z", 0), -EBUSY);
}

static void test_mounts(void **state)
{
    const struct fs_type *type;
    struct mount *m;
    struct path p, from;
    struct fs_attr a;
    char *text;
    size_t size;
    int fd;

    assert_int_equal(vfs_mkdir(AT, "/m", 0755), 0);
    put_file("/m/below", "below");
    assert_int_equal(fs_type_find("tmpfs", &type), 0);
    assert_int_equal(fs_type_find("nonsense", &type), -ENODEV);
    assert_int_equal(fs_type_new_mount(&g_fs_tmpfs, "src", "size=bad", 0, 0, &m), -EINVAL);
    assert_int_equal(
        fs_type_new_mount(&g_fs_tmpfs, "src", "size=64k,mode=700", 0, MOUNT_NOSUID, &m), 0);
    assert_int_equal(vfs_walk(AT, "/m", 0, &p), 0);
    assert_int_equal(mount_graft(m, &p), 0);
    path_put(&p);
    assert_int_equal(stat_of("/m/below", true, &a), -ENOENT);
    put_file("/m/above", "above");
    assert_int_equal(stat_of("/m/..", true, &a), 0);
    assert_int_equal(vfs_rmdir(AT, "/m"), -EBUSY);
    /* bind of a subdirectory, read-only */
    assert_int_equal(vfs_mkdir(AT, "/m/sub", 0755), 0);
    assert_int_equal(vfs_mkdir(AT, "/bind", 0755), 0);
    put_file("/m/sub/f", "bound");
    assert_int_equal(vfs_walk(AT, "/m/sub", 0, &from), 0);
    assert_int_equal(vfs_walk(AT, "/bind", 0, &p), 0);
    assert_int_equal(vfs_bind(&from, &p, false), 0);
    path_put(&p);
    path_put(&from);
    expect_file("/bind/f", "bound");
    assert_int_equal(vfs_walk(AT, "/bind", 0, &p), 0);
    assert_int_equal(vfs_remount_bind(&p, MOUNT_READONLY), 0);
    path_put(&p);
    assert_int_equal(vfs_mkdir(AT, "/bind/x", 0755), -EROFS);
    assert_int_equal(open_fd("/bind/f", LX_O_WRONLY), -EROFS);
    assert_int_equal(vfs_link(AT, "/m/sub/f", AT, "/bind/g", 0), -EROFS);
    assert_int_equal(vfs_mkdir(AT, "/m/sub/x", 0755), 0);
    assert_int_equal(stat_of("/bind/x", true, &a), 0);
    assert_int_equal(vfs_rename(AT, "/m/above", AT, "/above", 0), -EXDEV);
    /* what /proc/mounts shows */
    mntns_root(g_self.mntns, &p);
    assert_int_equal(mntns_format(g_self.mntns, &p, MOUNTS_MOUNTS, &text, &size), 0);
    assert_non_null(strstr(text, "src /m tmpfs rw,nosuid,size=64k,mode=700 0 0\n"));
    assert_non_null(strstr(text, " /bind tmpfs ro"));
    free(text);
    assert_int_equal(mntns_format(g_self.mntns, &p, MOUNTS_MOUNTINFO, &text, &size), 0);
    assert_non_null(strstr(text, " /sub /bind ro"));
    free(text);
    path_put(&p);
    /* a full file system, then umount */
    fd = open_fd("/m/big", LX_O_CREAT | LX_O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(file_of(fd)->ops->fallocate(file_of(fd), 0, 0, 1 << 20), -ENOSPC);
    assert_int_equal(vfs_walk(AT, "/m", 0, &p), 0);
    assert_int_equal(vfs_umount(&p, 0), -EBUSY);
    path_put(&p);
    fdtable_close(g_self.files, fd);
    assert_int_equal(vfs_walk(AT, "/bind", 0, &p), 0);
    assert_int_equal(vfs_umount(&p, 0), 0);
    path_put(&p);
    assert_int_equal(vfs_walk(AT, "/m", 0, &p), 0);
    assert_int_equal(vfs_umount(&p, 0), 0);
    path_put(&p);
    expect_file("/m/below", "below");
}

static void test_mntns_copy(void **state)
{
    struct mntns *copy, *old = g_self.mntns;
    struct fs_ctx *fs, *old_fs = g_self.fs;
    struct mount *m;
    struct path p;
    struct fs_attr a;

    assert_int_equal(vfs_mkdir(AT, "/c", 0755), 0);
    assert_int_equal(fs_ctx_copy(old_fs, &fs), 0);
    assert_int_equal(mntns_copy(old, curr()->cred->userns, fs, &copy), 0);
    g_self.mntns = copy;
    g_self.fs = fs;
    assert_int_equal(fs_type_new_mount(&g_fs_tmpfs, "x", "", 0, 0, &m), 0);
    assert_int_equal(vfs_walk(AT, "/c", 0, &p), 0);
    assert_int_equal(mount_graft(m, &p), 0);
    path_put(&p);
    put_file("/c/inside", "1");
    g_self.mntns = old;
    g_self.fs = old_fs;
    assert_int_equal(stat_of("/c/inside", true, &a), -ENOENT);
    fs_ctx_put(fs);
    mntns_put(copy);
}

static void test_pivot_root(void **state)
{
    struct mntns *copy, *old = g_self.mntns;
    struct fs_ctx *fs, *old_fs = g_self.fs;
    struct mount *m;
    struct path p, q;
    struct fs_attr a;

    assert_int_equal(vfs_mkdir(AT, "/p", 0755), 0);
    assert_int_equal(fs_ctx_copy(old_fs, &fs), 0);
    assert_int_equal(mntns_copy(old, curr()->cred->userns, fs, &copy), 0);
    g_self.mntns = copy;
    g_self.fs = fs;
    assert_int_equal(fs_type_new_mount(&g_fs_tmpfs, "new", "", 0, 0, &m), 0);
    assert_int_equal(vfs_walk(AT, "/p", 0, &p), 0);
    assert_int_equal(mount_graft(m, &p), 0);
    path_put(&p);
    assert_int_equal(vfs_mkdir(AT, "/p/old", 0755), 0);
    put_file("/p/new", "1");
    assert_int_equal(vfs_walk(AT, "/p", 0, &p), 0);
    assert_int_equal(vfs_walk(AT, "/p/old", 0, &q), 0);
    assert_int_equal(vfs_pivot_root(&p, &q), 0);
    path_put(&p);
    path_put(&q);
    expect_file("/new", "1");
    assert_int_equal(stat_of("/old/p", true, &a), 0);
    assert_int_equal(vfs_walk(AT, "/old", 0, &p), 0);
    assert_int_equal(vfs_umount(&p, LX_MNT_DETACH), 0);
    path_put(&p);
    assert_int_equal(stat_of("/old/p", true, &a), -ENOENT);
    g_self.mntns = old;
    g_self.fs = old_fs;
    fs_ctx_put(fs);
    mntns_put(copy);
}

static void test_data(void **state)
{
    static char big[300000], back[300000];
    struct file *f;
    struct fs_attr a = {.mask = ATTR_SIZE};
    size_t i;
    int fd = open_fd("/data", LX_O_CREAT | LX_O_RDWR);

    assert_true(fd >= 0);
    f = file_of(fd);
    for (i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 31 + i / 4096);
    assert_int_equal(file_write_kernel(f, big, sizeof(big), 1000), sizeof(big));
    assert_int_equal(file_read_kernel(f, back, sizeof(back), 1000), sizeof(back));
    assert_memory_equal(big, back, sizeof(big));
    assert_int_equal(f->inode->attr.size, 301000);
    a.size = 5000;
    assert_int_equal(vfs_setattr(&f->path, &a, f), 0);
    assert_int_equal(f->inode->attr.blocks, 16);
    a.size = 10000;
    assert_int_equal(vfs_setattr(&f->path, &a, f), 0);
    assert_int_equal(file_read_kernel(f, back, sizeof(back), 4000), 6000);
    assert_memory_equal(back, big + 3000, 1000);
    for (i = 1000; i < 6000; i++)
        assert_int_equal(back[i], 0);
    /* a hole of a gigabyte costs nothing */
    a.size = 1ull << 30;
    assert_int_equal(vfs_setattr(&f->path, &a, f), 0);
    assert_int_equal(file_write_kernel(f, "end", 3, (1ll << 30) - 3), 3);
    assert_int_equal(f->inode->attr.blocks, 24);
    assert_int_equal(f->ops->seek(f, 8192, LX_SEEK_DATA), (1ll << 30) - 4096);
    assert_int_equal(f->ops->seek(f, 0, LX_SEEK_HOLE), 8192);
    assert_int_equal(f->ops->seek(f, 1ll << 30, LX_SEEK_DATA), -ENXIO);
    assert_int_equal(
        f->ops->fallocate(f, LX_FALLOC_FL_PUNCH_HOLE | LX_FALLOC_FL_KEEP_SIZE, 100, 8000), 0);
    assert_int_equal(file_read_kernel(f, back, 9000, 0), 9000);
    assert_memory_equal(back + 8100, big + 7100 - 7100 + 0, 0);
    for (i = 100; i < 8100; i++)
        assert_int_equal(back[i], 0);
    fdtable_close(g_self.files, fd);
    assert_int_equal(vfs_unlink(AT, "/data"), 0);
}

static void test_deleted_but_open(void **state)
{
    struct file *f;
    char *text;
    int fd = open_fd("/gone", LX_O_CREAT | LX_O_RDWR);

    f = file_of(fd);
    assert_int_equal(vfs_unlink(AT, "/gone"), 0);
    assert_int_equal(file_write_kernel(f, "still", 5, 0), 5);
    assert_int_equal(f->inode->attr.nlink, 0);
    assert_int_equal(vfs_d_path(&f->path, &text), 0);
    assert_string_equal(text, "/gone (deleted)");
    free(text);
    put_file("/gone", "fresh");
    expect_file("/gone", "fresh");
    fdtable_close(g_self.files, fd);
}

static void test_fdtable(void **state)
{
    struct fdtable *copy;
    struct file *f;
    int i, a, b;

    put_file("/fd", "x");
    a = open_fd("/fd", LX_O_RDONLY);
    b = open_fd("/fd", LX_O_RDONLY);
    assert_int_equal(b, a + 1);
    assert_int_equal(fdtable_close(g_self.files, a), 0);
    assert_int_equal(fdtable_close(g_self.files, a), -EBADF);
    assert_int_equal(open_fd("/fd", LX_O_RDONLY), a);
    f = file_get(file_of(b));
    assert_int_equal(fdtable_install_at_take(g_self.files, f, 500, true), 500);
    assert_int_equal(fdtable_get_cloexec(g_self.files, 500), 1);
    assert_int_equal(fdtable_copy(g_self.files, INT32_MAX, &copy), 0);
    assert_int_equal(fdtable_lookup_get(copy, 500, &f), 0);
    file_put(f);
    fdtable_put(copy);
    fdtable_close_on_exec(g_self.files);
    assert_int_equal(fdtable_get_cloexec(g_self.files, 500), -EBADF);
    for (i = 0; open_fd("/fd", LX_O_RDONLY) >= 0 && i < 1000; i++)
        if (i == 200)
            break;
    assert_int_equal(i, 200);
    fdtable_close_range(g_self.files, 0, ~0u, false);
    assert_int_equal(fdtable_next_get(g_self.files, 0, &f), -1);
}

static void test_record_locks(void **state)
{
    struct fdtable *mine = g_self.files, *other;
    struct lx_flock fl = {.l_type = LX_F_WRLCK, .l_start = 10, .l_len = 10};
    struct file *f;
    int fd = open_fd("/lock", LX_O_CREAT | LX_O_RDWR);

    f = file_of(fd);
    assert_int_equal(flock_fcntl(f, LX_F_SETLK, &fl), 0);
    assert_int_equal(fdtable_copy(mine, INT32_MAX, &other), 0);
    g_self.files = other; /* another process */
    fl = (struct lx_flock){.l_type = LX_F_RDLCK, .l_start = 0, .l_len = 0};
    assert_int_equal(flock_fcntl(f, LX_F_SETLK, &fl), -EAGAIN);
    assert_int_equal(flock_fcntl(f, LX_F_GETLK, &fl), 0);
    assert_int_equal(fl.l_type, LX_F_WRLCK);
    assert_int_equal(fl.l_start, 10);
    assert_int_equal(fl.l_len, 10);
    fl = (struct lx_flock){.l_type = LX_F_WRLCK, .l_start = 0, .l_len = 10};
    assert_int_equal(flock_fcntl(f, LX_F_SETLK, &fl), 0);
    g_self.files = mine;
    /* a hole in the middle splits */
    fl = (struct lx_flock){.l_type = LX_F_UNLCK, .l_start = 14, .l_len = 2};
    assert_int_equal(flock_fcntl(f, LX_F_SETLK, &fl), 0);
    g_self.files = other;
    fl = (struct lx_flock){.l_type = LX_F_WRLCK, .l_start = 14, .l_len = 2};
    assert_int_equal(flock_fcntl(f, LX_F_SETLK, &fl), 0);
    fl = (struct lx_flock){.l_type = LX_F_WRLCK, .l_start = 16, .l_len = 1};
    assert_int_equal(flock_fcntl(f, LX_F_SETLK, &fl), -EAGAIN);
    g_self.files = mine;
    fdtable_put(other); /* its locks go */
    fl = (struct lx_flock){.l_type = LX_F_WRLCK, .l_start = 0, .l_len = 0};
    assert_int_equal(flock_fcntl(f, LX_F_SETLK, &fl), 0);
    fdtable_close(mine, fd);
}

static void test_seals(void **state)
{
    struct file *f;

    assert_int_equal(shmem_file_new("/memfd:x (deleted)", 0, LX_MFD_ALLOW_SEALING, &f), 0);
    assert_int_equal(file_write_kernel(f, "abc", 3, 0), 3);
    assert_int_equal(shmem_add_seals(f, LX_F_SEAL_GROW), 0);
    assert_int_equal(file_write_kernel(f, "abcd", 4, 0), 3);
    assert_int_equal(file_write_kernel(f, "d", 1, 3), -EPERM);
    assert_int_equal(shmem_add_seals(f, LX_F_SEAL_WRITE | LX_F_SEAL_SEAL), 0);
    assert_int_equal(file_write_kernel(f, "x", 1, 0), -EPERM);
    assert_int_equal(shmem_add_seals(f, LX_F_SEAL_SHRINK), -EPERM);
    assert_int_equal(shmem_get_seals(f), LX_F_SEAL_GROW | LX_F_SEAL_WRITE | LX_F_SEAL_SEAL);
    file_put(f);
}

static void test_cache_is_bounded(void **state)
{
    struct fs_attr a;
    char name[32];
    int i;

    assert_int_equal(vfs_mkdir(AT, "/many", 0755), 0);
    for (i = 0; i < 40000; i++) {
        snprintf(name, sizeof(name), "/many/absent%d", i);
        assert_int_equal(stat_of(name, true, &a), -ENOENT);
    }
    for (i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "/many/f%d", i);
        put_file(name, "");
    }
    for (i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "/many/f%d", i);
        assert_int_equal(stat_of(name, true, &a), 0);
        assert_int_equal(vfs_unlink(AT, name), 0);
    }
    assert_int_equal(vfs_rmdir(AT, "/many"), 0);
}

static void test_deep_tree(void **state)
{
    const struct fs_type *type = &g_fs_tmpfs;
    struct path old, p, cwd;
    struct mount *m;
    int i;

    assert_int_equal(vfs_mkdir(AT, "/deep", 0755), 0);
    assert_int_equal(fs_type_new_mount(type, "deep", "nr_inodes=0", 0, 0, &m), 0);
    assert_int_equal(vfs_walk(AT, "/deep", 0, &p), 0);
    assert_int_equal(mount_graft(m, &p), 0);
    path_put(&p);
    fs_ctx_cwd(g_self.fs, &old);
    assert_int_equal(vfs_walk(AT, "/deep", 0, &cwd), 0);
    for (i = 0; i < 30000; i++) {
        fs_ctx_set_cwd(g_self.fs, &cwd);
        path_put(&cwd);
        assert_int_equal(vfs_mkdir(AT, "d", 0755), 0);
        assert_int_equal(vfs_walk(AT, "d", 0, &cwd), 0);
    }
    path_put(&cwd);
    fs_ctx_set_cwd(g_self.fs, &old);
    path_put(&old);
    assert_int_equal(vfs_walk(AT, "/deep", 0, &p), 0);
    assert_int_equal(vfs_umount(&p, 0), 0);
    path_put(&p);
}

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Prints; asserts nothing about time. */
static void test_speed(void **state)
{
    const int rounds = 50000;
    static char buf[4096];
    struct fs_attr a;
    struct file *f;
    double t;
    int i, fd;

    assert_int_equal(vfs_mkdir(AT, "/x", 0755), 0);
    assert_int_equal(vfs_mkdir(AT, "/x/y", 0755), 0);
    assert_int_equal(vfs_mkdir(AT, "/x/y/z", 0755), 0);
    put_file("/x/y/z/f", "");
    t = now_ns();
    for (i = 0; i < rounds; i++)
        assert_int_equal(stat_of("/x/y/z/f", true, &a), 0);
    printf("stat of four components: %.0f ns\n", (now_ns() - t) / rounds);
    t = now_ns();
    for (i = 0; i < rounds; i++)
        fdtable_close(g_self.files, open_fd("/x/y/z/f", LX_O_RDONLY));
    printf("open and close: %.0f ns\n", (now_ns() - t) / rounds);
    t = now_ns();
    for (i = 0; i < rounds; i++) {
        fdtable_close(g_self.files, open_fd("/x/y/z/g", LX_O_CREAT | LX_O_WRONLY));
        assert_int_equal(vfs_unlink(AT, "/x/y/z/g"), 0);
    }
    printf("create, close, unlink: %.0f ns\n", (now_ns() - t) / rounds);
    t = now_ns();
    for (i = 0; i < rounds; i++)
        assert_int_equal(
            vfs_rename(AT, i % 2 ? "/x/y/z/g" : "/x/y/z/f", AT, i % 2 ? "/x/y/z/f" : "/x/y/z/g", 0),
            0);
    printf("rename: %.0f ns\n", (now_ns() - t) / rounds);
    fd = open_fd("/x/y/z/f", LX_O_RDWR);
    f = file_of(fd);
    t = now_ns();
    for (i = 0; i < rounds; i++)
        assert_int_equal(file_write_kernel(f, buf, sizeof(buf), 0), sizeof(buf));
    printf("write of 4 KiB: %.0f ns\n", (now_ns() - t) / rounds);
    t = now_ns();
    for (i = 0; i < rounds; i++)
        assert_int_equal(file_read_kernel(f, buf, sizeof(buf), 0), sizeof(buf));
    printf("read of 4 KiB: %.0f ns\n", (now_ns() - t) / rounds);
    fdtable_close(g_self.files, fd);
}

/* ---- random names against a model ------------------------------------------------------------ */

#define SLOTS 12

static void test_random_names(void **state)
{
    int content[SLOTS] = {0}; /* 0: absent, else a tag that the file's size shows */
    unsigned seed = 12345;
    int i, tag = 1;

    assert_int_equal(vfs_mkdir(AT, "/rnd", 0755), 0);
    assert_int_equal(vfs_mkdir(AT, "/rnd/sub", 0755), 0);
    for (i = 0; i < 20000; i++) {
        int x = rand_r(&seed) % SLOTS, y = rand_r(&seed) % SLOTS, ret;
        char a[32], b[32];
        struct fs_attr at;

        snprintf(a, sizeof(a), x % 2 ? "/rnd/sub/%d" : "/rnd/%d", x);
        snprintf(b, sizeof(b), y % 2 ? "/rnd/sub/%d" : "/rnd/%d", y);
        switch (rand_r(&seed) % 4) {
        case 0:
            ret = open_fd(a, LX_O_CREAT | LX_O_EXCL | LX_O_WRONLY);
            if (content[x]) {
                assert_int_equal(ret, -EEXIST);
                break;
            }
            assert_true(ret >= 0);
            content[x] = tag++;
            at = (struct fs_attr){.mask = ATTR_SIZE, .size = (uint64_t)content[x]};
            assert_int_equal(vfs_setattr(&file_of(ret)->path, &at, file_of(ret)), 0);
            fdtable_close(g_self.files, ret);
            break;
        case 1:
            assert_int_equal(vfs_unlink(AT, a), content[x] ? 0 : -ENOENT);
            content[x] = 0;
            break;
        case 2:
            ret = vfs_rename(AT, a, AT, b, 0);
            if (!content[x]) {
                assert_int_equal(ret, -ENOENT);
                break;
            }
            assert_int_equal(ret, 0);
            if (x != y) {
                content[y] = content[x];
                content[x] = 0;
            }
            break;
        default:
            ret = stat_of(a, true, &at);
            assert_int_equal(ret, content[x] ? 0 : -ENOENT);
            if (ret == 0)
                assert_int_equal(at.size, content[x]);
            break;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),      cmocka_unit_test(test_symlinks),
        cmocka_unit_test(test_rename),     cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_mntns_copy), cmocka_unit_test(test_pivot_root),
        cmocka_unit_test(test_data),       cmocka_unit_test(test_deleted_but_open),
        cmocka_unit_test(test_fdtable),    cmocka_unit_test(test_record_locks),
        cmocka_unit_test(test_seals),      cmocka_unit_test(test_cache_is_bounded),
        cmocka_unit_test(test_deep_tree),  cmocka_unit_test(test_random_names),
        cmocka_unit_test(test_speed),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
