/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HELLO, ATTACH, WALK, CLUNK. A walk opens every component with O_PATH below the previous one,
 * never follows a symlink and tells the attributes of all it passed. A component that is not in the
 * host's dcache is opened asynchronously, and the walk goes on where it stopped (walk_resume).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostfs.h"
#include "platform/host/file.h"

int handle_hello(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct session *s = op->session;
    uint32_t version = rbuf_u32(in), max = rbuf_u32(in);
    uint32_t features = s->readonly ? 0 : GP_FEATURE_WRITE;

    if (!rbuf_ok_at_end(in) || max < GP_MSG_MIN)
        return OP_VIOLATION;
    if (version != GP_VERSION)
        return -EPROTONOSUPPORT;
    if (max < s->max_size)
        s->max_size = max;
    if (s->server->async == &g_gofer_uring)
        features |= GP_FEATURE_IO_URING;
    wbuf_u32(out, GP_VERSION);
    wbuf_u32(out, s->max_size);
    wbuf_u32(out, s->max_fids);
    wbuf_u32(out, features);
    s->state = SESSION_GREETED;
    return 0;
}

int handle_attach(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct session *s = op->session;
    uint32_t fid = rbuf_u32(in);
    struct statx st;
    struct node *n = NULL;
    int fd, ret;

    if (!rbuf_ok_at_end(in) || !fid_bindable(s, fid))
        return OP_VIOLATION;
    fd = host_fcntl(s->root_fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    ret = hostfs_stat_fd(fd, &st);
    if (ret == 0)
        n = node_new(fd, &st);
    if (!n) {
        host_close(fd);
        return ret < 0 ? ret : -ENOMEM;
    }
    s->root_dev = n->dev;
    fid_bind_take(s, fid, n);
    s->state = SESSION_READY;
    return reply_attr(out, n);
}

static void walk_end(struct op *op, struct wbuf *out)
{
    struct walk_state *w = &op->walk;
    uint16_t done = (uint16_t)w->done, stop = (uint16_t)w->stop;
    int32_t error = w->error;

    if (!out->bad) {
        memcpy(out->data + w->count_off, &done, 2);
        memcpy(out->data + w->count_off + 2, &stop, 2);
        memcpy(out->data + w->count_off + 4, &error, 4);
    }
    for (size_t i = 0; i < w->done; i++) {
        /* A request that came while this walk slept may have taken the fid. */
        if (out->bad || !fid_bindable(op->session, w->parts[i].fid))
            node_put(w->found[i]);
        else
            fid_bind_take(op->session, w->parts[i].fid, w->found[i]);
    }
    node_put(w->dir);
}

/* Adds the object behind fd (owned) to the reply. 0 or -errno. */
static int walk_found_take(struct op *op, struct wbuf *out, int fd)
{
    struct walk_state *w = &op->walk;
    char target[PATH_MAX];
    struct gp_attr attr;
    struct statx st;
    struct node *n;
    int ret = hostfs_stat_fd(fd, &st);

    if (ret < 0)
        goto fail;
    n = node_new(fd, &st);
    ret = -ENOMEM;
    if (!n)
        goto fail;
    /* The host's proc, sysfs and the like: their top is a place to mount on, an empty directory. */
    n->foreign = n->dev != w->dir->dev && hostfs_is_pseudo(fd);
    if (n->foreign && !S_ISDIR(n->mode)) {
        node_put(n);
        return -EACCES;
    }
    attr_from_statx(&attr, &st);
    if (S_ISLNK(n->mode)) {
        ssize_t len = host_readlinkat(fd, "", target, GP_TARGET_MAX + 1);

        if (len < 0 || len > (ssize_t)GP_TARGET_MAX) {
            ret = len < 0 ? (int)len : -ENAMETOOLONG;
            node_put(n);
            return ret;
        }
        gp_put_attr(out, &attr);
        gp_put_string(out, target, (size_t)len);
    } else {
        gp_put_attr(out, &attr);
    }
    w->found[w->done++] = n;
    node_put(w->dir);
    w->dir = node_get(n);
    return 0;
fail:
    host_close(fd);
    return ret;
}

static void walk_donate(struct op *op)
{
    struct walk_state *w = &op->walk;
    struct node *n = w->found[w->done - 1];
    int fd;

    if (!S_ISREG(n->mode) || op->fd_count == GP_FDS_MAX)
        return;
    fd = node_reopen(op->session->server, n, O_RDONLY);
    if (fd >= 0)
        op_donate_take(op, fd);
}

static void walk_list(struct op *op, struct wbuf *out)
{
    struct node *n = op->walk.found[op->walk.done - 1];
    size_t mark = out->off;

    wbuf_u8(out, 1);
    if (!S_ISDIR(n->mode) || list_reply(op, n, 0, 0, out) < 0 || out->bad) {
        out->off = mark;
        out->bad = false;
        wbuf_u8(out, 0);
    }
}

/* true: the walk has ended (w->stop says how); false: an open is pending. */
static bool walk_go(struct op *op, struct wbuf *out)
{
    struct walk_state *w = &op->walk;
    struct server *sv = op->session->server;

    while (w->done < w->count) {
        struct gp_str name = w->parts[w->done].name;
        bool cached = sv->cached_opens && !op->batched;
        int fd, ret;

        if (!S_ISDIR(w->dir->mode)) {
            w->stop = S_ISLNK(w->dir->mode) ? GP_STOP_SYMLINK : GP_STOP_NOTDIR;
            return true;
        }
        if (w->dir->foreign) {
            w->stop = GP_STOP_MISSING;
            return true;
        }
        memcpy(op->async_name, name.data, name.len);
        op->async_name[name.len] = '\0';
        op->async_dirfd = w->dir->fd;
        fd = hostfs_open_node(w->dir->fd, op->async_name, cached);
        if (fd == -EAGAIN && cached) {
            sv->async->open(op);
            return false;
        }
        ret = fd < 0 ? fd : walk_found_take(op, out, fd);
        if (ret < 0) {
            w->stop = ret == -ENOENT ? GP_STOP_MISSING : GP_STOP_ERROR;
            w->error = ret == -ENOENT ? 0 : ret;
            return true;
        }
    }
    w->stop = GP_STOP_ALL;
    if (w->flags & GP_WALK_DONATE)
        walk_donate(op);
    if (w->flags & GP_WALK_LIST)
        walk_list(op, out);
    return true;
}

static void walk_resume(struct op *op, int result)
{
    struct walk_state *w = &op->walk;
    int ret = result < 0 ? result : walk_found_take(op, &op->out, result);

    if (ret < 0) {
        w->stop = ret == -ENOENT ? GP_STOP_MISSING : GP_STOP_ERROR;
        w->error = ret == -ENOENT ? 0 : ret;
    } else if (!walk_go(op, &op->out)) {
        return;
    }
    walk_end(op, &op->out);
    op_complete(op, 0);
}

/* New fids must be free and different from each other. */
static bool walk_fids_fine(struct session *s, const struct walk_state *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (!fid_bindable(s, w->parts[i].fid))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (w->parts[k].fid == w->parts[i].fid)
                return false;
        }
    }
    return true;
}

