/* SPDX-License-Identifier: Apache-2.0 */
/* GETATTR, SETATTR, STATFS and extended attributes. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostfs.h"
#include "platform/host/file.h"

static struct gp_time time_from_statx(struct statx_timestamp t)
{
    return (struct gp_time){.sec = t.tv_sec, .nsec = t.tv_nsec};
}

void attr_from_statx(struct gp_attr *a, const struct statx *st)
{
    memset(a, 0, sizeof(*a));
    a->mode = st->stx_mode;
    a->nlink = st->stx_nlink;
    a->uid = st->stx_uid;
    a->gid = st->stx_gid;
    a->blksize = st->stx_blksize;
    a->dev = (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
    a->rdev = (uint64_t)st->stx_rdev_major << 32 | st->stx_rdev_minor;
    a->ino = st->stx_ino;
    a->size = st->stx_size > INT64_MAX ? INT64_MAX : st->stx_size;
    a->blocks = st->stx_blocks;
    a->atime = time_from_statx(st->stx_atime);
    a->mtime = time_from_statx(st->stx_mtime);
    a->ctime = time_from_statx(st->stx_ctime);
    if (st->stx_mask & STATX_BTIME) {
        a->flags |= GP_ATTR_BTIME;
        a->btime = time_from_statx(st->stx_btime);
    }
}

int reply_attr(struct wbuf *out, const struct node *n)
{
    struct gp_attr attr;
    struct statx st;
    int ret = hostfs_stat_fd(n->fd, &st);

    if (ret < 0)
        return ret;
    attr_from_statx(&attr, &st);
    gp_put_attr(out, &attr);
    return 0;
}

int handle_getattr(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct node *n = fid_lookup(op->session, rbuf_u32(in));

    return n ? reply_attr(out, n) : OP_VIOLATION;
}

static struct timespec set_time(uint32_t mask, uint32_t set, uint32_t now, struct gp_time t)
{
    if (mask & now)
        return (struct timespec){.tv_nsec = UTIME_NOW};
    if (mask & set)
        return (struct timespec){.tv_sec = t.sec, .tv_nsec = t.nsec};
    return (struct timespec){.tv_nsec = UTIME_OMIT};
}

static int set_size(struct server *sv, const struct node *n, uint64_t size)
{
    int fd = node_reopen(sv, n, O_WRONLY), ret;

    if (fd < 0)
        return fd;
    ret = host_ftruncate(fd, (int64_t)size);
    host_close(fd);
    return ret;
}

static int set_mode(struct server *sv, const struct node *n, uint32_t mode)
{
    char name[16];

    if (S_ISLNK(n->mode))
        return -EOPNOTSUPP;
    if (sv->proc_fd < 0) {
        int fd = node_reopen(sv, n, O_RDONLY), ret;

        if (fd < 0)
            return fd;
        ret = host_fchmod(fd, mode);
        host_close(fd);
        return ret;
    }
    snprintf(name, sizeof(name), "%d", n->fd);
    return host_fchmodat(sv->proc_fd, name, mode);
}

int handle_setattr(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct server *sv = op->session->server;
    struct node *n = fid_lookup(op->session, rbuf_u32(in));
    uint32_t mask = rbuf_u32(in), mode = rbuf_u32(in), uid = rbuf_u32(in), gid = rbuf_u32(in);
    uint64_t size = rbuf_u64(in);
    struct gp_time atime = gp_get_time(in), mtime = gp_get_time(in);
    struct timespec ts[2];
    int ret;

    if (!rbuf_ok_at_end(in) || !n || (mask & ~GP_SET_ALL) || size > INT64_MAX || (mode & ~07777u))
        return OP_VIOLATION;
    if (n->foreign)
        return -EACCES;
    if (mask & GP_SET_SIZE) {
        ret = set_size(sv, n, size);
        if (ret < 0)
            return ret;
    }
    if (mask & (GP_SET_UID | GP_SET_GID)) {
        ret = host_fchownat(n->fd, "", mask & GP_SET_UID ? uid : (uid_t)-1,
                            mask & GP_SET_GID ? gid : (gid_t)-1, AT_EMPTY_PATH);
        if (ret < 0)
            return ret;
    }
    if (mask & GP_SET_MODE) {
        ret = set_mode(sv, n, mode);
        if (ret < 0)
            return ret;
    }
    if (mask & (GP_SET_ATIME | GP_SET_MTIME | GP_SET_ATIME_NOW | GP_SET_MTIME_NOW)) {
        ts[0] = set_time(mask, GP_SET_ATIME, GP_SET_ATIME_NOW, atime);
        ts[1] = set_time(mask, GP_SET_MTIME, GP_SET_MTIME_NOW, mtime);
        ret = host_utimensat(n->fd, "", ts, AT_EMPTY_PATH);
        if (ret < 0)
            return ret;
    }
    return reply_attr(out, n);
}

int handle_statfs(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct node *n = fid_lookup(op->session, rbuf_u32(in));
    struct statfs st;
    int ret;

    if (!n)
        return OP_VIOLATION;
    ret = host_fstatfs(n->fd, &st);
    if (ret < 0)
        return ret;
    wbuf_u64(out, (uint64_t)st.f_type);
    wbuf_u64(out, (uint64_t)st.f_bsize);
    wbuf_u64(out, st.f_blocks);
    wbuf_u64(out, st.f_bfree);
    wbuf_u64(out, st.f_bavail);
    wbuf_u64(out, st.f_files);
    wbuf_u64(out, st.f_ffree);
    wbuf_u64(out, (uint64_t)st.f_namelen);
    wbuf_u64(out, (uint64_t)st.f_frsize);
    return 0;
}

/* ---- extended attributes ------------------------------------------------------------------- */

