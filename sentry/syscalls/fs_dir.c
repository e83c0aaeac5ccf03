/* SPDX-License-Identifier: Apache-2.0 */
/* Names and directories: mkdir, mknod, link, symlink, rename, unlink, chdir, getcwd, getdents. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/fs_path.h"

long sys_mkdirat(struct task *t, int dfd, uaddr_t pathname, uint32_t mode)
{
    struct path_arg name;
    long ret = path_arg_init(&name, pathname, /*empty_ok=*/false);

    if (ret < 0)
        return ret;
    ret = vfs_mkdir(dfd, name.s, mode);
    path_arg_free(&name);
    return ret;
}

long sys_mkdir(struct task *t, uaddr_t pathname, uint32_t mode)
{
    return sys_mkdirat(t, LX_AT_FDCWD, pathname, mode);
}

long sys_mknodat(struct task *t, int dfd, uaddr_t filename, uint32_t mode, uint32_t dev)
{
    struct path_arg name;
    long ret = path_arg_init(&name, filename, /*empty_ok=*/false);

    if (ret < 0)
        return ret;
    ret = vfs_mknod(dfd, name.s, mode & 0xffffu, lx_dev_decode(dev));
    path_arg_free(&name);
    return ret;
}

long sys_mknod(struct task *t, uaddr_t filename, uint32_t mode, uint32_t dev)
{
    return sys_mknodat(t, LX_AT_FDCWD, filename, mode, dev);
}

/* Two names: the second's errors come after the first's. */
struct two_names {
    struct path_arg a, b;
};

static int two_names_init(struct two_names *n, uaddr_t a, bool a_empty_ok, uaddr_t b)
{
    int ret = path_arg_init(&n->a, a, a_empty_ok);

    if (ret < 0)
        return ret;
    ret = path_arg_init(&n->b, b, /*empty_ok=*/false);
    if (ret < 0)
        path_arg_free(&n->a);
    return ret;
}

static void two_names_free(struct two_names *n)
{
    path_arg_free(&n->a);
    path_arg_free(&n->b);
}

long sys_symlinkat(struct task *t, uaddr_t target, int newdirfd, uaddr_t linkpath)
{
    struct two_names n;
    long ret = two_names_init(&n, target, /*a_empty_ok=*/false, linkpath);

    if (ret < 0)
        return ret;
    ret = vfs_symlink(n.a.s, newdirfd, n.b.s);
    two_names_free(&n);
    return ret;
}

long sys_symlink(struct task *t, uaddr_t target, uaddr_t linkpath)
{
    return sys_symlinkat(t, target, LX_AT_FDCWD, linkpath);
}

long sys_linkat(struct task *t, int olddirfd, uaddr_t oldpath, int newdirfd, uaddr_t newpath,
                int flags)
{
    struct two_names n;
    long ret;

    if (flags & ~(LX_AT_SYMLINK_FOLLOW | LX_AT_EMPTY_PATH))
        return -EINVAL;
    ret = two_names_init(&n, oldpath, flags & LX_AT_EMPTY_PATH, newpath);
    if (ret < 0)
        return ret;
    ret = vfs_link(olddirfd, n.a.s, newdirfd, n.b.s, (uint32_t)flags);
    two_names_free(&n);
    return ret;
}

long sys_link(struct task *t, uaddr_t oldpath, uaddr_t newpath)
{
    return sys_linkat(t, LX_AT_FDCWD, oldpath, LX_AT_FDCWD, newpath, 0);
}

long sys_renameat2(struct task *t, int olddirfd, uaddr_t oldpath, int newdirfd, uaddr_t newpath,
                   uint32_t flags)
{
    struct two_names n;
    long ret;

    ret = two_names_init(&n, oldpath, /*a_empty_ok=*/false, newpath);
    if (ret < 0)
        return ret;
    ret = vfs_rename(olddirfd, n.a.s, newdirfd, n.b.s, flags);
    two_names_free(&n);
    return ret;
}

long sys_renameat(struct task *t, int olddirfd, uaddr_t oldpath, int newdirfd, uaddr_t newpath)
{
    return sys_renameat2(t, olddirfd, oldpath, newdirfd, newpath, 0);
}

long sys_rename(struct task *t, uaddr_t oldpath, uaddr_t newpath)
{
    return sys_renameat2(t, LX_AT_FDCWD, oldpath, LX_AT_FDCWD, newpath, 0);
}

long sys_unlinkat(struct task *t, int dfd, uaddr_t pathname, int flag)
{
    struct path_arg name;
    long ret;

    if (flag & ~LX_AT_REMOVEDIR)
        return -EINVAL;
    ret = path_arg_init(&name, pathname, /*empty_ok=*/false);
    if (ret < 0)
        return ret;
    ret = (flag & LX_AT_REMOVEDIR) ? vfs_rmdir(dfd, name.s) : vfs_unlink(dfd, name.s);
    path_arg_free(&name);
    return ret;
}

long sys_unlink(struct task *t, uaddr_t pathname)
{
    return sys_unlinkat(t, LX_AT_FDCWD, pathname, 0);
}

long sys_rmdir(struct task *t, uaddr_t pathname)
{
    return sys_unlinkat(t, LX_AT_FDCWD, pathname, LX_AT_REMOVEDIR);
}

/* ---- working directory and root -------------------------------------------------------------- */