int handle_walk(struct op *op, struct rbuf *in, struct wbuf *out)
{
    struct walk_state *w = &op->walk;
    struct node *dir = fid_lookup(op->session, rbuf_u32(in));

    memset(w, 0, offsetof(struct walk_state, parts));
    w->done = 0;
    w->error = 0;
    w->stop = GP_STOP_ALL;
    w->flags = rbuf_u16(in);
    w->count = gp_get_walk_parts(in, w->parts, GP_WALK_MAX);
    if (!rbuf_ok_at_end(in) || w->count == 0 || !dir || (w->flags & ~GP_WALK_FLAGS) ||
        !walk_fids_fine(op->session, w))
        return OP_VIOLATION;
    w->count_off = out->off;
    if (!wbuf_reserve(out, 8))
        return -EMSGSIZE;
    w->dir = node_get(dir);
    op->resume = walk_resume;
    if (!walk_go(op, out))
        return OP_PENDING;
    walk_end(op, out);
    return 0;
}

int handle_clunk(struct op *op, struct rbuf *in, struct wbuf *out)
{
    uint16_t n = rbuf_u16(in);

    (void)out;
    for (uint16_t i = 0; i < n && !in->bad; i++) {
        uint32_t fid = rbuf_u32(in);

        if (in->bad || !fid_lookup(op->session, fid))
            return OP_VIOLATION;
        fid_clunk(op->session, fid);
    }
    return rbuf_ok_at_end(in) ? OP_SILENT : OP_VIOLATION;
}
