/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions, the pool of operations, and what both loops share of socket I/O. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostfs.h"
#include "platform/base/assert.h"
#include "platform/host/file.h"
#include "platform/host/proc.h"
#include "platform/host/sock.h"

#define FOLLOW_AFTER 3u     /* requests in a row from another CPU */
#define OP_BUFFER    77824u /* GP_MSG_MAX in whole pages, plus a page */

_Static_assert(OP_BUFFER >= GP_MSG_MAX && OP_BUFFER % 4096 == 0, "buffers are pages");

/* Descriptors that fids may take: most of the limit, shared evenly by the sessions. */
static uint32_t fid_limit(size_t sessions)
{
    uint64_t limit = MIN(host_fds_prepare(), 262144) / 4 * 3 / sessions;

    return limit < 64 ? 64 : (uint32_t)limit;
}

static int sessions_init(struct server *sv, const struct gofer_config *config,
                         const struct gofer_isolation *iso)
{
    uint32_t max_fids = fid_limit(config->count);

    sv->sessions = calloc(config->count, sizeof(*sv->sessions));
    if (!sv->sessions)
        return -ENOMEM;
    for (size_t i = 0; i < config->count; i++) {
        struct session *s = &sv->sessions[i];

        s->server = sv;
        s->sock = config->trees[i].conn_fd;
        s->root_fd = iso->root_fds[i];
        s->readonly = config->trees[i].readonly;
        s->index = i;
        s->max_size = GP_MSG_MAX;
        s->max_fids = max_fids;
        s->fids = calloc(max_fids, sizeof(*s->fids));
        if (!s->fids)
            return -ENOMEM;
        sv->session_count = sv->alive = i + 1;
    }
    return 0;
}

