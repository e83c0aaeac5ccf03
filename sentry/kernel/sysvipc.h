/* SPDX-License-Identifier: Apache-2.0 */
/* System V IPC as system calls see it: shmop(2), semop(2), msgop(2). All act in the caller's ipc
 * namespace; guest structures are copied by these functions. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/ipc.h"

struct task;

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

/* Did the process ask for SEM_UNDO since it was made, or make a thread that shares it? */
bool sysv_sem_undo_used(const struct task *t);
