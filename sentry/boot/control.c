/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One service thread per connection reads a request, acts, replies. A "wait" does not hold the
 * thread: the connection notes what it awaits, and the exit is sent to it by whoever publishes it.
 * Sends on one connection are single SOCK_SEQPACKET messages, so they do not mix. "quiet": true asks
 * for no reply, "quiet": "success" for one only when the request fails.
 *
 * A connection may own a process: the launcher's owns the first one, "create" and "exec" give
 * theirs to the connection that asked. The owner is told of the end without asking. Outside, a proxy process holds the other end (runsc-c/
 * container/proxy.c); when it dies the connection ends, and the process with it.
 *
 * The peer is our own command run by somebody who may open the socket (mode of its directory), but
 * it is parsed as hostile: size-bounded messages, every member checked, unknown requests answered.
 */
#include "sentry/boot/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform/base/lock.h"
#include "platform/base/log.h"
#include "sentry/boot/oom_watch.h"
#include "sentry/boot/sandbox.h"
#include "sentry/core/clock.h"
#include "sentry/core/sleep.h"
#include "sentry/kernel/task.h"

/* Longer than the last output of a terminal may take. */
#define OTHERS_PATIENCE (3 * NSEC_PER_SEC)

enum { MESSAGE_MAX = 64 * 1024, CONNECTIONS_MAX = 512 };

/* Keys: c g_control.lock; I immutable; T own thread only */
struct connection {
    struct list node;               /* c */
    int fd;                         /* I */
    struct sandbox_process *owned;  /* T, +1 or NULL; others read it under c */
    bool owner_told;                /* c: that owned has exited */
    struct sandbox_process *awaits; /* c, +1 or NULL */
    struct oom_watch oom;           /* T: of owned */
    int fds[CONTROL_FDS];           /* T */
};

static struct {
    struct mutex lock;
    struct list connections; /* lock */
    unsigned count;          /* lock */
    int listen_fd;           /* I */
} g_control = {.lock = {.rank = RANK_CONTROL}, .connections = LIST_INIT(g_control.connections)};

static void send_json(int fd, json_t *msg)
{
    char *text = msg ? json_dumps(msg, JSON_COMPACT) : NULL;

    /* A peer that is gone does not need the answer. */
    if (text)
        (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
    free(text);
    json_decref(msg);
}

void control_report_ready(int fd)
{
    send_json(fd, json_pack("{s:b}", "ok", 1));
}

void control_report_error(int fd, const struct boot_error *e)
{
    send_json(fd, json_pack("{s:s, s:i}", "error", e->msg, "exit_code", e->exit_code));
}

void control_own_take(struct connection *c, struct sandbox_process *p)
{
    struct sandbox_process *old = c->owned;

    mutex_lock(&g_control.lock);
    c->owned = p;
    c->owner_told = false;
    mutex_unlock(&g_control.lock);
    oom_watch_stop(&c->oom);
    oom_watch_start(&c->oom, c->fd, p);
    if (old)
        sandbox_process_abandon(old);
    sandbox_process_put(old);
}

json_t *control_await(struct connection *c, struct sandbox_process *p)
{
    struct sandbox_process *drop;
    json_t *reply = NULL;

    if (c->owned == p)
        return NULL; /* it is told anyway */
    mutex_lock(&g_control.lock);
    drop = c->awaits;
    c->awaits = sandbox_process_get(p);
    /* Either this sees the exit, or control_process_exited sees the waiter. */
    if (atomic_load(&p->state) == PROCESS_EXITED) {
        reply = json_pack("{s:i}", "status", p->status);
        c->awaits = NULL;
    }
    mutex_unlock(&g_control.lock);
    if (reply)
        sandbox_process_put(p);
    sandbox_process_put(drop);
    return reply;
}

void control_process_exited(struct sandbox_process *p)
{
    struct connection *c;
    unsigned told = 0;

    mutex_lock(&g_control.lock);
    list_for_each_entry(c, &g_control.connections, node) {
        bool owner = c->owned == p && !c->owner_told;

        if (!owner && c->awaits != p)
            continue;
        send_json(c->fd, json_pack("{s:i}", "status", p->status));
        c->owner_told |= owner;
        if (c->awaits == p) {
            c->awaits = NULL;
            told++;
        }
    }
    mutex_unlock(&g_control.lock);
    while (told-- > 0)
        sandbox_process_put(p);
}

/* Does somebody still answer for another process that ran in init's container? */
static bool others_are_owned(const struct sandbox_process *init)
{
    struct connection *c;
    bool found = false;

    mutex_lock(&g_control.lock);
    list_for_each_entry(c, &g_control.connections, node) {
        const struct sandbox_process *p = c->owned;

        found |= p && p != init && p->container == init->container &&
                 atomic_load(&p->state) != PROCESS_CREATED;
    }
    mutex_unlock(&g_control.lock);
    return found;
}

void control_let_others_end(const struct sandbox_process *init)
{
    uint64_t deadline = deadline_after(OTHERS_PATIENCE);

    while (others_are_owned(init) && clock_monotonic() < deadline)
        thread_pause(NSEC_PER_SEC / 1000);
}

void control_tell_of_other(const struct sandbox_process *p, int host_pid)
{
    struct connection *c;

    mutex_lock(&g_control.lock);
    list_for_each_entry(c, &g_control.connections, node) {
        if (c->owned && c->owned->is_init && c->owned->container == p->container)
            send_json(c->fd, json_pack("{s:i}", "other", host_pid));
    }
    mutex_unlock(&g_control.lock);
}

/* The message and its descriptors. Bytes, 0 at the end, -errno. */
static ssize_t receive(struct connection *c, char *buf, size_t *out_fd_count)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(c->fds))];
    } control;
    struct iovec iov = {buf, MESSAGE_MAX};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control)};
    struct cmsghdr *h;
    ssize_t n;

    *out_fd_count = 0;
    n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return -errno;
    for (h = CMSG_FIRSTHDR(&mh); h; h = CMSG_NXTHDR(&mh, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        *out_fd_count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(c->fds, CMSG_DATA(h), *out_fd_count * sizeof(int));
    }
    return n;
}