static int ops_init(struct server *sv)
{
    uint8_t *buffers;

    list_init(&sv->free_ops);
    sv->op_count = sv->session_count + SERVER_SPARE_OPS;
    sv->ops = calloc(sv->op_count, sizeof(*sv->ops));
    if (!sv->ops)
        return -ENOMEM;
    buffers = mmap(NULL, sv->op_count * 2 * OP_BUFFER, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (buffers == MAP_FAILED)
        return -errno;
    for (size_t i = 0; i < sv->op_count; i++) {
        sv->ops[i].in_buf = buffers + i * 2 * OP_BUFFER;
        sv->ops[i].out_buf = sv->ops[i].in_buf + OP_BUFFER;
        list_add_tail(&sv->free_ops, &sv->ops[i].link);
    }
    return 0;
}

/* RESOLVE_CACHED came with Linux 5.12. */
static bool cached_opens_work(int root_fd)
{
    int fd = hostfs_open_node(root_fd, ".", /*cached=*/true);

    if (fd >= 0)
        host_close(fd);
    return fd != -EINVAL;
}

int server_init(struct server *sv, const struct gofer_config *config,
                const struct gofer_isolation *iso)
{
    int ret;

    memset(sv, 0, sizeof(*sv));
    sv->proc_fd = iso->proc_fd;
    sv->can_chown = iso->can_chown;
    sv->scratch = malloc(GP_XATTR_MAX);
    ret = sv->scratch ? sessions_init(sv, config, iso) : -ENOMEM;
    if (ret == 0)
        ret = ops_init(sv);
    if (ret == 0)
        sv->cached_opens = cached_opens_work(sv->sessions[0].root_fd);
    return ret;
}

int server_start(struct server *sv, const struct gofer_async *async)
{
    int ret = async->start(sv);

    if (ret == 0)
        sv->async = async;
    return ret;
}

void server_destroy(struct server *sv)
{
    if (sv->async)
        sv->async->stop(sv);
    for (size_t i = 0; i < sv->session_count; i++) {
        struct session *s = &sv->sessions[i];

        fid_clunk_all(s);
        free(s->fids);
        if (s->sock >= 0)
            host_close(s->sock);
        host_close(s->root_fd);
    }
    if (sv->ops && sv->op_count && sv->ops[0].in_buf)
        munmap(sv->ops[0].in_buf, sv->op_count * 2 * OP_BUFFER);
    if (sv->proc_fd >= 0)
        host_close(sv->proc_fd);
    free(sv->ops);
    free(sv->sessions);
    free(sv->scratch);
}

struct op *server_op_get(struct session *s)
{
    struct server *sv = s->server;
    struct op *op;

    if (list_empty(&sv->free_ops))
        return NULL;
    op = list_first_entry(&sv->free_ops, struct op, link);
    list_del(&op->link);
    op->session = s;
    op->fd_count = 0;
    op->io = OP_IO_NONE;
    s->ops_busy++;
    sv->ops_busy++;
    return op;
}

void server_op_put(struct op *op)
{
    struct session *s = op->session;

    for (unsigned i = 0; i < op->fd_count; i++) {
        if (!op->fd_keep[i])
            host_close(op->fds[i]);
    }
    op->fd_count = 0;
    list_add(&s->server->free_ops, &op->link);
    s->server->ops_busy--;
    if (--s->ops_busy == 0 && s->state == SESSION_DEAD && s->sock >= 0) {
        host_close(s->sock);
        s->sock = -1;
    }
}

void server_session_end(struct session *s, const char *reason, bool violation)
{
    if (s->state == SESSION_DEAD)
        return;
    log_info(LOG_GOFER, "tree %zu: session ends: %s", s->index, reason);
    s->state = SESSION_DEAD;
    s->broke_protocol |= violation;
    s->server->alive--;
    /* Wakes a receive in progress; the descriptor goes with the last operation. */
    (void)host_shutdown(s->sock, SHUT_RDWR);
    fid_clunk_all(s);
    if (s->ops_busy == 0) {
        host_close(s->sock);
        s->sock = -1;
    }
}

/* A hand-over between two threads on one CPU costs a few microseconds, a wake-up of another, idle
 * CPU tens. The asker sleeps until the answer is there, so the two never need two CPUs. */
void server_follow(struct server *sv, int32_t hint)
{
    cpu_set_t set;

    if (hint <= 0 || hint > CPU_SETSIZE || hint == sv->cpu) {
        sv->cpu_count = 0;
        return;
    }
    if (hint != sv->cpu_seen)
        sv->cpu_count = 0;
    sv->cpu_seen = hint;
    if (++sv->cpu_count < FOLLOW_AFTER)
        return;
    CPU_ZERO(&set);
    CPU_SET((size_t)hint - 1, &set);
    sv->cpu = hint;
    sv->cpu_count = 0;
    if (host_sched_setaffinity(0, sizeof(set), &set) < 0)
        log_debug(LOG_GOFER, "CPU %d cannot be followed", hint - 1);
}

void op_prepare_recv(struct op *op)
{
    op->iov = (struct iovec){.iov_base = op->in_buf, .iov_len = OP_BUFFER};
    op->msg = (struct msghdr){.msg_iov = &op->iov, .msg_iovlen = 1};
    op->io = OP_IO_RECV;
}

void op_prepare_send(struct op *op)
{
    op->iov = (struct iovec){.iov_base = op->out.data, .iov_len = op->out.off};
    op->msg = (struct msghdr){.msg_iov = &op->iov, .msg_iovlen = 1};
    op->io = OP_IO_SEND;
    if (op->fd_count > 0) {
        /* SAFETY: control is aligned for it. */
        struct cmsghdr *c = (void *)op->control;
        size_t size = sizeof(int) * op->fd_count;

        memset(op->control, 0, sizeof(op->control));
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(c), op->fds, size);
        op->msg.msg_control = op->control;
        op->msg.msg_controllen = CMSG_SPACE(size);
    }
}

void server_reply(struct op *op)
{
    struct session *s = op->session;
    ssize_t n;

    op_prepare_send(op);
    do
        n = host_sendmsg(s->sock, &op->msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n == -EINTR);
    if (n == -EAGAIN) {
        s->server->async->send(op);
        return;
    }
    if (n < 0)
        server_session_end(s, "the reply could not be sent", /*violation=*/false);
    server_op_put(op);
}

void server_received(struct op *op, int result)
{
    struct session *s = op->session;

    if (s->state == SESSION_DEAD) {
        server_op_put(op);
    } else if (result <= 0) {
        server_session_end(s, result == 0 ? "the sentry closed it" : "receive failed", false);
        server_op_put(op);
    } else if (op->msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        log_warn(LOG_GOFER, "tree %zu: a request is too long or carries descriptors", s->index);
        server_session_end(s, "malformed packet", /*violation=*/true);
        server_op_put(op);
    } else {
        op_dispatch(op, (size_t)result);
    }
}
