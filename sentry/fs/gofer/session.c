/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/fs/gofer/session.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "platform/base/log.h"
#include "platform/host/file.h"
#include "platform/host/sock.h"
#include "sentry/fs/gofer/gofer_fs.h"

/* Who else lost its files says so: the sandbox or a container of it, which may just be ending. */
static const char g_gone[] = "the gofer is gone";

/* Control data of one received packet. */
union fd_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * GP_FDS_MAX)];
};

int session_new(int sock, struct gofer_session **out)
{
    struct gofer_session *s = calloc(1, sizeof(*s));

    if (!s) {
        host_close(sock);
        return -ENOMEM;
    }
    s->sock = sock;
    s->max_size = GP_MSG_MAX;
    s->max_fids = 1;
    mutex_init(&s->lock, RANK_GOFER);
    cond_init(&s->slot_freed);
    for (uint32_t i = 0; i < SESSION_SLOTS; i++) {
        s->slots[i].session = s;
        s->slots[i].next_free = i + 1;
        cond_init(&s->slots[i].cond);
    }
    *out = s;
    return 0;
}

void session_free(struct gofer_session *s)
{
    host_close(s->sock);
    for (uint32_t i = 0; i < SESSION_SLOTS; i++)
        free(s->slots[i].buf);
    free(s->free_fids);
    mutex_destroy(&s->lock);
    free(s);
}

static void kill_locked(struct gofer_session *s, const char *reason) REQUIRES(s->lock)
{
    if (s->dead)
        return;
    s->dead = true;
    log_at(reason == g_gone ? LOG_INFO : LOG_ERROR, LOG_GOFER, "the gofer session ends: %s",
           reason);
    (void)host_shutdown(s->sock, SHUT_RDWR); /* the reader, if any, returns */
    for (uint32_t i = 0; i < SESSION_SLOTS; i++)
        cond_wake_all(&s->slots[i].cond);
    cond_wake_all(&s->slot_freed);
}

void session_kill(struct gofer_session *s, const char *reason)
{
    mutex_lock(&s->lock);
    kill_locked(s, reason);
    mutex_unlock(&s->lock);
}

int session_begin(struct gofer_session *s, uint16_t type, struct gofer_slot **out)
{
    struct gofer_slot *c;

    mutex_lock(&s->lock);
    while (s->free_slot == SESSION_SLOTS && !s->dead)
        cond_wait(&s->slot_freed, &s->lock);
    if (s->dead) {
        mutex_unlock(&s->lock);
        return -EIO;
    }
    c = &s->slots[s->free_slot];
    s->free_slot = c->next_free;
    c->waiting = c->done = false;
    mutex_unlock(&s->lock);

    c->fd_count = 0;
    c->type = type;
    if (!c->buf) {
        c->buf = malloc(GP_MSG_MAX);
        if (!c->buf)
            return session_end(c, -ENOMEM);
    }
    wbuf_init(&c->out, c->buf, s->max_size);
    gp_begin(&c->out, type, (uint16_t)(c - s->slots));
    *out = c;
    return 0;
}

static void close_fds(int *fds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (fds[i] >= 0)
            host_close(fds[i]);
    }
}

int session_end(struct gofer_slot *c, int ret)
{
    struct gofer_session *s = c->session;

    close_fds(c->fds, c->fd_count);
    c->fd_count = 0;
    mutex_lock(&s->lock);
    if (ret >= 0 && c->done && !rbuf_ok_at_end(&c->in)) {
        kill_locked(s, "the gofer sent a malformed reply");
        ret = -EIO;
    }
    c->waiting = c->done = false;
    c->next_free = s->free_slot;
    s->free_slot = (uint32_t)(c - s->slots);
    cond_wake_one(&s->slot_freed);
    mutex_unlock(&s->lock);
    return ret;
}

int session_take_fd(struct gofer_slot *c)
{
    int fd = c->fd_count > 0 ? c->fds[0] : -1;

    if (c->fd_count > 0)
        c->fds[0] = -1;
    return fd;
}

static int send_all(struct gofer_session *s, const void *data, size_t size)
{
    ssize_t n;

    do
        n = host_send(s->sock, data, size, MSG_NOSIGNAL);
    while (n == -EINTR);
    return n < 0 ? (int)n : 0;
}

/* Collects descriptors; more than one control message or a foreign one ends in false. */
static bool take_control(struct msghdr *msg, int *fds, uint32_t *out_count)
{
    bool fine = !(msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC));

    *out_count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t count;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            fine = false;
            continue;
        }
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;

            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (*out_count < GP_FDS_MAX)
                fds[(*out_count)++] = fd;
            else
                host_close(fd);
        }
    }
    return fine;
}

/* A packet of size bytes in buf: gives it to the slot it answers. NULL: fine, else what is wrong.
 */
static const char *deliver_locked(struct gofer_session *s, const uint8_t *buf, size_t size,
                                  const int *fds, uint32_t fd_count) REQUIRES(s->lock)
{
    struct gofer_slot *to;
    struct gp_header h;
    struct rbuf in, body;

    rbuf_init(&in, buf, size);
    if (!gp_get_header(&in, &h, &body) || !rbuf_ok_at_end(&in))
        return "the gofer sent a malformed message";
    if (h.tag >= SESSION_SLOTS)
        return "the gofer answered nobody";
    to = &s->slots[h.tag];
    if (!to->waiting || to->done || h.type != (to->type | GP_REPLY))
        return "the gofer answered what was not asked";
    if (h.status > 0 || h.status < -4095)
        return "the gofer sent an impossible status";
    if (to->buf != buf)
        memcpy(to->buf, buf, size);
    to->size = (uint32_t)size;
    memcpy(to->fds, fds, sizeof(int) * fd_count);
    to->fd_count = fd_count;
    to->done = true;
    cond_wake_one(&to->cond);
    return NULL;
}