/*
 * What of the host's attributes a sandbox may see, and change. File capabilities are shown because
 * exec needs them; they are never written, for the host would honour them.
 */
static bool xattr_visible(const char *name)
{
    return strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0;
}

static bool xattr_changeable(const char *name)
{
    return strncmp(name, "user.", 5) == 0;
}

/* Reads fid and name; a descriptor for the f*xattr calls comes back. OP_VIOLATION, -errno or the
 * fd. */
static int xattr_begin(struct op *op, struct rbuf *in, const struct node **out_node)
{
    struct node *n = fid_lookup(op->session, rbuf_u32(in));

    *out_node = n;
    if (!n)
        return OP_VIOLATION;
    if (n->foreign || (!S_ISREG(n->mode) && !S_ISDIR(n->mode)))
        return -EOPNOTSUPP;
    return 0;
}

static bool xattr_name(struct rbuf *in, char *name)
{
    struct gp_str s = gp_get_string(in, GP_NAME_MAX);

    memcpy(name, s.data, s.len);
    name[s.len] = '\0';
    return !in->bad && s.len > 0;
}

int handle_getxattr(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct server *sv = op->session->server;
    char name[GP_NAME_MAX + 1];
    const struct node *n;
    uint32_t size;
    ssize_t len;
    int ret = xattr_begin(op, in, &n), fd;

    if (ret > 0 || !xattr_name(in, name))
        return OP_VIOLATION;
    size = rbuf_u32(in);
    if (!rbuf_ok_at_end(in) || size > GP_XATTR_MAX)
        return OP_VIOLATION;
    if (ret < 0)
        return ret;
    if (!xattr_visible(name))
        return -ENODATA;
    fd = node_reopen(sv, n, O_RDONLY);
    if (fd < 0)
        return fd;
    len = host_fgetxattr(fd, name, sv->scratch, size);
    host_close(fd);
    if (len < 0)
        return (int)len;
    wbuf_u32(out, (uint32_t)len);
    if (size > 0)
        wbuf_put(out, sv->scratch, (size_t)len);
    return 0;
}

int handle_setxattr(struct op *op, struct rbuf *in, struct wbuf *out)
{
    char name[GP_NAME_MAX + 1];
    const struct node *n;
    const void *value;
    uint32_t flags, size;
    int ret = xattr_begin(op, in, &n), fd;

    (void)out;
    flags = rbuf_u32(in);
    if (ret > 0 || !xattr_name(in, name) || (flags & ~(unsigned)(XATTR_CREATE | XATTR_REPLACE)))
        return OP_VIOLATION;
    size = rbuf_u32(in);
    value = rbuf_bytes(in, size);
    if (!rbuf_ok_at_end(in) || size > GP_XATTR_MAX)
        return OP_VIOLATION;
    if (ret < 0)
        return ret;
    if (!xattr_changeable(name))
        return -EPERM;
    fd = node_reopen(op->session->server, n, O_RDONLY);
    if (fd < 0)
        return fd;
    ret = host_fsetxattr(fd, name, value, size, (int)flags);
    host_close(fd);
    return ret;
}

int handle_listxattr(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct server *sv = op->session->server;
    const struct node *n;
    size_t used = 0, off = 0;
    uint32_t size;
    ssize_t len;
    int ret = xattr_begin(op, in, &n), fd;

    size = rbuf_u32(in);
    if (ret > 0 || !rbuf_ok_at_end(in) || size > GP_XATTR_MAX)
        return OP_VIOLATION;
    if (ret < 0)
        return ret;
    fd = node_reopen(sv, n, O_RDONLY);
    if (fd < 0)
        return fd;
    len = host_flistxattr(fd, (char *)sv->scratch, GP_XATTR_MAX);
    host_close(fd);
    if (len < 0)
        return (int)len;
    while (off < (size_t)len) {
        char *name = (char *)sv->scratch + off;
        size_t step = strnlen(name, (size_t)len - off) + 1;

        if (off + step <= (size_t)len && xattr_visible(name)) {
            memmove(sv->scratch + used, name, step);
            used += step;
        }
        off += step;
    }
    if (size > 0 && used > size)
        return -ERANGE;
    wbuf_u32(out, (uint32_t)used);
    if (size > 0)
        wbuf_put(out, sv->scratch, used);
    return 0;
}

int handle_removexattr(struct op *op, struct rbuf *in, struct wbuf *out)
{
    char name[GP_NAME_MAX + 1];
    const struct node *n;
    int ret = xattr_begin(op, in, &n), fd;

    (void)out;
    if (ret > 0 || !xattr_name(in, name) || !rbuf_ok_at_end(in))
        return OP_VIOLATION;
    if (ret < 0)
        return ret;
    if (!xattr_changeable(name))
        return -EPERM;
    fd = node_reopen(op->session->server, n, O_RDONLY);
    if (fd < 0)
        return fd;
    ret = host_fremovexattr(fd, name);
    host_close(fd);
    return ret;
}