static int dir_from_user(uaddr_t pathname, struct path *out)
{
    struct path_arg name;
    int ret = path_arg_init(&name, pathname, /*empty_ok=*/false);

    if (ret < 0)
        return ret;
    ret = vfs_walk(LX_AT_FDCWD, name.s, WALK_FOLLOW | WALK_DIRECTORY, out);
    path_arg_free(&name);
    if (ret == 0) {
        ret = inode_permission(out->dentry->inode, MAY_EXEC);
        if (ret < 0)
            path_put(out);
    }
    return ret;
}

long sys_chdir(struct task *t, uaddr_t pathname)
{
    struct path p;
    long ret = dir_from_user(pathname, &p);

    if (ret < 0)
        return ret;
    fs_ctx_set_cwd(t->curr.fs, &p);
    path_put(&p);
    return 0;
}

long sys_fchdir(struct task *t, int fd)
{
    struct file *f;
    long ret = fdtable_lookup_any_get(t->curr.files, fd, &f);

    if (ret < 0)
        return ret;
    ret = inode_type(f->inode) == LX_S_IFDIR ? 0 : -ENOTDIR;
    if (ret == 0)
        ret = inode_permission(f->inode, MAY_EXEC);
    if (ret == 0)
        fs_ctx_set_cwd(t->curr.fs, &f->path);
    file_put(f);
    return ret;
}

long sys_chroot(struct task *t, uaddr_t pathname)
{
    struct path p;
    long ret = dir_from_user(pathname, &p);

    if (ret < 0)
        return ret;
    if (cred_ns_capable(t->curr.cred, t->curr.cred->userns, LX_CAP_SYS_CHROOT))
        fs_ctx_set_root(t->curr.fs, &p);
    else
        ret = -EPERM;
    path_put(&p);
    return ret;
}

long sys_getcwd(struct task *t, uaddr_t buf, size_t size)
{
    static const char unreachable[] = "(unreachable)";
    struct path cwd, root;
    char *text, *full;
    bool reached;
    size_t len;
    long ret;

    fs_ctx_cwd(t->curr.fs, &cwd);
    fs_ctx_root(t->curr.fs, &root);
    ret = vfs_path_deleted(&cwd) ? -ENOENT : vfs_d_path_from(&cwd, &root, &text, &reached);
    path_put(&cwd);
    path_put(&root);
    if (ret < 0)
        return ret;
    full = text;
    len = strlen(text) + 1;
    if (!reached) {
        full = malloc(len + sizeof(unreachable));
        if (!full) {
            free(text);
            return -ENOMEM;
        }
        memcpy(full, unreachable, sizeof(unreachable) - 1);
        memcpy(full + sizeof(unreachable) - 1, text, len);
        len += sizeof(unreachable) - 1;
        free(text);
    }
    if (len > size)
        ret = -ERANGE;
    else
        ret = copy_out(buf, full, len);
    free(full);
    return ret < 0 ? ret : (long)len;
}

long sys_umask(struct task *t, int mask)
{
    return fs_ctx_set_umask(t->curr.fs, (uint32_t)mask & 0777u);
}

/* ---- getdents -------------------------------------------------------------------------------- */

#define GETDENTS_MAX 65536u

/* Entries gather in sentry memory and go out with one copy. */
struct getdents {
    struct dir_emit emit;
    uint8_t *buf;
    size_t size, used;
    bool old_layout, too_small;
};

static bool add_entry(struct dir_emit *d, const char *name, size_t len, uint64_t ino, uint8_t type,
                      lx_loff_t next_pos)
{
    struct getdents *g = container_of(d, struct getdents, emit);
    /* Both layouts: ino, off, reclen, then type and name, or name and type at the very end. */
    size_t head = g->old_layout ? 18 : 19;
    size_t need = align_up(head + len + (g->old_layout ? 2 : 1), 8);
    uint16_t reclen = (uint16_t)need;
    uint8_t *p = g->buf + g->used;

    if (need > g->size - g->used) {
        g->too_small = g->used == 0;
        return false;
    }
    memset(p, 0, need);
    memcpy(p, &ino, 8);
    memcpy(p + 8, &next_pos, 8);
    memcpy(p + 16, &reclen, 2);
    memcpy(p + head, name, len);
    p[g->old_layout ? need - 1 : 18] = type;
    g->used += need;
    return true;
}

static long getdents(int fd, uaddr_t dirent, uint32_t count, bool old_layout)
{
    struct getdents g = {.emit.entry = add_entry, .old_layout = old_layout};
    struct fd_borrow b;
    long ret = fdtable_borrow(fd, &b);

    if (ret < 0)
        return ret;
    g.size = count < GETDENTS_MAX ? count : GETDENTS_MAX;
    g.buf = malloc(g.size ? g.size : 1);
    ret = g.buf ? vfs_readdir(b.file, &g.emit) : -ENOMEM;
    if (g.used > 0) {
        ret = copy_out(dirent, g.buf, g.used);
        if (ret == 0)
            ret = (long)g.used;
    } else if (ret == 0 && g.too_small) {
        ret = -EINVAL;
    }
    free(g.buf);
    fd_borrow_put(&b);
    return ret;
}

long sys_getdents64(struct task *t, int fd, uaddr_t dirent, uint32_t count)
{
    return getdents(fd, dirent, count, /*old_layout=*/false);
}

long sys_getdents(struct task *t, int fd, uaddr_t dirent, uint32_t count)
{
    return getdents(fd, dirent, count, /*old_layout=*/true);
}
