/* SPDX-License-Identifier: Apache-2.0 */
/* System V IPC as system calls see it: shmop(2), semop(2), msgop(2). All act in the caller's ipc
 * namespace; guest structures are copied by these functions. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/ipc.h"

struct ipcns;
struct task;

/* Limits of an ipc namespace, by their names in /proc/sys/kernel; sem has the last four.
 * Keys: a atomic */
struct ipc_limits {
    _Atomic uint64_t shmmax, shmall, shmmni, shm_rmid_forced; /* a; shmall in pages */
    _Atomic uint64_t msgmax, msgmnb, msgmni;                  /* a */
    _Atomic uint64_t semmsl, semmns, semopm, semmni;          /* a */
};
struct ipc_limits *ipcns_limits(struct ipcns *ns);

struct sysv_shm_info {
    int id;
    struct lx_shmid_ds ds;
    uint64_t resident; /* bytes */
};
struct sysv_sem_info {
    int id;
    struct lx_semid_ds ds;
};
struct sysv_msg_info {
    int id;
    struct lx_msqid_ds ds;
};

long shm_get(struct task *t, int32_t key, uint64_t size, int flags);
long shm_attach(struct task *t, int id, uaddr_t addr, int flags);
long shm_detach(struct task *t, uaddr_t addr);
long shm_control(struct task *t, int id, int cmd, uaddr_t buf);

long sem_get(struct task *t, int32_t key, int nsems, int flags);
/* deadline: monotonic or NO_DEADLINE. */
long sem_operate(struct task *t, int id, uaddr_t sops, uint32_t count, uint64_t deadline);
long sem_control(struct task *t, int id, int num, int cmd, uint64_t arg);

long msg_get(struct task *t, int32_t key, int flags);
long msg_send(struct task *t, int id, uaddr_t msg, uint64_t size, int flags);
long msg_receive(struct task *t, int id, uaddr_t msg, uint64_t size, int64_t type, int flags);
long msg_control(struct task *t, int id, int cmd, uaddr_t buf);

/* Removes the segments that nobody maps and whose creators have ended, as setting shm_rmid_forced does. */
void shm_remove_orphans(struct ipcns *ns);

/* All objects of one kind, as /proc/sysvipc shows them. *out is allocated; -ENOMEM. */
int shm_list(struct ipcns *ns, struct sysv_shm_info **out, size_t *count);
int sem_list(struct ipcns *ns, struct sysv_sem_info **out, size_t *count);
int msg_list(struct ipcns *ns, struct sysv_msg_info **out, size_t *count);

/* Did the process ask for SEM_UNDO since it was made, or make a thread that shares it? */
bool sysv_sem_undo_used(const struct task *t);
