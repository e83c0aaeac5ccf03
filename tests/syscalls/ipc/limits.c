/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of System V IPC, /proc/sys/kernel, in an ipc namespace of its own; its objects in /proc/sysvipc. */
#include <sched.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "tests/support/guest_test.h"

static int set(const char *name, const char *value)
{
    char path[64];
    int fd, ret;

    snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
    fd = open(path, O_WRONLY);
    if (fd < 0)
        return -errno;
    ret = write(fd, value, strlen(value)) < 0 ? -errno : 0;
    close(fd);
    return ret;
}

/* The whole file, without the last newline. */
static const char *text_of(const char *path)
{
    static char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    close(fd);
    text[n > 0 ? n - 1 : 0] = '\0';
    return text;
}

static long value_of(const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
    return strtol(text_of(path), NULL, 10);
}

static void own_namespace(void)
{
    if (unshare(CLONE_NEWIPC) < 0)
        _exit(0);
}

static void shared_memory(void)
{
    struct shminfo info;
    int id, other;

    own_namespace();
    CHECK_EQ(value_of("shmmni"), 4096);
    CHECK_EQ(set("shmmax", "10000"), 0);
    CHECK_EQ(value_of("shmmax"), 10000);
    CHECK_ERR(sysp(SYS_shmget, IPC_PRIVATE, (size_t)10001, 0600), EINVAL);
    id = (int)sysp(SYS_shmget, IPC_PRIVATE, (size_t)10000, 0600);
    CHECK(id >= 0);
    CHECK_EQ(set("shmall", "4"), 0); /* pages; three are used */
    CHECK_ERR(sysp(SYS_shmget, IPC_PRIVATE, (size_t)4097, 0600), ENOSPC);
    other = (int)sysp(SYS_shmget, IPC_PRIVATE, (size_t)4096, 0600);
    CHECK(other >= 0);
    CHECK_EQ(sysp(SYS_shmctl, other, IPC_RMID, NULL), 0);
    CHECK_EQ(set("shmmni", "1"), 0);
    CHECK_ERR(sysp(SYS_shmget, IPC_PRIVATE, (size_t)1, 0600), ENOSPC);
    CHECK(sysp(SYS_shmctl, 0, IPC_INFO, &info) >= 0);
    CHECK_EQ(info.shmmax, 10000);
    CHECK_EQ(info.shmall, 4);
    CHECK_EQ(info.shmmni, 1);
    CHECK_EQ(set("shmmni", "32769"), -EINVAL);
    CHECK_EQ(set("shmmni", "-1"), -EINVAL);
    CHECK_EQ(set("shm_rmid_forced", "2"), -EINVAL);
}

