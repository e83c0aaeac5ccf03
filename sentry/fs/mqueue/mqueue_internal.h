/* SPDX-License-Identifier: Apache-2.0 */
/* Inside fs/mqueue: the super, the queue. */
#pragma once

#include "sentry/abi/signal.h"
#include "sentry/core/user.h"
#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/fs/vfs_internal.h"

/* Keys: I immutable; a atomic */
struct mqueue_super {
    struct super super;
    struct mqueue_limits limits; /* a */
    atomic_long queues;          /* a: names and queues that still exist */
};

struct mq_message {
    struct list node; /* q */
    uint32_t prio;
    size_t size;
    uint8_t text[];
};

/* Who waits for room or for a message; on its stack. Done: msg was taken or given. */
struct mq_waiter {
    struct list node;        /* q */
    struct mq_message *msg;  /* q: to send, or received */
    struct sleeper *sleeper; /* I */
    bool done;               /* q */
};

/* Who is told when a message comes to the empty queue. */
struct mq_notify {
    struct pid *owner;        /* q, +1; NULL: nobody */
    struct userns *userns;    /* q, +1: whose ids si_uid is in */
    struct lx_sigevent event; /* q */
    struct file *sock;        /* q, +1: SIGEV_THREAD's netlink socket */
    uint8_t cookie[LX_MQ_COOKIE_SIZE];
};

/* Lifetime: refcounted as its inode. Keys: I immutable; q ->lock; D lock of the directory */
struct mqueue {
    struct inode inode;
    struct mutex lock;              /* rank MQUEUE */
    int64_t maxmsg, msgsize;        /* I */
    int64_t curmsgs;                /* q */
    uint64_t qsize;                 /* q: bytes of text in it */
    struct list messages;           /* q: highest priority first, oldest first among equals */
    struct list senders, receivers; /* q: mq_waiter, in order of arrival */
    struct mq_notify notify;        /* q */
    struct waitq wq;                /* poll */
    struct user *user;              /* I, +1: whose mq_bytes */
    uint64_t charge;                /* I: bytes of it */
};

/* Keys: D lock of the directory */
struct mqueue_entry {
    struct list node;  /* D: in order of creation */
    struct mqueue *mq; /* D, +1 */
    uint64_t pos;      /* D */
    size_t len;
    UT_hash_handle hh; /* D */
    char name[];
};

struct mqueue_dir {
    struct inode inode;
    struct mqueue_entry *names; /* D: uthash */
    struct list order;          /* D */
    uint64_t next_pos;          /* D */
};

static inline struct mqueue *mqueue_of(struct inode *i)
{
    return container_of(i, struct mqueue, inode);
}

extern const struct file_ops g_mqueue_file_ops;
/* A queue of the caller's: -EINVAL, -EOVERFLOW, -EMFILE, -ENOMEM. attr NULL: the defaults. */
int MUST_CHECK mqueue_new(struct mqueue_super *ms, const struct inode *dir, uint32_t mode,
                          const struct lx_mq_attr *attr, struct mqueue **out);
int mqueue_inode_open(struct inode *inode, struct dentry *dentry, uint32_t flags,
                      struct file **out);
extern const struct inode_ops g_mqueue_inode_ops;
