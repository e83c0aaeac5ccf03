/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unit tests of the gofer file system and of overlays on it: a service-like `curr`, the vfs, a host
 * directory, and a gofer serving it from a forked process over a socket pair.
 */
#pragma once

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gofer/gofer.h"
#include "platform/base/log.h"
#include "sentry/abi/fcntl.h"
#include "sentry/core/curr.h"
#include "sentry/fs/gofer/gofer_fs.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/fs/vfs.h"
#include "sentry/mm/hostmem_internal.h"
#include "sentry/mm/memfile.h"

struct fixture {
    char dir[64]; /* the host tree */
    pid_t gofer;
    struct super *super;
};

const struct fs_type *const g_fs_types[] = {NULL}; /* boot's table: nothing to mount here */

static struct curr g_self;

static uint64_t fixture_rlimit(int resource)
{
    (void)resource;
    return LX_RLIM_INFINITY;
}

static void fixture_raise(int signo)
{
    (void)signo;
}

static const struct curr_ops g_fixture_ops = {
    .rlimit = fixture_rlimit,
    .raise_thread = fixture_raise,
    .raise_process = fixture_raise,
};

static inline void fixture_init(void)
{
    sleeper_init(&g_self.sleeper);
    g_self.cred = cred_kernel();
    g_curr = &g_self;
    g_curr_ops = &g_fixture_ops;
    log_init(-1, LOG_FORMAT_TEXT, getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR, "test");
    hostmem_subsystem_init();
    if (memfile_init(0) < 0 || vfs_init() < 0)
        abort();
}

static inline void host_write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[512];
    FILE *out;

    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static inline void host_mkdir(const struct fixture *f, const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static inline void host_symlink(const struct fixture *f, const char *target, const char *name)
{
    char path[512];

    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    assert_int_equal(symlink(target, path), 0);
}

static inline void fixture_tree(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    strcpy(f->dir, "/tmp/gofer-test-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    chmod(f->dir, 0755);
}

/* Starts a gofer for f->dir; the sentry's end of the socket. */
static inline int fixture_serve(struct fixture *f, bool readonly, enum gofer_io io)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    f->gofer = fork();
    assert_true(f->gofer >= 0);
    if (f->gofer == 0) {
        struct gofer_tree tree = {.host_path = f->dir, .conn_fd = pair[1], .readonly = readonly};
        struct gofer_config config = {.trees = &tree, .count = 1, .io = io, .unjailed = true};

        close(pair[0]);
        _exit(gofer_main(&config));
    }
    close(pair[1]);
    return pair[0];
}

static inline int fixture_wait_gofer(struct fixture *f)
{
    int status = 0;

    assert_int_equal(waitpid(f->gofer, &status, 0), f->gofer);
    return status;
}

static inline void fixture_remove_tree(struct fixture *f)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf %s", f->dir);
    if (system(command) != 0)
        abort();
}

/* Makes s the root of the calling "task". Consumes the caller's reference of s. */
static inline void fixture_chroot(struct super *s)
{
    struct mntns *ns;
    struct path root;

    assert_int_equal(mntns_new(s, 0, &ns), 0);
    super_put(s);
    mntns_root(ns, &root);
    assert_int_equal(fs_ctx_new(&root, &root, 022, &g_self.fs), 0);
    path_put(&root);
    g_self.mntns = ns;
}

static inline void fixture_unroot(void)
{
    fs_ctx_put(g_self.fs);
    g_self.fs = NULL;
    mntns_put(g_self.mntns);
    g_self.mntns = NULL;
}

static inline struct file *open_file(const char *name, uint32_t flags, uint32_t mode)
{
    struct open_how how = {.flags = flags, .mode = mode};
    struct file *f = NULL;
    int ret = vfs_open(LX_AT_FDCWD, name, &how, &f);

    if (ret < 0)
        print_message("open %s: %d\n", name, ret);
    return ret < 0 ? NULL : f;
}

static inline int open_error(const char *name, uint32_t flags)
{
    struct open_how how = {.flags = flags};
    struct file *f;
    int ret = vfs_open(LX_AT_FDCWD, name, &how, &f);

    if (ret == 0)
        file_put(f);
    return ret;
}

/* The whole file as text in a static buffer. */
static inline const char *read_text(const char *name)
{
    static char buf[65536];
    struct file *f = open_file(name, LX_O_RDONLY, 0);
    ssize_t n;

    assert_non_null(f);
    n = file_read_kernel(f, buf, sizeof(buf) - 1, 0);
    assert_true(n >= 0);
    buf[n] = '\0';
    file_put(f);
    return buf;
}

static inline void write_text(const char *name, uint32_t flags, const char *text)
{
    struct file *f = open_file(name, LX_O_WRONLY | flags, 0644);

    assert_non_null(f);
    assert_int_equal(file_write_kernel(f, text, strlen(text), 0), (ssize_t)strlen(text));
    file_put(f);
}

static inline int stat_path(const char *name, uint32_t walk, struct fs_attr *out)
{
    struct path p;
    int ret = vfs_walk(LX_AT_FDCWD, name, walk, &p);

    if (ret < 0)
        return ret;
    ret = vfs_getattr(&p, out);
    path_put(&p);
    return ret;
}

/* Names of a directory, sorted, separated by blanks, without "." and "..". */
struct name_list {
    struct dir_emit emit;
    char *names[20000];
    uint64_t inos[20000];
    size_t count;
};

static inline bool name_list_add(struct dir_emit *d, const char *name, size_t len, uint64_t ino,
                                 uint8_t type, lx_loff_t next)
{
    struct name_list *l = (struct name_list *)(void *)d;

    (void)type;
    (void)next;
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return true;
    if (l->count == sizeof(l->names) / sizeof(l->names[0]))
        return false;
    l->inos[l->count] = ino;
    l->names[l->count++] = strndup(name, len);
    return true;
}

static inline int name_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline size_t list_names(const char *dir, char *out, size_t size)
{
    static struct name_list l;
    struct file *f = open_file(dir, LX_O_RDONLY | LX_O_DIRECTORY, 0);
    size_t used = 0;

    l.emit.entry = name_list_add;
    l.count = 0;
    assert_non_null(f);
    mutex_lock(&f->inode->lock);
    assert_int_equal(f->ops->readdir(f, &l.emit), 0);
    mutex_unlock(&f->inode->lock);
    file_put(f);
    qsort(l.names, l.count, sizeof(l.names[0]), name_compare);
    if (size > 0)
        out[0] = '\0';
    for (size_t i = 0; i < l.count; i++) {
        if (size > 0)
            used += (size_t)snprintf(out + used, size - used, "%s%s", i ? " " : "", l.names[i]);
        free(l.names[i]);
    }
    return l.count;
}
