/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's objects. One thread runs all of it; only the two slow calls (openat2 of what is not
 * cached, fsync) leave it, through struct gofer_async, and come back as op->resume on that thread.
 * So nothing here is locked.
 */
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <linux/openat2.h>

#include "gofer/gofer.h"
#include "gofer/proto/proto.h"
#include "platform/base/list.h"
#include "platform/base/log.h"

struct op;
struct server;
struct session;

/* One host object that a fid names. Lifetime: refcounted by fids and by operations in progress. */
struct node {
    unsigned refs;
    int fd;      /* O_PATH, or the read-write descriptor a CREATE made */
    int list_fd; /* directory opened for reading while a listing is in progress, else -1 */
    uint64_t list_pos;
    uint32_t mode;
    uint64_t dev, ino;
    bool foreign; /* top of a host file system that is not served (proc, sysfs): an empty directory
                   */
};

enum session_state {
    SESSION_NEW,     /* only HELLO is legal */
    SESSION_GREETED, /* only ATTACH is legal */
    SESSION_READY,   /* everything but HELLO */
    SESSION_DEAD,    /* nothing is read any more; operations in progress drain */
};
#define STATE_BIT(s) (1u << (s))

/* Lifetime: embedded in the server. */
struct session {
    struct server *server;
    int sock; /* -1 when dead */
    int root_fd;
    bool readonly, broke_protocol;
    enum session_state state;
    size_t index;
    uint32_t max_size;
    struct node **fids; /* max_fids entries */
    uint32_t max_fids;
    uint64_t root_dev;
    unsigned ops_busy; /* operations that point here */
    struct op *armed;  /* the operation waiting for the next request, or NULL */
};

/* What a handler returns besides 0 and -errno (the reply's status). */
enum op_verdict {
    OP_PENDING = 1,   /* resume will be called */
    OP_SILENT = 2,    /* no reply */
    OP_VIOLATION = 3, /* the peer broke protocol: end the session */
};

struct walk_state {
    struct gp_walk_part parts[GP_WALK_MAX];
    struct node *found[GP_WALK_MAX]; /* +1 each */
    size_t count, done;
    uint32_t flags;
    struct node *dir; /* +1 */
    enum gp_stop stop;
    int error;
    size_t count_off; /* where `done` is written in the reply */
};

/* One request in progress: its buffers, its reply, its continuation. Lifetime: pooled in the
 * server. */
struct op {
    struct list link; /* free list or worker queue */
    struct session *session;
    struct gp_header header;
    uint8_t *in_buf, *out_buf; /* GP_MSG_MAX each */
    struct wbuf out;
    bool batched;             /* must finish before the handler returns */
    int fds[GP_FDS_MAX];      /* to be sent with the reply */
    bool fd_keep[GP_FDS_MAX]; /* borrowed from a node: not closed after the reply */
    unsigned fd_count;
    /* continuation */
    void (*resume)(struct op *op, int result);
    int async_dirfd;
    char async_name[GP_NAME_MAX + 1];
    struct node *async_node; /* +1 while an fsync runs */
    bool async_data_only, async_is_sync;
    int async_result;
    struct walk_state walk;
    struct open_how async_how;
    /* socket I/O */
    struct msghdr msg;
    struct iovec iov;
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * GP_FDS_MAX)];
    enum { OP_IO_NONE, OP_IO_RECV, OP_IO_SEND, OP_IO_OPEN, OP_IO_SYNC } io;
};

/* How a loop runs the slow calls and takes finished replies. */
struct gofer_async {
    const char *name;
    /* Prepares rings and threads; before the seccomp filter. */
    int (*start)(struct server *sv);
    /* Serves until all sessions are dead. */
    int (*run)(struct server *sv);
    /* Starts openat2(op->async_dirfd, op->async_name, O_PATH|O_NOFOLLOW) / fsync; resume follows.
     */
    void (*open)(struct op *op);
    void (*sync)(struct op *op);
    /* Sends a prepared reply whose socket was full; server_op_put follows. */
    void (*send)(struct op *op);
    void (*stop)(struct server *sv);
};
extern const struct gofer_async g_gofer_uring, g_gofer_poll;

