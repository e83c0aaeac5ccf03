/* SPDX-License-Identifier: Apache-2.0 */
/* OPEN with donation, READDIR, READLINK, FSYNC. Special files are never opened on the host. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostfs.h"
#include "platform/host/file.h"

int node_reopen(struct server *sv, const struct node *n, int flags)
{
    if (S_ISDIR(n->mode))
        return hostfs_open_beneath(n->fd, ".", flags | O_DIRECTORY, 0);
    if (!S_ISREG(n->mode))
        return S_ISLNK(n->mode) ? -ELOOP : -EACCES;
    if (sv->proc_fd < 0)
        return -EACCES;
    return hostfs_open_magic(sv->proc_fd, n->fd, flags);
}

int handle_open(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct session *s = op->session;
    struct node *n = fid_lookup(s, rbuf_u32(in));
    uint32_t how = rbuf_u32(in);
    int flags, fd;

    if (!rbuf_ok_at_end(in) || !n || !(how & (GP_OPEN_READ | GP_OPEN_WRITE)) ||
        (how & ~(GP_OPEN_READ | GP_OPEN_WRITE | GP_OPEN_TRUNC)))
        return OP_VIOLATION;
    if ((how & (GP_OPEN_WRITE | GP_OPEN_TRUNC)) && s->readonly)
        return -EROFS;
    if (!S_ISREG(n->mode))
        return S_ISDIR(n->mode) ? -EISDIR : -EACCES;
    flags = how & GP_OPEN_WRITE ? (how & GP_OPEN_READ ? O_RDWR : O_WRONLY) : O_RDONLY;
    if (how & GP_OPEN_TRUNC)
        flags |= O_TRUNC;
    fd = node_reopen(s->server, n, flags);
    if (fd < 0)
        return fd;
    op_donate_take(op, fd);
    return reply_attr(out, n);
}

int handle_readlink(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct node *n = fid_lookup(op->session, rbuf_u32(in));
    char target[PATH_MAX];
    ssize_t len;

    if (!n)
        return OP_VIOLATION;
    if (!S_ISLNK(n->mode))
        return -EINVAL;
    len = host_readlinkat(n->fd, "", target, GP_TARGET_MAX + 1);
    if (len < 0)
        return (int)len;
    if (len > (ssize_t)GP_TARGET_MAX)
        return -ENAMETOOLONG;
    gp_put_string(out, target, (size_t)len);
    return 0;
}

/* ---- READDIR ------------------------------------------------------------------------------- */

struct host_dirent {
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

static int list_position(struct node *n, uint64_t cookie)
{
    if (n->list_fd < 0) {
        n->list_fd = hostfs_open_beneath(n->fd, ".", O_RDONLY | O_DIRECTORY, 0);
        if (n->list_fd < 0) {
            int ret = n->list_fd;

            n->list_fd = -1;
            return ret;
        }
        n->list_pos = 0;
    }
    if (n->list_pos != cookie) {
        int64_t at = host_lseek(n->list_fd, (int64_t)cookie, SEEK_SET);

        if (at < 0)
            return (int)at;
        n->list_pos = cookie;
    }
    return 0;
}

/* Appends one entry; false when it does not fit (nothing is written then). */
static bool list_entry_put(struct node *n, struct wbuf *out, const struct host_dirent *e,
                           size_t len, bool want_attr)
{
    struct wbuf mark = *out;
    struct gp_attr attr;
    struct statx st;
    bool has_attr = want_attr && hostfs_stat_at(n->list_fd, e->name, &st) == 0;

    wbuf_u64(out, (uint64_t)e->off);
    wbuf_u8(out, has_attr);
    wbuf_u64(out, e->ino);
    wbuf_u8(out, e->type);
    gp_put_string(out, e->name, len);
    if (has_attr) {
        attr_from_statx(&attr, &st);
        gp_put_attr(out, &attr);
    }
    if (out->bad)
        *out = mark;
    return !mark.bad && out->off != mark.off;
}

int handle_readdir(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct node *n = fid_lookup(op->session, rbuf_u32(in));
    uint64_t cookie = rbuf_u64(in);
    uint32_t flags = rbuf_u32(in);

    if (!rbuf_ok_at_end(in) || !n || (flags & ~GP_READDIR_ATTR) || cookie > INT64_MAX)
        return OP_VIOLATION;
    return S_ISDIR(n->mode) ? list_reply(op, n, cookie, flags, out) : -ENOTDIR;
}

int list_reply(struct op *op, struct node *n, uint64_t cookie, uint32_t flags, struct wbuf *out)
{
    struct server *sv = op->session->server;
    uint32_t count = 0;
    size_t head = out->off;
    bool full = false, eof = false;
    int ret;

    if (n->foreign) {
        wbuf_u8(out, /*eof=*/1);
        wbuf_u32(out, /*count=*/0);
        return 0;
    }
    ret = list_position(n, cookie);
    if (ret < 0)
        return ret;
    wbuf_u8(out, 0);
    wbuf_u32(out, 0);
    while (!full && !eof) {
        ssize_t got = host_getdents64(n->list_fd, sv->scratch, SERVER_SCRATCH);

        if (got < 0)
            return (int)got;
        eof = got == 0;
        for (long off = 0; off < got && !full;) {
            const struct host_dirent *e = (const void *)(sv->scratch + off);
            size_t len = strnlen(e->name, GP_NAME_MAX + 1);

            off += e->reclen;
            if (gp_name_valid(e->name, len)) {
                full = !list_entry_put(n, out, e, len, flags & GP_READDIR_ATTR);
                count += !full;
            }
            if (!full)
                cookie = (uint64_t)e->off;
        }
    }
    if (full && host_lseek(n->list_fd, (int64_t)cookie, SEEK_SET) < 0)
        return -EIO;
    n->list_pos = cookie;
    if (eof) {
        host_close(n->list_fd);
        n->list_fd = -1;
    }
    if (!out->bad) {
        out->data[head] = eof;
        memcpy(out->data + head + 1, &count, sizeof(count));
    }
    return 0;
}

/* ---- FSYNC --------------------------------------------------------------------------------- */

static void fsync_resume(struct op *op, int result)
{
    host_close(op->async_dirfd);
    op_complete(op, result);
}

int handle_fsync(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct server *sv = op->session->server;
    struct node *n = fid_lookup(op->session, rbuf_u32(in));
    uint32_t data_only = rbuf_u32(in);
    int fd, ret;

    (void)out;
    if (!rbuf_ok_at_end(in) || !n || data_only > 1)
        return OP_VIOLATION;
    if (op->session->readonly)
        return 0;
    if (!S_ISREG(n->mode) && !S_ISDIR(n->mode))
        return -EINVAL;
    fd = node_reopen(sv, n, O_RDONLY);
    if (fd < 0)
        return fd;
    if (op->batched) {
        ret = data_only ? host_fdatasync(fd) : host_fsync(fd);
        host_close(fd);
        return ret;
    }
    op->async_dirfd = fd;
    op->async_data_only = data_only;
    op->resume = fsync_resume;
    sv->async->sync(op);
    return OP_PENDING;
}
