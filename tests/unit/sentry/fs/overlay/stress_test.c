/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many threads walk, read, list, change and rename in one overlay over one gofer session, with few
 * fids and few kept descriptors, so that evictions, re-walks, copy-ups and hand-over of replies
 * meet. Meant for TSan; errors that a race may cause (ENOENT, ESTALE, EEXIST, ENOTEMPTY) are fine.
 */
#include "tests/support/gofer_fixture.h"

#include <errno.h>
#include <pthread.h>

#include "sentry/fs/gofer/gofer_internal.h"
#include "sentry/fs/overlay/overlay.h"

#define THREADS 8
#define DIRS    24
#define ROUNDS  400

static struct fixture g_f;
static atomic_int g_wrong;

static bool fine(int ret)
{
    return ret >= 0 || ret == -ENOENT || ret == -ESTALE || ret == -EEXIST || ret == -ENOTEMPTY ||
           ret == -EISDIR || ret == -ENOTDIR || ret == -EINVAL || ret == -EBUSY;
}

static bool count_entry(struct dir_emit *d, const char *name, size_t len, uint64_t ino,
                        uint8_t type, lx_loff_t next)
{
    (void)d;
    (void)name;
    (void)len;
    (void)ino;
    (void)type;
    (void)next;
    return true;
}

static int do_open(const char *name, uint32_t flags)
{
    struct open_how how = {.flags = flags, .mode = 0644};
    struct dir_emit emit = {.entry = count_entry};
    struct file *f;
    char buf[64] = "written by a thread";
    int ret = vfs_open(LX_AT_FDCWD, name, &how, &f);

    if (ret < 0)
        return ret;
    if (flags & LX_O_DIRECTORY) {
        mutex_lock(&f->inode->lock);
        ret = f->ops->readdir(f, &emit);
        mutex_unlock(&f->inode->lock);
    } else if ((flags & LX_O_ACCMODE) == LX_O_RDONLY) {
        ret = (int)file_read_kernel(f, buf, sizeof(buf), 0);
    } else {
        ret = (int)file_write_kernel(f, buf, sizeof(buf), 0);
    }
    file_put(f);
    return ret;
}

static int do_step(unsigned r)
{
    char name[64], other[64];
    struct fs_attr attr;
    unsigned dir = (r >> 8) % DIRS, kind = r % 12;

    snprintf(name, sizeof(name), "/d%u/f%u", dir, (r >> 16) % 4);
    snprintf(other, sizeof(other), "/d%u/f%u", (r >> 20) % DIRS, (r >> 26) % 4);
    switch (kind) {
    case 0:
    case 1:
    case 2:
        return do_open(name, LX_O_RDONLY);
    case 3:
        return stat_path(name, 0, &attr);
    case 4:
        name[strrchr(name, '/') - name] = '\0';
        return do_open(name, LX_O_RDONLY | LX_O_DIRECTORY);
    case 5:
        return do_open(name, LX_O_WRONLY);
    case 6:
        return vfs_unlink(LX_AT_FDCWD, name);
    case 7:
        return do_open(name, LX_O_RDWR | LX_O_CREAT);
    case 8:
        return vfs_rename(LX_AT_FDCWD, name, LX_AT_FDCWD, other, 0);
    case 9:
        snprintf(other, sizeof(other), "/d%u/sub", dir);
        return (r & 1024 ? vfs_mkdir(LX_AT_FDCWD, other, 0755) : vfs_rmdir(LX_AT_FDCWD, other));
    case 10:
        snprintf(name, sizeof(name), "/d%u/sub", dir);
        snprintf(other, sizeof(other), "/d%u/sub", (r >> 20) % DIRS);
        return vfs_rename(LX_AT_FDCWD, name, LX_AT_FDCWD, other, 0);
    default:
        return vfs_link(LX_AT_FDCWD, name, LX_AT_FDCWD, other, 0);
    }
}

static void *worker(void *arg)
{
    static _Thread_local struct curr self;
    unsigned seed = (unsigned)(uintptr_t)arg;

    self = g_self;
    sleeper_init(&self.sleeper);
    g_curr = &self;
    for (int i = 0; i < ROUNDS; i++) {
        unsigned r = (unsigned)rand_r(&seed) ^ (unsigned)rand_r(&seed) << 15;
        int ret = do_step(r);

        if (!fine(ret)) {
            print_message("step %u: %d\n", r % 12, ret);
            atomic_fetch_add(&g_wrong, 1);
        }
    }
    return NULL;
}

static void test_many_threads(void **state)
{
    struct tmpfs_options opt = {.mode = 0755, .super_flags = SUPER_LOWER};
    struct super *upper, *lower, *root;
    pthread_t threads[THREADS];
    char name[64];
    int fd, status;

    (void)state;
    fixture_tree(&g_f);
    for (int d = 0; d < DIRS; d++) {
        snprintf(name, sizeof(name), "d%d", d);
        host_mkdir(&g_f, name);
        for (int i = 0; i < 3; i++) {
            snprintf(name, sizeof(name), "d%d/f%d", d, i);
            host_write_file(&g_f, name, "lower");
        }
        snprintf(name, sizeof(name), "d%d/sub", d);
        host_mkdir(&g_f, name);
    }
    fd = fixture_serve(&g_f, /*readonly=*/true, GOFER_IO_AUTO);
    assert_int_equal(gofer_mount(fd, GOFER_EXCLUSIVE | GOFER_READONLY | GOFER_LOWER, &lower), 0);
    gofer_super(lower)->fid_limit = 16;
    gofer_super(lower)->data_limit = 8;
    assert_int_equal(tmpfs_create(&opt, &upper), 0);
    assert_int_equal(overlay_mount(upper, &lower, 1, 0, &root), 0);
    fixture_chroot(root);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, worker, (void *)(i * 7919 + 1)), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(g_wrong, 0);
    fixture_unroot();
    status = fixture_wait_gofer(&g_f);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    fixture_remove_tree(&g_f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_many_threads)};

    fixture_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
