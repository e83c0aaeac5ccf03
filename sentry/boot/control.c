/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One service thread per connection reads a request, acts, replies. A "wait" does not hold the
 * thread: the connection is put on the list of waiters and the exit is sent to it by whoever
 * publishes it. Sends on one connection are single SOCK_SEQPACKET messages, so they do not mix.
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
#include "sentry/fs/host/console.h"
#include "sentry/kernel/task.h"

enum { MESSAGE_MAX = 256 * 1024, CONNECTIONS_MAX = 64 };

/* Keys: c g_control.lock; I immutable */
struct connection {
    struct list node; /* c */
    int fd;           /* I */
    bool waits;       /* c */
};

static struct {
    struct mutex lock;
    struct control_target target; /* I after control_start */
    struct list connections;      /* lock */
    unsigned count;               /* lock */
    bool exited;                  /* lock */
    int exit_status;              /* lock */
    int listen_fd;                /* I */
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

static json_t *reply_errno(int ret, const char *what)
{
    if (ret >= 0)
        return json_pack("{s:b}", "ok", 1);
    return json_pack(
        "{s:o}", "error",
        json_sprintf("%s: %s", what, ret == -ESRCH ? "container not running" : strerror(-ret)));
}

static json_t *do_signal(const json_t *rq)
{
    int64_t signo = boot_int(rq, "signo", -1);

    if (signo < 0 || signo > LX_NSIG)
        return reply_errno(-EINVAL, "signal");
    if (json_is_true(json_object_get(rq, "all")))
        return reply_errno(kernel_signal_container(g_control.target.container, (int)signo), "kill");
    return reply_errno(kernel_signal_process(g_control.target.init, (int)signo), "kill");
}

static json_t *do_resize(const json_t *rq)
{
    console_resize(NULL, (uint16_t)boot_int(rq, "rows", 0), (uint16_t)boot_int(rq, "cols", 0));
    return reply_errno(0, "resize");
}

static json_t *do_wait(struct connection *c)
{
    json_t *reply = NULL;

    mutex_lock(&g_control.lock);
    c->waits = !g_control.exited;
    if (g_control.exited)
        reply = json_pack("{s:i}", "status", g_control.exit_status);
    mutex_unlock(&g_control.lock);
    return reply;
}

static json_t *handle(struct connection *c, const json_t *rq)
{
    const char *op = boot_string(rq, "op", "");

    if (!strcmp(op, "start"))
        return reply_errno(kernel_process_start(g_control.target.init), op);
    if (!strcmp(op, "wait"))
        return do_wait(c);
    if (!strcmp(op, "signal"))
        return do_signal(rq);
    if (!strcmp(op, "resize"))
        return do_resize(rq);
    if (!strcmp(op, "pause")) {
        kernel_pause(g_control.target.container);
        return reply_errno(0, op);
    }
    if (!strcmp(op, "resume")) {
        kernel_resume(g_control.target.container);
        return reply_errno(0, op);
    }
    return json_pack("{s:o}", "error", json_sprintf("unknown request \"%.32s\"", op));
}

static void serve(void *arg)
{
    struct connection *c = arg;
    char *buf = malloc(MESSAGE_MAX);

    while (buf) {
        ssize_t n = recv(c->fd, buf, MESSAGE_MAX, 0);
        json_t *rq, *reply;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        rq = json_loadb(buf, (size_t)n, 0, NULL);
        reply = handle(c, rq);
        if (json_is_true(json_object_get(rq, "quiet")))
            json_decref(reply);
        else if (reply)
            send_json(c->fd, reply);
        json_decref(rq);
    }
    free(buf);
    mutex_lock(&g_control.lock);
    list_del(&c->node);
    g_control.count--;
    mutex_unlock(&g_control.lock);
    close(c->fd);
    free(c);
}

static int connection_start(int fd)
{
    struct connection *c = calloc(1, sizeof(*c));
    int ret = -ENOMEM;

    if (!c)
        return ret;
    c->fd = fd;
    list_init(&c->node);
    mutex_lock(&g_control.lock);
    ret = g_control.count < CONNECTIONS_MAX ? 0 : -EAGAIN;
    if (ret == 0) {
        g_control.count++;
        list_add_tail(&g_control.connections, &c->node);
    }
    mutex_unlock(&g_control.lock);
    if (ret == 0)
        ret = thread_start("control", serve, c);
    if (ret == 0)
        return 0;
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
        if (fd >= 0 && connection_start(fd) < 0)
            close(fd);
    }
}

int control_start(const struct control_target *target, int first_fd, int listen_fd)
{
    int ret;

    g_control.target = *target;
    g_control.listen_fd = listen_fd;
    ret = connection_start(first_fd);
    if (ret == 0 && listen_fd >= 0)
        ret = thread_start("control-accept", accept_loop, NULL);
    return ret;
}

void control_publish_exit(int wait_status)
{
    struct connection *c;

    mutex_lock(&g_control.lock);
    g_control.exited = true;
    g_control.exit_status = wait_status;
    list_for_each_entry(c, &g_control.connections, node) {
        if (c->waits)
            send_json(c->fd, json_pack("{s:i}", "status", wait_status));
    }
    mutex_unlock(&g_control.lock);
}