static void forced_removal(void)
{
    int status, id, mine;
    void *p;
    pid_t pid;

    own_namespace();
    mine = shmget(IPC_PRIVATE, 100, 0600);
    pid = fork();
    if (pid == 0)
        _exit(shmget(0x77, 100, IPC_CREAT | 0600) < 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    id = shmget(0x77, 100, 0600);
    CHECK(id >= 0);
    /* Nobody maps it and its creator is gone; mine has one. */
    CHECK_EQ(set("shm_rmid_forced", "1"), 0);
    CHECK_ERR(shmget(0x77, 100, 0600), ENOENT);
    p = shmat(mine, NULL, 0);
    CHECK(p != (void *)-1);
    CHECK_EQ(shmdt(p), 0); /* the last who maps it */
    CHECK_ERR(sysp(SYS_shmat, mine, NULL, 0), EINVAL);
    /* The creator's end. */
    pid = fork();
    if (pid == 0)
        _exit(shmget(0x78, 100, IPC_CREAT | 0600) < 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_ERR(shmget(0x78, 100, 0600), ENOENT);
}

static void messages(void)
{
    struct {
        long type;
        char text[200];
    } m = {1, ""};
    struct msqid_ds ds;
    struct msginfo info;
    int old, id;

    own_namespace();
    CHECK_EQ(value_of("msgmnb"), 16384);
    old = msgget(IPC_PRIVATE, 0600);
    CHECK_EQ(set("msgmax", "100"), 0);
    CHECK_EQ(set("msgmnb", "150"), 0);
    CHECK_EQ(set("msgmni", "2"), 0);
    CHECK_ERR(sysp(SYS_msgsnd, old, &m, (size_t)101, IPC_NOWAIT), EINVAL);
    CHECK_EQ(sysp(SYS_msgsnd, old, &m, (size_t)100, IPC_NOWAIT), 0);
    CHECK_EQ(sysp(SYS_msgsnd, old, &m, (size_t)100, IPC_NOWAIT), 0); /* it was made before */
    id = msgget(IPC_PRIVATE, 0600);
    CHECK(id >= 0);
    CHECK_EQ(sysp(SYS_msgsnd, id, &m, (size_t)100, IPC_NOWAIT), 0);
    CHECK_ERR(sysp(SYS_msgsnd, id, &m, (size_t)51, IPC_NOWAIT), EAGAIN);
    CHECK_ERR(msgget(IPC_PRIVATE, 0600), ENOSPC);
    CHECK_EQ(msgctl(id, IPC_STAT, &ds), 0);
    CHECK_EQ(ds.msg_qbytes, 150);
    CHECK(msgctl(0, IPC_INFO, (struct msqid_ds *)&info) >= 0);
    CHECK_EQ(info.msgmax, 100);
    CHECK_EQ(info.msgmnb, 150);
    CHECK_EQ(info.msgmni, 2);
    CHECK_EQ(set("msgmax", "-1"), -EINVAL);
    CHECK_EQ(set("msgmax", "x"), -EINVAL);
}

static void semaphores(void)
{
    struct sembuf up[3] = {{0, 1, 0}, {0, 1, 0}, {0, 1, 0}};
    struct seminfo info;
    int id;

    own_namespace();
    CHECK_STR(text_of("/proc/sys/kernel/sem"), "32000\t1024000000\t500\t32000");
    CHECK_EQ(set("sem", "10 15 2 2"), 0);
    CHECK_STR(text_of("/proc/sys/kernel/sem"), "10\t15\t2\t2");
    CHECK_ERR(semget(IPC_PRIVATE, 11, 0600), EINVAL);
    id = semget(IPC_PRIVATE, 10, 0600);
    CHECK(id >= 0);
    CHECK_ERR(sysp(SYS_semop, id, up, 3u), E2BIG);
    CHECK_EQ(sysp(SYS_semop, id, up, 2u), 0);
    CHECK_ERR(semget(IPC_PRIVATE, 6, 0600), ENOSPC);
    CHECK(semget(IPC_PRIVATE, 1, 0600) >= 0);
    CHECK_ERR(semget(IPC_PRIVATE, 1, 0600), ENOSPC);
    CHECK_EQ(semctl(id, 0, IPC_RMID), 0);
    CHECK(semget(IPC_PRIVATE, 9, 0600) >= 0);
    CHECK(semctl(0, 0, IPC_INFO, &info) >= 0);
    CHECK_EQ(info.semmsl, 10);
    CHECK_EQ(info.semmns, 15);
    CHECK_EQ(info.semopm, 2);
    CHECK_EQ(info.semmni, 2);
    /* The first of them alone. */
    CHECK_EQ(set("sem", "20"), 0);
    CHECK_STR(text_of("/proc/sys/kernel/sem"), "20\t15\t2\t2");
}

/* The line of an object without the columns that are times and memory: "KEY ID MODE ...". */
static bool listed(const char *file, const char *line)
{
    return strstr(text_of(file), line) != NULL;
}

static void objects(void)
{
    char line[200];
    int shm, sem, msg;

    own_namespace();
    shm = shmget(0x11, 5000, IPC_CREAT | 0640);
    sem = semget(0x12, 3, IPC_CREAT | 0600);
    msg = msgget(0x13, IPC_CREAT | 0622);
    CHECK(shm >= 0 && sem >= 0 && msg >= 0);
    CHECK_EQ(shmctl(shm, SHM_LOCK, NULL), 0);
    snprintf(line, sizeof(line), "\n%10d %10d  %4o %21d %5d %5d  %5d %5u %5u %5u %5u ", 0x11, shm,
             02640, 5000, getpid(), 0, 0, 0, 0, 0, 0);
    CHECK(listed("/proc/sysvipc/shm", line));
    CHECK_EQ(shmctl(shm, SHM_UNLOCK, NULL), 0);
    snprintf(line, sizeof(line), "\n%10d %10d  %4o %10d %5u %5u %5u %5u %10d ", 0x12, sem, 0600, 3,
             0, 0, 0, 0, 0);
    CHECK(listed("/proc/sysvipc/sem", line));
    CHECK_EQ(msgsnd(msg, &(struct {
                        long type;
                        char text[7];
                    }){1, "hello"},
                    7, 0),
             0);
    snprintf(line, sizeof(line), "\n%10d %10d  %4o  %10d %10d %5d %5d %5u %5u %5u %5u ", 0x13, msg,
             0622, 7, 1, getpid(), 0, 0, 0, 0, 0);
    CHECK(listed("/proc/sysvipc/msg", line));
}

#define AS_ROOT(body)                                                                              \
    if (getuid() != 0)                                                                             \
        SKIP("needs root");                                                                        \
    CHECK_EQ(test_in_child(body), 0)

TEST(limits_of_shared_memory)
{
    AS_ROOT(shared_memory);
}

TEST(segments_that_go_with_their_creator)
{
    AS_ROOT(forced_removal);
}

TEST(limits_of_messages)
{
    AS_ROOT(messages);
}

TEST(limits_of_semaphores)
{
    AS_ROOT(semaphores);
}

TEST(objects_in_proc)
{
    AS_ROOT(objects);
}

GUEST_TEST_MAIN
