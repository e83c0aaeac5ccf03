/* SPDX-License-Identifier: Apache-2.0 */
/* System V shared memory, semaphores and message queues. */
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "tests/support/guest_test.h"

static void reap(pid_t pid, int want)
{
    int status;

    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, want);
}

TEST(shm_is_shared_across_fork_and_counts_attachments)
{
    int id = shmget(IPC_PRIVATE, 10000, IPC_CREAT | 0600);
    struct shmid_ds ds;
    char *p;
    pid_t pid;

    REQUIRE(id >= 0);
    p = shmat(id, NULL, 0);
    REQUIRE(p != (void *)-1);
    CHECK_EQ(p[9999], 0);
    pid = fork();
    if (!pid) {
        strcpy(p, "child");
        _exit(shmdt(p) != 0);
    }
    reap(pid, 0);
    CHECK_STR(p, "child");
    CHECK_EQ(shmctl(id, IPC_STAT, &ds), 0);
    CHECK_EQ(ds.shm_nattch, 1);
    CHECK_EQ(ds.shm_segsz, 10000);
    CHECK_EQ(ds.shm_cpid, getpid());
    /* Removed while attached: usable by id until the last detach. */
    CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
    CHECK_EQ(shmctl(id, IPC_STAT, &ds), 0);
    CHECK(ds.shm_perm.mode & SHM_DEST);
    CHECK_EQ(shmdt(p), 0);
    CHECK_ERR(shmctl(id, IPC_STAT, &ds), EINVAL);
    CHECK_ERR(shmdt(p), EINVAL);
}

TEST(shm_keys_sizes_and_flags)
{
    key_t key = 0x5a000000 | (getpid() & 0xffff);
    int id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600);
    char *p;

    REQUIRE(id >= 0);
    CHECK_EQ(shmget(key, 4096, 0600), id);
    CHECK_EQ(shmget(key, 0, 0), id);
    CHECK_ERR(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    CHECK_ERR(shmget(key, 8192, 0600), EINVAL);
    p = shmat(id, NULL, SHM_RDONLY);
    REQUIRE(p != (void *)-1);
    CHECK_ERR(mprotect(p, 4096, PROT_READ | PROT_WRITE), EACCES);
    CHECK_ERR((long)shmat(id, p + 1, 0), EINVAL);
    CHECK_EQ(shmdt(p), 0);
    CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
    CHECK_ERR(shmget(key, 4096, 0600), ENOENT);
    CHECK_ERR((long)shmat(id, NULL, 0), EINVAL);
    CHECK_ERR(shmget(IPC_PRIVATE, 0, IPC_CREAT | 0600), EINVAL);
}

TEST(sem_operations_are_atomic_and_block)
{
    int id = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600), id2;
    struct sembuf both[2] = {{0, -1, 0}, {1, -1, 0}}, one = {0, 1, 0}, zero = {0, 0, IPC_NOWAIT};
    struct timespec ts = {0, 30000000};
    unsigned short vals[2];
    pid_t pid;

    REQUIRE(id >= 0);
    CHECK_EQ(semctl(id, 0, GETVAL), 0);
    CHECK_EQ(semop(id, &zero, 1), 0);
    CHECK_EQ(semctl(id, 0, SETVAL, 1), 0);
    CHECK_ERR(semop(id, &zero, 1), EAGAIN);
    CHECK_ERR(semtimedop(id, both, 2, &ts), EAGAIN);
    CHECK_EQ(semctl(id, 0, GETVAL), 1); /* nothing was taken */
    pid = fork();
    if (!pid)
        _exit(semop(id, both, 2) != 0);
    while (semctl(id, 1, GETNCNT) != 1)
        usleep(1000);
    one.sem_num = 1;
    CHECK_EQ(semop(id, &one, 1), 0);
    reap(pid, 0);
    CHECK_EQ(semctl(id, 0, GETALL, vals), 0);
    CHECK_EQ(vals[0] + vals[1], 0);
    CHECK_EQ(semctl(id, 1, GETPID), pid);
    CHECK_ERR(semctl(id, 0, SETVAL, 40000), ERANGE);
    CHECK_ERR(semctl(id, 5, GETVAL), EINVAL);
    one.sem_num = 7;
    CHECK_ERR(semop(id, &one, 1), EFBIG);
    pid = fork();
    if (!pid)
        _exit(semop(id, both, 2) == -1 ? errno : 0);
    while (semctl(id, 0, GETNCNT) != 1)
        usleep(1000);
    CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
    reap(pid, EIDRM << 8);
    id2 = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    CHECK(id2 != id);
    CHECK_EQ(semctl(id2, 0, IPC_RMID), 0);
}

