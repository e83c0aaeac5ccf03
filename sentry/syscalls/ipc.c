/* SPDX-License-Identifier: Apache-2.0 */
/* System V IPC: hand the arguments to kernel/sysv_*. */
#include <errno.h>

#include "sentry/abi/time.h"
#include "sentry/kernel/sysvipc.h"
#include "sentry/kernel/task.h"
#include "sentry/mm/uaccess.h"
#if __has_include("gen/syscall_protos.h")
#include "gen/syscall_protos.h"
#endif

long sys_shmget(struct task *t, int key, size_t size, int shmflg)
{
    return shm_get(t, key, size, shmflg);
}

long sys_shmat(struct task *t, int shmid, uaddr_t shmaddr, int shmflg)
{
    return shm_attach(t, shmid, shmaddr, shmflg);
}

long sys_shmdt(struct task *t, uaddr_t shmaddr)
{
    return shm_detach(t, shmaddr);
}

long sys_shmctl(struct task *t, int shmid, int cmd, uaddr_t buf)
{
    return shm_control(t, shmid, cmd, buf);
}

long sys_semget(struct task *t, int key, int nsems, int semflg)
{
    return sem_get(t, key, nsems, semflg);
}

long sys_semop(struct task *t, int semid, uaddr_t tsops, uint32_t nsops)
{
    return sem_operate(t, semid, tsops, nsops, NO_DEADLINE);
}

long sys_semtimedop(struct task *t, int semid, uaddr_t tsops, uint32_t nsops, uaddr_t timeout)
{
    struct lx_timespec ts;

    if (!timeout)
        return sem_operate(t, semid, tsops, nsops, NO_DEADLINE);
    if (get_user(&ts, timeout) < 0)
        return -EFAULT;
    if (!lx_timespec_valid(&ts))
        return -EINVAL;
    return sem_operate(t, semid, tsops, nsops, deadline_after(lx_timespec_to_ns(&ts)));
}

long sys_semctl(struct task *t, int semid, int semnum, int cmd, uint64_t arg)
{
    return sem_control(t, semid, semnum, cmd, arg);
}

long sys_msgget(struct task *t, int key, int msgflg)
{
    return msg_get(t, key, msgflg);
}

long sys_msgsnd(struct task *t, int msqid, uaddr_t msgp, size_t msgsz, int msgflg)
{
    return msg_send(t, msqid, msgp, msgsz, msgflg);
}

long sys_msgrcv(struct task *t, int msqid, uaddr_t msgp, size_t msgsz, int64_t msgtyp, int msgflg)
{
    return msg_receive(t, msqid, msgp, msgsz, msgtyp, msgflg);
}

long sys_msgctl(struct task *t, int msqid, int cmd, uaddr_t buf)
{
    return msg_control(t, msqid, cmd, buf);
}
