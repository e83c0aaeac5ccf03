/* SPDX-License-Identifier: Apache-2.0 */
/* System V shared memory, semaphores and message queues. */
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "tests/support/guest_test.h"

TEST(shared_memory)
{
    struct shmid_ds ds;
    int id = (int)sysp(SYS_shmget, IPC_PRIVATE, (size_t)10000, IPC_CREAT | 0600), status;
    volatile char *p;
    pid_t pid;

    if (id == -ENOSYS)
        SKIP("no System V shared memory");
    REQUIRE(id >= 0);
    p = (void *)sysp(SYS_shmat, id, NULL, 0);
    REQUIRE((long)p > 0);
    CHECK_EQ(p[9999], 0);
    pid = fork();
    if (pid == 0) {
        p[5000] = 'x';
        _exit(0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(p[5000], 'x');
    CHECK_EQ(sysp(SYS_shmctl, id, IPC_STAT, &ds), 0);
    CHECK_EQ(ds.shm_segsz, 10000);
    CHECK_EQ(ds.shm_nattch, 1);
    CHECK_EQ(ds.shm_cpid, getpid());
    CHECK_EQ(sysp(SYS_shmctl, id, IPC_RMID, NULL), 0);
    CHECK_EQ(p[5000], 'x');
    CHECK_EQ(sysp(SYS_shmdt, p), 0);
    CHECK_ERR(sysp(SYS_shmat, id, NULL, 0), EINVAL);
    CHECK_ERR(sysp(SYS_shmdt, p), EINVAL);
    CHECK_ERR(sysp(SYS_shmget, 0x7eadbeef, (size_t)100, 0600), ENOENT);
    CHECK_ERR(sysp(SYS_shmget, IPC_PRIVATE, (size_t)0, IPC_CREAT | 0600), EINVAL);
}

TEST(shared_memory_by_key)
{
    int key = 0x51000000 + getpid();
    int id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600);

    if (id < 0 && errno == ENOSYS)
        SKIP("no System V shared memory");
    REQUIRE(id >= 0);
    CHECK_EQ(shmget(key, 100, 0600), id);
    CHECK_ERR(shmget(key, 8192, 0600), EINVAL);
    CHECK_ERR(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    CHECK_EQ(shmctl(id, IPC_RMID, NULL), 0);
}

TEST(semaphores)
{
    struct sembuf down = {0, -1, 0}, up = {0, 1, 0}, try = {0, -1, IPC_NOWAIT}, zero = {0, 0, 0};
    struct timespec ts = {0, 20000000};
    unsigned short values[2] = {1, 5};
    int id = (int)sysp(SYS_semget, IPC_PRIVATE, 2, IPC_CREAT | 0600), status;
    pid_t pid;

    if (id == -ENOSYS)
        SKIP("no System V semaphores");
    REQUIRE(id >= 0);
    CHECK_EQ(sysp(SYS_semctl, id, 0, SETALL, values), 0);
    CHECK_EQ(sysp(SYS_semctl, id, 1, GETVAL, 0L), 5);
    CHECK_EQ(sysp(SYS_semop, id, &down, 1u), 0);
    CHECK_ERR(sysp(SYS_semop, id, &try, 1u), EAGAIN);
    CHECK_ERR(sysp(SYS_semtimedop, id, &down, 1u, &ts), EAGAIN);
    CHECK_EQ(sysp(SYS_semop, id, &zero, 1u), 0);
    pid = fork();
    if (pid == 0)
        _exit(semop(id, &down, 1) == 0 ? 0 : 1);
    while (semctl(id, 0, GETNCNT) == 0)
        test_sleep_ms(5);
    CHECK_EQ(semctl(id, 0, GETNCNT), 1);
    CHECK_EQ(sysp(SYS_semop, id, &up, 1u), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    /* SEM_UNDO: given back when the process ends. */
    up.sem_flg = SEM_UNDO;
    pid = fork();
    if (pid == 0)
        _exit(semop(id, &up, 1) == 0 ? 0 : 1);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(semctl(id, 0, GETVAL), 0);
    CHECK_ERR(sysp(SYS_semop, id, &up, 0u), EINVAL);
    up.sem_num = 7;
    CHECK_ERR(sysp(SYS_semop, id, &up, 1u), EFBIG);
    pid = fork();
    if (pid == 0)
        _exit(semop(id, &down, 1) < 0 && errno == EIDRM ? 0 : 1);
    while (semctl(id, 0, GETNCNT) == 0)
        test_sleep_ms(5);
    CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_ERR(sysp(SYS_semop, id, &down, 1u), EINVAL);
}

TEST(message_queues)
{
    struct {
        long type;
        char text[16];
    } m = {2, "two"};
    struct msqid_ds ds;
    int id = (int)sysp(SYS_msgget, IPC_PRIVATE, IPC_CREAT | 0600), status;
    pid_t pid;

    if (id == -ENOSYS)
        SKIP("no System V message queues");
    REQUIRE(id >= 0);
    CHECK_EQ(sysp(SYS_msgsnd, id, &m, (size_t)4, 0), 0);
    m.type = 1;
    strcpy(m.text, "one");
    CHECK_EQ(sysp(SYS_msgsnd, id, &m, (size_t)4, 0), 0);
    CHECK_EQ(sysp(SYS_msgctl, id, IPC_STAT, &ds), 0);
    CHECK_EQ(ds.msg_qnum, 2);
    CHECK_EQ(sysp(SYS_msgrcv, id, &m, (size_t)16, 1L, 0), 4);
    CHECK_STR(m.text, "one");
    CHECK_ERR(sysp(SYS_msgrcv, id, &m, (size_t)16, 5L, IPC_NOWAIT), ENOMSG);
    CHECK_ERR(sysp(SYS_msgrcv, id, &m, (size_t)1, 0L, 0), E2BIG);
    CHECK_EQ(sysp(SYS_msgrcv, id, &m, (size_t)1, 0L, MSG_NOERROR), 1);
    pid = fork();
    if (pid == 0) {
        test_sleep_ms(30);
        m.type = 9;
        _exit(msgsnd(id, &m, 1, 0) == 0 ? 0 : 1);
    }
    CHECK_EQ(sysp(SYS_msgrcv, id, &m, (size_t)16, -10L, 0), 1);
    CHECK_EQ(m.type, 9);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    m.type = 0;
    CHECK_ERR(sysp(SYS_msgsnd, id, &m, (size_t)1, 0), EINVAL);
    CHECK_EQ(sysp(SYS_msgctl, id, IPC_RMID, NULL), 0);
    CHECK_ERR(sysp(SYS_msgrcv, id, &m, (size_t)16, 0L, 0), EINVAL);
}

/* Sizes that no memory has are refused before anything is made of them. */
TEST(shm_sizes_beyond_all_memory)
{
    CHECK_ERR(sys(SYS_shmget, 0L, 0xae7652c44a000000UL, 0600UL), EINVAL);
    CHECK_ERR(sys(SYS_shmget, 0L, 1UL << 62, 0600UL), ENOMEM);
    CHECK_ERR(sys(SYS_shmget, 0L, 1UL << 46, 0600UL), ENOMEM);
    CHECK_ERR(sys(SYS_mmap, 0L, 1UL << 46, 3UL, 0x21UL, -1L, 0L), ENOMEM);
}

GUEST_TEST_MAIN