static bool is_quiet(const json_t *quiet, const json_t *reply)
{
    return json_is_true(quiet) || (json_is_string(quiet) && !json_object_get(reply, "error"));
}

static void answer(struct connection *c, const char *buf, size_t size, size_t fd_count)
{
    json_t *rq = json_loadb(buf, size, 0, NULL), *reply;
    const char *id = boot_string(rq, "id", NULL);
    struct control_request call = {
        .rq = rq, .connection = c, .fds = c->fds, .fd_count = fd_count, .process = c->owned};
    struct sandbox_container *found = NULL;

    if (id || !call.process) {
        found = sandbox_find_get(id);
        call.process = found ? sandbox_container_init(found) : NULL;
    }
    if (call.process)
        call.container = call.process->container;
    reply = control_handle(&call);
    for (size_t i = 0; i < fd_count && !call.fds_taken; i++)
        close(c->fds[i]);
    if (is_quiet(json_object_get(rq, "quiet"), reply))
        json_decref(reply);
    else if (reply)
        send_json(c->fd, reply);
    sandbox_container_put(found);
    json_decref(rq);
}

static void connection_end(struct connection *c)
{
    oom_watch_stop(&c->oom);
    mutex_lock(&g_control.lock);
    list_del(&c->node);
    g_control.count--;
    mutex_unlock(&g_control.lock);
    if (c->owned)
        sandbox_process_abandon(c->owned);
    sandbox_process_put(c->owned);
    sandbox_process_put(c->awaits);
    close(c->fd);
    free(c);
}

static void serve(void *arg)
{
    struct connection *c = arg;
    char *buf = malloc(MESSAGE_MAX);

    while (buf) {
        size_t fd_count;
        ssize_t n = receive(c, buf, &fd_count);

        if (n == -EINTR)
            continue;
        if (n <= 0)
            break;
        answer(c, buf, (size_t)n, fd_count);
    }
    free(buf);
    connection_end(c);
}

/* A reference of owned (may be NULL) is taken. */
static int connection_start(int fd, struct sandbox_process *owned)
{
    struct connection *c = calloc(1, sizeof(*c));
    int ret = -ENOMEM;

    if (!c)
        return ret;
    c->fd = fd;
    c->owned = owned;
    list_init(&c->node);
    list_init(&c->oom.node);
    mutex_lock(&g_control.lock);
    ret = g_control.count < CONNECTIONS_MAX ? 0 : -EAGAIN;
    if (ret == 0) {
        g_control.count++;
        list_add_tail(&g_control.connections, &c->node);
    }
    mutex_unlock(&g_control.lock);
    /* Before the thread can put it. */
    if (owned)
        (void)sandbox_process_get(owned);
    if (owned && ret == 0)
        oom_watch_start(&c->oom, fd, owned);
    if (ret == 0)
        ret = thread_start("control", serve, c);
    if (ret == 0)
        return 0;
    oom_watch_stop(&c->oom);
    sandbox_process_put(owned);
    mutex_lock(&g_control.lock);
    if (!list_empty(&c->node)) {
        list_del(&c->node);
        g_control.count--;
    }
    mutex_unlock(&g_control.lock);
    free(c);
    return ret;
}

static void accept_loop(void *arg)
{
    (void)arg;
    for (;;) {
        int fd = accept4(g_control.listen_fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0 && errno != EINTR && errno != ECONNABORTED && errno != EMFILE) {
            log_error(LOG_BOOT, "control socket: %s", strerror(errno));
            return;
        }
        if (fd >= 0 && connection_start(fd, NULL) < 0)
            close(fd);
    }
}

int control_start(struct sandbox_process *init, int first_fd, int listen_fd)
{
    int ret;

    g_control.listen_fd = listen_fd;
    ret = connection_start(first_fd, init);
    if (ret == 0 && listen_fd >= 0)
        ret = thread_start("control-accept", accept_loop, NULL);
    return ret;
}
