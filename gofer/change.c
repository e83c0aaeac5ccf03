/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that change the tree: CREATE, MKDIR, MKNOD, SYMLINK, LINK, UNLINK, RENAME. The
 * dispatcher already refused them on a read-only tree. The umask is 0, owners are set when the
 * gofer may.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostfs.h"
#include "platform/host/file.h"

/* The common head of the creating requests. */
struct creation {
    struct node *dir;
    uint32_t fid, open, mode, uid, gid;
    uint64_t rdev;
    char name[GP_NAME_MAX + 1];
};

static bool copy_name(struct rbuf *in, char *out)
{
    struct gp_str s = gp_get_name(in);

    memcpy(out, s.data, s.len);
    out[s.len] = '\0';
    return !in->bad;
}

/* Owner and mode as asked where the host's rules gave others. */
static int created_adjust(struct server *sv, const struct creation *c, const struct node *n,
                          const struct statx *st)
{
    if (st->stx_uid != c->uid || st->stx_gid != c->gid) {
        int ret = host_fchownat(n->fd, "", c->uid, c->gid, AT_EMPTY_PATH);

        if (ret < 0)
            return ret;
    }
    if (!S_ISLNK(n->mode) && ((st->stx_mode ^ c->mode) & 07777u)) {
        char name[16];

        snprintf(name, sizeof(name), "%d", n->fd);
        if (sv->proc_fd >= 0)
            return host_fchmodat(sv->proc_fd, name, c->mode & 07777u);
    }
    return 0;
}

/* The object behind fd (owned) was just made as c->name, or has no name if that is empty: adjusts
 * it, binds it, answers. */
static int created_take(struct op *op, struct wbuf *out, const struct creation *c, int fd,
                        uint32_t type)
{
    struct statx st;
    struct node *n;
    int ret = hostfs_stat_fd(fd, &st);

    if (ret == 0 && (st.stx_mode & S_IFMT) != type)
        ret = -ESTALE;
    n = ret == 0 ? node_new(fd, &st) : NULL;
    if (!n) {
        host_close(fd);
        return ret < 0 ? ret : -ENOMEM;
    }
    ret = created_adjust(op->session->server, c, n, &st);
    if (ret == 0)
        ret = reply_attr(out, n);
    if (ret < 0) {
        if (c->name[0])
            (void)host_unlinkat(c->dir->fd, c->name,
                                type == S_IFDIR ? AT_REMOVEDIR : 0); /* ret tells */
        node_put(n);
        return ret;
    }
    fid_bind_take(op->session, c->fid, n);
    return 0;
}

static int created_by_name(struct op *op, struct wbuf *out, const struct creation *c, uint32_t type)
{
    int fd = hostfs_open_node(c->dir->fd, c->name, /*cached=*/false);

    return fd < 0 ? fd : created_take(op, out, c, fd, type);
}

/* fd (or -errno): a regular file that was just made. It is donated, too. */
static int created_file(struct op *op, struct wbuf *out, const struct creation *c, int fd)
{
    int ret = fd < 0 ? fd : created_take(op, out, c, fd, S_IFREG);

    if (ret == 0)
        op_donate_borrowed(op, fd);
    return ret;
}

/* A host file system that is not served is only a place: nothing in it can be changed. */
static int dir_changeable(const struct node *dir)
{
    return dir->foreign ? -EACCES : 0;
}

static bool creation_head(struct op *op, struct rbuf *in, struct creation *c)
{
    c->dir = fid_lookup(op->session, rbuf_u32(in));
    c->fid = rbuf_u32(in);
    return c->dir && fid_bindable(op->session, c->fid);
}

int handle_create(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct creation c;
    bool fine = creation_head(op, in, &c);

    c.open = rbuf_u32(in);
    c.mode = rbuf_u32(in);
    c.uid = rbuf_u32(in);
    c.gid = rbuf_u32(in);
    if (!copy_name(in, c.name) || !rbuf_ok_at_end(in) || !fine || (c.mode & ~07777u) ||
        (c.open & ~(GP_OPEN_READ | GP_OPEN_WRITE)))
        return OP_VIOLATION;
    if (dir_changeable(c.dir) < 0)
        return -EACCES;
    return created_file(op, out, &c,
                        hostfs_open_beneath(c.dir->fd, c.name, O_CREAT | O_EXCL | O_RDWR, c.mode));
}

int handle_tmpfile(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct creation c = {0};
    bool fine = creation_head(op, in, &c);

    c.mode = rbuf_u32(in);
    c.uid = rbuf_u32(in);
    c.gid = rbuf_u32(in);
    if (!rbuf_ok_at_end(in) || !fine || (c.mode & ~07777u))
        return OP_VIOLATION;
    if (dir_changeable(c.dir) < 0)
        return -EACCES;
    return created_file(op, out, &c,
                        hostfs_open_beneath(c.dir->fd, ".", O_TMPFILE | O_RDWR, c.mode));
}

