/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a packet to a handler: one table says in which states a request is legal, how large it may
 * be and whether it changes the tree. Everything that is not in the table, comes too early or has a
 * wrong size ends the session: a peer that breaks protocol is treated as taken over.
 */
#include <errno.h>

#include "gofer/gofer_internal.h"
#include "platform/host/file.h"

struct request {
    op_handler *handle;
    uint32_t states;   /* STATE_BIT */
    uint32_t min, max; /* size of the body */
    bool changes;      /* refused with -EROFS on a read-only tree */
    bool batchable;
};

#define IN_READY      STATE_BIT(SESSION_READY)
#define NAME_MIN      3u
#define NAME_MAX_SIZE (2u + GP_NAME_MAX)

static const struct request g_requests[GP_TYPE_COUNT] = {
    [GP_HELLO] = {handle_hello, STATE_BIT(SESSION_NEW), 8, 8, false, false},
    [GP_ATTACH] = {handle_attach, STATE_BIT(SESSION_GREETED), 4, 4, false, false},
    [GP_WALK] = {handle_walk, IN_READY, 8 + 4 + NAME_MIN, 8 + GP_WALK_MAX *(4 + NAME_MAX_SIZE),
                 false, true},
    [GP_GETATTR] = {handle_getattr, IN_READY, 4, 4, false, true},
    [GP_SETATTR] = {handle_setattr, IN_READY, 52, 52, true, true},
    [GP_OPEN] = {handle_open, IN_READY, 8, 8, false, true},
    [GP_READDIR] = {handle_readdir, IN_READY, 16, 16, false, true},
    [GP_READLINK] = {handle_readlink, IN_READY, 4, 4, false, true},
    [GP_CREATE] = {handle_create, IN_READY, 24 + NAME_MIN, 24 + NAME_MAX_SIZE, true, true},
    [GP_TMPFILE] = {handle_tmpfile, IN_READY, 20, 20, true, true},
    [GP_MKDIR] = {handle_mkdir, IN_READY, 20 + NAME_MIN, 20 + NAME_MAX_SIZE, true, true},
    [GP_MKNOD] = {handle_mknod, IN_READY, 28 + NAME_MIN, 28 + NAME_MAX_SIZE, true, true},
    [GP_SYMLINK] = {handle_symlink, IN_READY, 16 + NAME_MIN + 3,
                    16 + NAME_MAX_SIZE + 2 + GP_TARGET_MAX, true, true},
    [GP_LINK] = {handle_link, IN_READY, 8 + NAME_MIN, 8 + NAME_MAX_SIZE, true, true},
    [GP_UNLINK] = {handle_unlink, IN_READY, 8 + NAME_MIN, 8 + NAME_MAX_SIZE, true, true},
    [GP_RENAME] = {handle_rename, IN_READY, 12 + 2 * NAME_MIN, 12 + 2 * NAME_MAX_SIZE, true, true},
    [GP_STATFS] = {handle_statfs, IN_READY, 4, 4, false, true},
    [GP_FSYNC] = {handle_fsync, IN_READY, 8, 8, false, true},
    [GP_GETXATTR] = {handle_getxattr, IN_READY, 8 + NAME_MIN, 8 + NAME_MAX_SIZE, false, true},
    [GP_SETXATTR] = {handle_setxattr, IN_READY, 12 + NAME_MIN, 12 + NAME_MAX_SIZE + GP_XATTR_MAX,
                     true, true},
    [GP_LISTXATTR] = {handle_listxattr, IN_READY, 8, 8, false, true},
    [GP_REMOVEXATTR] = {handle_removexattr, IN_READY, 4 + NAME_MIN, 4 + NAME_MAX_SIZE, true, true},
    [GP_CLUNK] = {handle_clunk, IN_READY, 2 + 4, 2 + 4 * GP_CLUNK_MAX, false, true},
};

static const struct request *request_find(const struct op *op, const struct gp_header *h,
                                          const struct rbuf *body, const char **out_reason)
{
    const struct request *r = NULL;

    if (h->type < GP_TYPE_COUNT && g_requests[h->type].handle)
        r = &g_requests[h->type];
    if (!r)
        *out_reason = "unknown request";
    else if (!(r->states & STATE_BIT(op->session->state)))
        *out_reason = "request is not legal in this state";
    else if (body->size < r->min || body->size > r->max)
        *out_reason = "request has a wrong size";
    else if (h->status < 0 || h->status > GP_CPU_MAX)
        *out_reason = "request carries a wrong hint";
    else
        return r;
    return NULL;
}