TEST(sem_undo_happens_at_exit)
{
    int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
    struct sembuf up = {0, 3, SEM_UNDO};
    pid_t pid;

    REQUIRE(id >= 0);
    pid = fork();
    if (!pid)
        _exit(semop(id, &up, 1) != 0 || semctl(id, 0, GETVAL) != 3);
    reap(pid, 0);
    CHECK_EQ(semctl(id, 0, GETVAL), 0);
    CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
}

struct msg {
    long type;
    char text[64];
};

TEST(messages_by_type_and_order)
{
    int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    struct msg m = {1, "one"};
    struct msqid_ds ds;
    pid_t pid;

    REQUIRE(id >= 0);
    CHECK_EQ(msgsnd(id, &m, 4, 0), 0);
    m = (struct msg){3, "three"};
    CHECK_EQ(msgsnd(id, &m, 6, 0), 0);
    m = (struct msg){2, "two"};
    CHECK_EQ(msgsnd(id, &m, 4, 0), 0);
    CHECK_EQ(msgctl(id, IPC_STAT, &ds), 0);
    CHECK_EQ(ds.msg_qnum, 3);
    CHECK_EQ(ds.__msg_cbytes, 14);
    CHECK_ERR(msgrcv(id, &m, 2, 3, 0), E2BIG);
    CHECK_EQ(msgrcv(id, &m, 2, 3, MSG_NOERROR), 2);
    CHECK_EQ(msgrcv(id, &m, 64, -2, 0), 4);
    CHECK_EQ(m.type, 1);
    CHECK_EQ(msgrcv(id, &m, 64, 0, 0), 4);
    CHECK_STR(m.text, "two");
    CHECK_ERR(msgrcv(id, &m, 64, 0, IPC_NOWAIT), ENOMSG);
    m.type = 0;
    CHECK_ERR(msgsnd(id, &m, 4, 0), EINVAL);
    pid = fork();
    if (!pid) {
        struct msg r;

        _exit(msgrcv(id, &r, 64, 9, 0) != 5 || strcmp(r.text, "nine"));
    }
    usleep(20000);
    m = (struct msg){9, "nine"};
    CHECK_EQ(msgsnd(id, &m, 5, 0), 0);
    reap(pid, 0);
    pid = fork();
    if (!pid) {
        struct msg r;

        _exit(msgrcv(id, &r, 64, 0, 0) == -1 ? errno : 0);
    }
    usleep(20000);
    CHECK_EQ(msgctl(id, IPC_RMID, NULL), 0);
    reap(pid, EIDRM << 8);
}

TEST(messages_wait_for_room)
{
    int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600), sent = 0;
    static char big[8192 + sizeof(long)];
    pid_t pid;

    REQUIRE(id >= 0);
    *(long *)(void *)big = 1;
    CHECK_ERR(msgsnd(id, big, 8193, 0), EINVAL);
    while (msgsnd(id, big, 4000, IPC_NOWAIT) == 0)
        sent++;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(sent, 4);
    pid = fork();
    if (!pid)
        _exit(msgsnd(id, big, 4000, 0) != 0);
    usleep(20000);
    CHECK_EQ(msgrcv(id, big, 4000, 0, 0), 4000);
    reap(pid, 0);
    CHECK_EQ(msgctl(id, IPC_RMID, NULL), 0);
}

GUEST_TEST_MAIN