int handle_mkdir(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct creation c;
    bool fine = creation_head(op, in, &c);
    int ret;

    c.mode = rbuf_u32(in);
    c.uid = rbuf_u32(in);
    c.gid = rbuf_u32(in);
    if (!copy_name(in, c.name) || !rbuf_ok_at_end(in) || !fine || (c.mode & ~07777u))
        return OP_VIOLATION;
    if (dir_changeable(c.dir) < 0)
        return -EACCES;
    ret = host_mkdirat(c.dir->fd, c.name, c.mode);
    return ret < 0 ? ret : created_by_name(op, out, &c, S_IFDIR);
}

int handle_mknod(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct creation c;
    bool fine = creation_head(op, in, &c);
    uint32_t type;
    int ret;

    c.mode = rbuf_u32(in);
    c.uid = rbuf_u32(in);
    c.gid = rbuf_u32(in);
    c.rdev = rbuf_u64(in);
    type = c.mode & S_IFMT;
    if (!copy_name(in, c.name) || !rbuf_ok_at_end(in) || !fine || (c.mode & ~0177777u))
        return OP_VIOLATION;
    /* Host devices are never made for a guest; 0/0 is overlayfs's whiteout and harmless. */
    if (type == S_IFBLK || (type == S_IFCHR && c.rdev != 0))
        return -EPERM;
    if (type != S_IFCHR && type != S_IFIFO && type != S_IFSOCK && type != S_IFREG)
        return OP_VIOLATION;
    if (dir_changeable(c.dir) < 0)
        return -EACCES;
    ret = host_mknodat(c.dir->fd, c.name, c.mode, 0);
    return ret < 0 ? ret : created_by_name(op, out, &c, type);
}

int handle_symlink(struct op *op, struct rbuf *in, struct wbuf *out)
{
    char target[GP_TARGET_MAX + 1];
    struct creation c;
    bool fine = creation_head(op, in, &c);
    struct gp_str s;
    int ret;

    c.mode = 0;
    c.uid = rbuf_u32(in);
    c.gid = rbuf_u32(in);
    fine = copy_name(in, c.name) && fine;
    s = gp_get_string(in, GP_TARGET_MAX);
    if (!rbuf_ok_at_end(in) || !fine || s.len == 0)
        return OP_VIOLATION;
    memcpy(target, s.data, s.len);
    target[s.len] = '\0';
    if (dir_changeable(c.dir) < 0)
        return -EACCES;
    ret = host_symlinkat(target, c.dir->fd, c.name);
    return ret < 0 ? ret : created_by_name(op, out, &c, S_IFLNK);
}

int handle_link(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct node *dir = fid_lookup(op->session, rbuf_u32(in));
    struct node *n = fid_lookup(op->session, rbuf_u32(in));
    int proc_fd = op->session->server->proc_fd;
    char name[GP_NAME_MAX + 1], link[16];
    int ret;

    if (!copy_name(in, name) || !rbuf_ok_at_end(in) || !dir || !n)
        return OP_VIOLATION;
    if (S_ISDIR(n->mode))
        return -EPERM;
    if (proc_fd < 0)
        return -EPERM;
    if (dir_changeable(dir) < 0)
        return -EACCES;
    snprintf(link, sizeof(link), "%d", n->fd);
    ret = host_linkat(proc_fd, link, dir->fd, name, AT_SYMLINK_FOLLOW);
    return ret < 0 ? ret : reply_attr(out, n);
}

int handle_unlink(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct node *dir = fid_lookup(op->session, rbuf_u32(in));
    uint32_t flags = rbuf_u32(in);
    char name[GP_NAME_MAX + 1];

    (void)out;
    if (!copy_name(in, name) || !rbuf_ok_at_end(in) || !dir || (flags & ~GP_UNLINK_DIR))
        return OP_VIOLATION;
    if (dir_changeable(dir) < 0)
        return -EACCES;
    return host_unlinkat(dir->fd, name, flags & GP_UNLINK_DIR ? AT_REMOVEDIR : 0);
}

int handle_rename(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct node *old_dir = fid_lookup(op->session, rbuf_u32(in));
    struct node *new_dir = fid_lookup(op->session, rbuf_u32(in));
    char old_name[GP_NAME_MAX + 1], new_name[GP_NAME_MAX + 1];
    uint32_t flags = rbuf_u32(in);
    unsigned how = 0;

    (void)out;
    if (!copy_name(in, old_name) || !copy_name(in, new_name) || !rbuf_ok_at_end(in) || !old_dir ||
        !new_dir || (flags & ~(GP_RENAME_NOREPLACE | GP_RENAME_EXCHANGE)))
        return OP_VIOLATION;
    if (dir_changeable(old_dir) < 0 || dir_changeable(new_dir) < 0)
        return -EACCES;
    if (flags & GP_RENAME_NOREPLACE)
        how |= RENAME_NOREPLACE;
    if (flags & GP_RENAME_EXCHANGE)
        how |= RENAME_EXCHANGE;
    return host_renameat2(old_dir->fd, old_name, new_dir->fd, new_name, how);
}