/* One request into one reply appended to op->out. Same result as a handler. */
static int run_request(struct op *op, const struct gp_header *h, struct rbuf *body,
                       const struct request *r)
{
    size_t start = op->out.off;
    int ret;

    gp_begin(&op->out, (uint16_t)(h->type | GP_REPLY), h->tag);
    if (r->changes && op->session->readonly)
        ret = -EROFS;
    else
        ret = r->handle(op, body, &op->out);
    if (ret > 0)
        return ret;
    if (ret == 0 && op->out.bad)
        ret = -EMSGSIZE;
    if (ret < 0) {
        op->out.off = start + GP_HEADER_SIZE;
        op->out.bad = false;
    }
    if (!gp_finish(&op->out, start, ret))
        return OP_VIOLATION;
    return 0;
}

static int handle_batch(struct op *op, struct rbuf *in, const char **out_reason)
{
    size_t start = op->out.off, count_off;
    uint16_t n = rbuf_u16(in), replies = 0;

    if (n == 0 || n > GP_BATCH_MAX) {
        *out_reason = "batch of a wrong length";
        return OP_VIOLATION;
    }
    gp_begin(&op->out, GP_BATCH | GP_REPLY, op->header.tag);
    count_off = op->out.off;
    wbuf_u16(&op->out, 0);
    op->batched = true;
    for (uint16_t i = 0; i < n; i++) {
        struct gp_header h;
        struct rbuf body;
        const struct request *r;
        int ret;

        if (!gp_get_header(in, &h, &body)) {
            *out_reason = "malformed batch";
            return OP_VIOLATION;
        }
        r = request_find(op, &h, &body, out_reason);
        if (!r || !r->batchable) {
            if (r)
                *out_reason = "request is not legal in a batch";
            return OP_VIOLATION;
        }
        ret = run_request(op, &h, &body, r);
        if (ret == OP_SILENT) {
            op->out.off -= GP_HEADER_SIZE;
        } else if (ret != 0) {
            *out_reason = "malformed request in a batch";
            return OP_VIOLATION;
        } else {
            replies++;
        }
    }
    if (!rbuf_ok_at_end(in)) {
        *out_reason = "bytes after a batch";
        return OP_VIOLATION;
    }
    memcpy(op->out.data + count_off, &replies, sizeof(replies));
    return gp_finish(&op->out, start, 0) ? 0 : OP_VIOLATION;
}

/* Sends what is in op->out and gives the operation back. */
static void op_send(struct op *op)
{
    if (op->session->state == SESSION_DEAD) {
        server_op_put(op);
        return;
    }
    server_reply(op);
}

void op_dispatch(struct op *op, size_t size)
{
    struct session *s = op->session;
    const struct request *r = NULL;
    const char *reason = "malformed request";
    struct rbuf in, body;
    int ret = OP_VIOLATION;

    wbuf_init(&op->out, op->out_buf, s->max_size);
    op->batched = false;
    rbuf_init(&in, op->in_buf, size);
    if (size <= s->max_size && gp_get_header(&in, &op->header, &body) && rbuf_ok_at_end(&in)) {
        server_follow(s->server, op->header.status);
        if (op->header.type == GP_BATCH && s->state == SESSION_READY) {
            ret = handle_batch(op, &body, &reason);
        } else {
            r = request_find(op, &op->header, &body, &reason);
            if (r)
                ret = run_request(op, &op->header, &body, r);
        }
    } else {
        op->header.type = 0;
    }
    if (ret == OP_PENDING)
        return;
    if (ret == OP_VIOLATION) {
        log_warn(LOG_GOFER, "tree %zu: %s (%s, %zu bytes): the session ends", s->index, reason,
                 gp_type_name(op->header.type), size);
        server_session_end(s, reason, /*violation=*/true);
        server_op_put(op);
    } else if (ret == OP_SILENT) {
        server_op_put(op);
    } else {
        op_send(op);
    }
}

void op_complete(struct op *op, int status)
{
    if (status == 0 && op->out.bad)
        status = -EMSGSIZE;
    if (status < 0) {
        op->out.off = GP_HEADER_SIZE;
        op->out.bad = false;
    }
    if (!gp_finish(&op->out, 0, status))
        server_session_end(op->session, "reply does not fit", /*violation=*/false);
    op_send(op);
}

void op_donate_take(struct op *op, int fd)
{
    if (op->fd_count == GP_FDS_MAX) {
        host_close(fd);
        return;
    }
    op->fd_keep[op->fd_count] = false;
    op->fds[op->fd_count++] = fd;
}

void op_donate_borrowed(struct op *op, int fd)
{
    if (op->fd_count == GP_FDS_MAX)
        return;
    op->fd_keep[op->fd_count] = true;
    op->fds[op->fd_count++] = fd;
}