/* Operations beyond one per session: how many requests may be in progress while one is awaited. */
#define SERVER_SPARE_OPS 8u
#define SERVER_SCRATCH   32768u

struct server {
    struct session *sessions;
    size_t session_count, alive;
    const struct gofer_async *async;
    void *async_data;
    struct op *ops;
    size_t op_count, ops_busy;
    struct list free_ops;
    int proc_fd;           /* directory /proc/self/fd, or -1: nothing can be opened for data then */
    bool cached_opens;     /* the kernel knows RESOLVE_CACHED */
    int32_t cpu, cpu_seen; /* hint that the loop is pinned to, the last one that differed */
    unsigned cpu_count;    /* how often in a row */
    bool can_chown;        /* CAP_CHOWN: owners of created files are set */
    uint8_t *scratch;      /* getdents and xattr values: GP_XATTR_MAX bytes */
};

/* fid.c */
struct node *node_new(int fd, const struct statx *st);
struct node *node_get(struct node *n);
void node_put(struct node *n);
/* Borrowed; NULL when nothing is bound. */
struct node *fid_lookup(struct session *s, uint32_t fid);
/* May fid be bound now (in range, free)? */
bool fid_bindable(struct session *s, uint32_t fid);
void fid_bind_take(struct session *s, uint32_t fid, struct node *n);
void fid_clunk(struct session *s, uint32_t fid);
void fid_clunk_all(struct session *s);

/* dispatch.c */
/* A request of size bytes is in op->in_buf. Ends with op_finish, now or after the continuation. */
void op_dispatch(struct op *op, size_t size);
/* Continuation ended: sends the reply with this status. */
void op_complete(struct op *op, int status);
void op_donate_take(struct op *op, int fd);
void op_donate_borrowed(struct op *op, int fd);

/* server.c */
struct gofer_isolation;
int server_init(struct server *sv, const struct gofer_config *config,
                const struct gofer_isolation *iso);
/* Starts the loop's rings and threads; may be called again with another loop after it failed. */
int server_start(struct server *sv, const struct gofer_async *async);
void server_destroy(struct server *sv);
struct op *server_op_get(struct session *s); /* NULL when all are busy */
void server_op_put(struct op *op);           /* closes donated descriptors */
/* Sends op->out and gives op back, now or, when the socket is full, through async->send. */
void server_reply(struct op *op);
void server_session_end(struct session *s, const char *reason, bool violation);
/* The asker runs on this CPU (plus 1; 0: unknown): moves the loop there when it keeps asking. */
void server_follow(struct server *sv, int32_t hint);
/* Fills msg for a receive into in_buf / a send of out. */
void op_prepare_recv(struct op *op);
void op_prepare_send(struct op *op);
/* Called by the loop with the result of a receive. */
void server_received(struct op *op, int result);

/* Handlers: 0, -errno or enum op_verdict. */
typedef int op_handler(struct op *op, struct rbuf *in, struct wbuf *out);
op_handler handle_hello, handle_attach, handle_walk, handle_getattr, handle_setattr, handle_open,
    handle_readdir, handle_readlink, handle_create, handle_tmpfile, handle_mkdir, handle_mknod,
    handle_symlink, handle_link, handle_unlink, handle_rename, handle_statfs, handle_fsync,
    handle_getxattr, handle_setxattr, handle_listxattr, handle_removexattr, handle_clunk;

/* attr.c */
void attr_from_statx(struct gp_attr *a, const struct statx *st);
/* Attributes of the node into the reply. */
int reply_attr(struct wbuf *out, const struct node *n);
/* io.c: opens the object again by its descriptor with real access; never a special file. */
int node_reopen(struct server *sv, const struct node *n, int flags);

/* Entries of directory n from cookie on, as READDIR's reply has them. 0 or -errno. */
int list_reply(struct op *op, struct node *n, uint64_t cookie, uint32_t flags, struct wbuf *out);

/* isolate.c */
struct gofer_isolation {
    int *root_fds; /* count entries, set by isolate_tree: O_PATH descriptor of each tree's top */
    int proc_fd;
    bool can_chown;
};
/* Stages 1-4 of README.md. */
int isolate_enter(const struct gofer_config *config, struct gofer_isolation *out);
/* Stage 5: the seccomp filter; after the loop's rings and threads exist. */
int isolate_seal(void);