/* Reads one packet into c's own buffer, whoever it is for; the lock is not held meanwhile. */
static void read_one_locked(struct gofer_session *s, struct gofer_slot *c) REQUIRES(s->lock)
{
    union fd_control control;
    struct iovec iov = {.iov_base = c->buf, .iov_len = GP_MSG_MAX};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    const char *wrong;
    uint32_t fd_count = 0;
    int fds[GP_FDS_MAX];
    bool fine = true;
    ssize_t n;

    s->reading = true;
    mutex_unlock(&s->lock);
    n = host_recvmsg(s->sock, &msg, MSG_CMSG_CLOEXEC);
    if (n > 0)
        fine = take_control(&msg, fds, &fd_count);
    mutex_lock(&s->lock);
    s->reading = false;
    if (n == -EINTR || n == -EAGAIN)
        return;
    if (n <= 0)
        wrong = g_gone;
    else if (!fine)
        wrong = "the gofer sent an oversized message";
    else
        wrong = s->dead ? "dead" : deliver_locked(s, c->buf, (size_t)n, fds, fd_count);
    if (wrong) {
        close_fds(fds, fd_count);
        kill_locked(s, wrong);
    }
}

/* The reader leaves: somebody else who waits must take its place. */
static void pass_reading_locked(struct gofer_session *s) REQUIRES(s->lock)
{
    if (s->reading || s->dead)
        return;
    for (uint32_t i = 0; i < SESSION_SLOTS; i++) {
        if (s->slots[i].waiting && !s->slots[i].done) {
            cond_wake_one(&s->slots[i].cond);
            return;
        }
    }
}

static int32_t cpu_hint(void)
{
    int cpu = sched_getcpu();

    return cpu >= 0 && cpu < GP_CPU_MAX ? cpu + 1 : 0;
}

int session_call(struct gofer_slot *c)
{
    struct gofer_session *s = c->session;
    struct gp_header h = {0};
    struct rbuf in;
    int ret = 0;

    if (!gp_finish(&c->out, 0, cpu_hint()))
        return -EMSGSIZE;
    mutex_lock(&s->lock);
    c->waiting = true;
    s->round_trips++;
    mutex_unlock(&s->lock);
    /* Another thread may read our reply as soon as this returns: it only touches c under the lock,
     * and our buffer only after the request left it. */
    ret = send_all(s, c->out.data, c->out.off);
    mutex_lock(&s->lock);
    if (ret < 0)
        kill_locked(s, g_gone);
    while (!c->done && !s->dead) {
        if (s->reading)
            cond_wait(&c->cond, &s->lock);
        else
            read_one_locked(s, c);
    }
    pass_reading_locked(s);
    c->waiting = false;
    ret = c->done ? 0 : -EIO;
    mutex_unlock(&s->lock);
    if (ret < 0)
        return ret;
    rbuf_init(&in, c->buf, c->size);
    return gp_get_header(&in, &h, &c->in) ? h.status : -EIO;
}

/* ---- fids ------------------------------------------------------------------------------------ */

int session_fid_alloc(struct gofer_session *s, uint32_t *out)
{
    int ret = 0;

    mutex_lock(&s->lock);
    if (s->free_fid_count > 0)
        *out = s->free_fids[--s->free_fid_count];
    else if (s->next_fid < s->max_fids)
        *out = s->next_fid++;
    else
        ret = -EMFILE;
    mutex_unlock(&s->lock);
    return ret;
}

static void fid_free_locked(struct gofer_session *s, uint32_t fid) REQUIRES(s->lock)
{
    if (!s->free_fids)
        s->free_fids = malloc(s->max_fids * sizeof(*s->free_fids));
    if (s->free_fids && s->free_fid_count < s->max_fids)
        s->free_fids[s->free_fid_count++] = fid;
}

void session_fid_unused(struct gofer_session *s, uint32_t fid)
{
    mutex_lock(&s->lock);
    fid_free_locked(s, fid);
    mutex_unlock(&s->lock);
}

/* The notice goes out before the fids can be used again, so the gofer sees them in this order. */
static void flush_clunks_locked(struct gofer_session *s) REQUIRES(s->lock)
{
    uint8_t buf[GP_HEADER_SIZE + 2 + sizeof(s->clunks)];
    struct wbuf out;

    wbuf_init(&out, buf, sizeof(buf));
    gp_begin(&out, GP_CLUNK, 0);
    wbuf_u16(&out, (uint16_t)s->clunk_count);
    for (uint32_t i = 0; i < s->clunk_count; i++)
        wbuf_u32(&out, s->clunks[i]);
    if (!gp_finish(&out, 0, 0) || send_all(s, buf, out.off) < 0) {
        kill_locked(s, g_gone);
    } else {
        for (uint32_t i = 0; i < s->clunk_count; i++)
            fid_free_locked(s, s->clunks[i]);
    }
    s->clunk_count = 0;
}

void session_fid_clunk(struct gofer_session *s, uint32_t fid, bool now)
{
    mutex_lock(&s->lock);
    if (!s->dead) {
        s->clunks[s->clunk_count++] = fid;
        if (now || s->clunk_count == ARRAY_COUNT(s->clunks))
            flush_clunks_locked(s);
    }
    mutex_unlock(&s->lock);
}
