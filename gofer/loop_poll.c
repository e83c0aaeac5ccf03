/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop for hosts that refuse io_uring: poll over the sessions, and two worker threads for the
 * slow calls. A worker touches only op->async_*; everything else stays with the main thread.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostfs.h"
#include "platform/host/file.h"
#include "platform/host/sock.h"

#define WORKERS 2

struct poll_loop {
    struct pollfd *fds; /* sessions, then the event descriptor */
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct list todo, done; /* lock */
    bool stopping;          /* lock */
    int event;
    pthread_t workers[WORKERS];
    size_t worker_count;
};

static void worker_do(struct op *op)
{
    if (op->io == OP_IO_OPEN)
        op->async_result = hostfs_open_node(op->async_dirfd, op->async_name, /*cached=*/false);
    else
        op->async_result =
            op->async_data_only ? host_fdatasync(op->async_dirfd) : host_fsync(op->async_dirfd);
}

static void *worker_main(void *arg)
{
    struct poll_loop *p = arg;

    pthread_mutex_lock(&p->lock);
    for (;;) {
        uint64_t one = 1;
        struct op *op;

        while (list_empty(&p->todo) && !p->stopping)
            pthread_cond_wait(&p->work, &p->lock);
        if (list_empty(&p->todo))
            break;
        op = list_first_entry(&p->todo, struct op, link);
        list_del(&op->link);
        pthread_mutex_unlock(&p->lock);
        worker_do(op);
        pthread_mutex_lock(&p->lock);
        list_add_tail(&p->done, &op->link);
        if (host_write(p->event, &one, sizeof(one)) < 0)
            log_error(LOG_GOFER, "the loop cannot be woken");
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void poll_stop(struct server *sv)
{
    struct poll_loop *p = sv->async_data;

    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->worker_count; i++)
        pthread_join(p->workers[i], NULL);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
    if (p->event >= 0)
        host_close(p->event);
    free(p->fds);
    free(p);
}

static int poll_start(struct server *sv)
{
    struct poll_loop *p = calloc(1, sizeof(*p));
    int ret = 0;

    if (!p)
        return -ENOMEM;
    sv->async_data = p;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    list_init(&p->todo);
    list_init(&p->done);
    p->fds = calloc(sv->session_count + 1, sizeof(*p->fds));
    p->event = host_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!p->fds || p->event < 0)
        ret = p->fds ? p->event : -ENOMEM;
    for (; ret == 0 && p->worker_count < WORKERS; p->worker_count++) {
        ret = -pthread_create(&p->workers[p->worker_count], NULL, worker_main, p);
        if (ret < 0)
            break;
    }
    if (ret < 0)
        poll_stop(sv);
    return ret;
}

static void enqueue(struct op *op)
{
    struct poll_loop *p = op->session->server->async_data;

    pthread_mutex_lock(&p->lock);
    list_add_tail(&p->todo, &op->link);
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

static void poll_open(struct op *op)
{
    op->io = OP_IO_OPEN;
    enqueue(op);
}

static void poll_sync(struct op *op)
{
    op->io = OP_IO_SYNC;
    enqueue(op);
}

/* The peer does not read its replies: waiting for it delays nobody but itself, for all sessions of
 * one gofer belong to one sentry. */
static void poll_send(struct op *op)
{
    struct session *s = op->session;
    ssize_t n;

    do
        n = host_sendmsg(s->sock, &op->msg, MSG_NOSIGNAL);
    while (n == -EINTR);
    if (n < 0)
        server_session_end(s, "the reply could not be sent", /*violation=*/false);
    server_op_put(op);
}

static void run_done(struct poll_loop *p)
{
    struct list done;
    uint64_t count;

    list_init(&done);
    IGNORE_RESULT(host_read(p->event, &count, sizeof(count))); /* only clears it */
    pthread_mutex_lock(&p->lock);
    list_splice_tail(&done, &p->done);
    pthread_mutex_unlock(&p->lock);
    while (!list_empty(&done)) {
        struct op *op = list_first_entry(&done, struct op, link);

        list_del(&op->link);
        op->resume(op, op->async_result);
    }
}

static void session_readable(struct session *s)
{
    struct op *op = server_op_get(s);
    ssize_t n;

    if (!op)
        return; /* all operations are with the workers: the request waits in the socket */
    op_prepare_recv(op);
    n = host_recvmsg(s->sock, &op->msg, MSG_DONTWAIT);
    if (n == -EAGAIN || n == -EINTR)
        server_op_put(op);
    else
        server_received(op, (int)n);
}

static int poll_run(struct server *sv)
{
    struct poll_loop *p = sv->async_data;

    while (sv->alive > 0 || sv->ops_busy > 0) {
        bool room = !list_empty(&sv->free_ops);
        int ret;

        for (size_t i = 0; i < sv->session_count; i++) {
            bool wanted = room && sv->sessions[i].state != SESSION_DEAD;

            p->fds[i] = (struct pollfd){.fd = wanted ? sv->sessions[i].sock : -1, .events = POLLIN};
        }
        p->fds[sv->session_count] = (struct pollfd){.fd = p->event, .events = POLLIN};
        ret = host_ppoll(p->fds, (unsigned)sv->session_count + 1, NULL);
        if (ret == -EINTR)
            continue;
        if (ret < 0)
            return ret;
        if (p->fds[sv->session_count].revents)
            run_done(p);
        for (size_t i = 0; i < sv->session_count; i++) {
            if (p->fds[i].revents && sv->sessions[i].state != SESSION_DEAD)
                session_readable(&sv->sessions[i]);
        }
    }
    return 0;
}

const struct gofer_async g_gofer_poll = {
    .name = "poll",
    .start = poll_start,
    .run = poll_run,
    .open = poll_open,
    .sync = poll_sync,
    .send = poll_send,
    .stop = poll_stop,
};
