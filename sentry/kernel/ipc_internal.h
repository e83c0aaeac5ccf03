/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System V IPC inside kernel/: the three tables of a namespace and what their objects share. All of
 * it is under one leaf lock per namespace, which is never held over guest copies or sleeps.
 */
#pragma once

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "platform/base/refs.h"
#include "sentry/abi/ipc.h"
#include "sentry/core/sleep.h"
#include "sentry/core/userns.h"
#include "sentry/kernel/sysvipc.h"

struct mntns;
struct pid;
struct task;
struct thread_group;

/* The common head of shm segments, semaphore sets and message queues.
 * Keys: I immutable; i ipcns.lock */
struct ipc_object {
    int32_t key;        /* i: IPC_PRIVATE after removal */
    int id;             /* I: seq << 15 | index */
    lx_uid_t uid, cuid; /* i, I: kernel ids */
    lx_gid_t gid, cgid;
    uint32_t mode;                         /* i */
    bool removed;                          /* i: id is gone; users may still hold it */
    struct refs refs;                      /* table, sleepers, attachments */
    int64_t ctime;                         /* i */
    void (*destroy)(struct ipc_object *o); /* last reference; frees, takes no lock, may be called
                                            * with the mm lock held */
};

struct ipc_table {
    struct ipc_object **slots; /* i, +1 each */
    uint32_t capacity, count;  /* i */
    uint16_t seq;              /* i: of the next object */
};

enum ipc_kind { IPC_SHM, IPC_SEM, IPC_MSG, IPC_KINDS };

/* Lifetime: refcounted. Keys: I immutable; i ->lock */
struct ipcns {
    struct refs refs;
    struct mutex lock;                  /* rank LEAF */
    struct userns *owner;               /* I, +1 */
    uint64_t inum;                      /* I */
    struct ipc_table tables[IPC_KINDS]; /* i */
    struct waitq msg_wq;                /* senders and receivers of all queues */
    struct ipc_limits limits;           /* a */
    _Atomic uint64_t shm_pages;         /* a: in all segments */
    _Atomic uint64_t sems;              /* a: in all sets */
    uint64_t msg_bytes;                 /* i: in all queues */
    struct mntns *mqueue;               /* i, +1: home of POSIX queues, made at first use */
};

#define IPC_INDEX(id) ((uint32_t)(id)&0x7fffu)

/* shmget and friends: finds key or makes an object. make returns a fresh object (refs 1) that the
 * table takes over; check looks at an existing one (size). -ENOENT, -EEXIST, -EACCES, -ENOSPC. */
struct ipc_get {
    enum ipc_kind kind;
    int32_t key;
    int flags;
    int (*make)(struct ipcns *ns, const struct ipc_get *g, struct ipc_object **out);
    int (*check)(const struct ipc_get *g, const struct ipc_object *o);
    uint64_t size;
    int nsems;
};
int ipc_get(struct ipcns *ns, const struct ipc_get *g);
/* By id, under the lock: borrowed. -EINVAL, -EIDRM. */
int ipc_find_locked(struct ipcns *ns, enum ipc_kind kind, int id, struct ipc_object **out);
/* By table index (IPC_STAT variants). */
struct ipc_object *ipc_at_locked(struct ipcns *ns, enum ipc_kind kind, int index);
int ipc_highest_locked(struct ipcns *ns, enum ipc_kind kind);
/* want: rwx bits for owner, group and others as in mode. -EACCES. */
int ipc_permission(struct ipcns *ns, const struct ipc_object *o, uint32_t want);
int ipc_may_control(struct ipcns *ns, const struct ipc_object *o); /* owner, creator: -EPERM */
void ipc_init_object(struct ipc_object *o, const struct ipc_get *g);
/* Takes the id away; the table's reference is handed to the caller. */
void ipc_remove_locked(struct ipcns *ns, enum ipc_kind kind, struct ipc_object *o);
void ipc_put(struct ipc_object *o);
void ipc_perm_out(const struct ipc_object *o, struct lx_ipc_perm *out);
int ipc_perm_set(struct ipc_object *o, const struct lx_ipc_perm *in);
int64_t ipc_now(void);
/* An array of count elements of that size, each filled in by put under the lock; NULL: no memory. */
void *ipc_list(struct ipcns *ns, enum ipc_kind kind, size_t size,
               void (*put)(const struct ipc_object *o, void *info), size_t *count);

struct mqueue_ops;
extern const struct mqueue_ops g_kernel_mqueue_ops;

/* Applies the semaphore undo of t's process, whose last thread is going. Holds no lock. */
void ipc_group_exit(struct task *t);
void sem_group_exit(struct ipcns *ns, struct thread_group *tg);
void shm_group_exit(struct ipcns *ns, const struct pid *tgid);
