/* SPDX-License-Identifier: Apache-2.0 */
/* Flags and commands that calls learned late: pidfd_send_signal, membarrier, process_madvise, fcntl,
 * mmap, name_to_handle_at, prctl. */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>

#include "tests/support/guest_test.h"

#define PIDFD_SEND_SIGNAL 424
#define PIDFD_OPEN        434
#define PROCESS_MADVISE   440

TEST(signal_scopes)
{
    siginfo_t info;
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    REQUIRE((fd = (int)sysp(PIDFD_OPEN, getpid(), 0u)) >= 0);
    CHECK_ERR(sysp(PIDFD_SEND_SIGNAL, -1, SIGUSR1, NULL, 8u), EINVAL);
    CHECK_ERR(sysp(PIDFD_SEND_SIGNAL, -1, SIGUSR1, NULL, 3u), EINVAL);
    if (sysp(PIDFD_SEND_SIGNAL, fd, 0, NULL, 1u) == -EINVAL)
        SKIP_ON_HOST("before Linux 6.9");
    CHECK_EQ(sysp(PIDFD_SEND_SIGNAL, fd, SIGUSR1, NULL, 1u), 0);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
    CHECK_EQ(info.si_code, SI_USER); /* and not SI_TKILL */
    CHECK_EQ(sysp(PIDFD_SEND_SIGNAL, fd, SIGUSR1, NULL, 2u), 0);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
    CHECK_EQ(info.si_code, SI_USER);
    if (fork() == 0) {
        setpgid(0, 0);
        fd = (int)sysp(PIDFD_OPEN, getpid(), 0u);
        CHECK_EQ(sysp(PIDFD_SEND_SIGNAL, fd, SIGUSR1, NULL, 4u), 0);
        CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
        _exit(g_test_failures);
    } else {
        int status;

        wait(&status);
        CHECK_EQ(status, 0);
    }
    close(fd);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void barriers(void)
{
    long all = sysp(SYS_membarrier, 0, 0u, 0);

    if (all < 0)
        return;
    CHECK_EQ(all & 0x7f, 0x7f);
    CHECK_EQ(sysp(SYS_membarrier, 512, 0u, 0), 0);
    CHECK_ERR(sysp(SYS_membarrier, 8, 0u, 0), EPERM);
    CHECK_ERR(sysp(SYS_membarrier, 32, 0u, 0), EPERM);
    CHECK_EQ(sysp(SYS_membarrier, 64, 0u, 0), 0);
    CHECK_EQ(sysp(SYS_membarrier, 32, 0u, 0), 0);
    CHECK_ERR(sysp(SYS_membarrier, 8, 0u, 0), EPERM);
    CHECK_EQ(sysp(SYS_membarrier, 16, 0u, 0), 0);
    CHECK_EQ(sysp(SYS_membarrier, 8, 0u, 0), 0);
    CHECK_EQ(sysp(SYS_membarrier, 4, 0u, 0), 0);
    CHECK_EQ(sysp(SYS_membarrier, 512, 0u, 0), 4 | 16 | 64);
    CHECK_ERR(sysp(SYS_membarrier, 3, 0u, 0), EINVAL);
    CHECK_ERR(sysp(SYS_membarrier, 16, 1u, 0), EINVAL);
}

TEST(membarrier_registrations)
{
    if (sysp(SYS_membarrier, 512, 0u, 0) == -EINVAL)
        SKIP_ON_HOST("before Linux 6.3");
    CHECK_EQ(test_in_child(barriers), 0);
}

TEST(advice_to_oneself)
{
    char *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec v = {m, 4096};
    int fd = (int)sysp(PIDFD_OPEN, getpid(), 0u);

    REQUIRE(m != MAP_FAILED && fd >= 0);
    m[0] = m[4096] = 'x';
    if (sysp(PROCESS_MADVISE, fd, &v, 1UL, MADV_DONTNEED, 0u) == -EINVAL)
        SKIP_ON_HOST("before Linux 6.13");
    CHECK_EQ(m[0], 0);
    CHECK_EQ(m[4096], 'x');
    CHECK_ERR(sysp(PROCESS_MADVISE, fd, &v, 1UL, 99, 0u), EINVAL);
    CHECK_ERR(sysp(PROCESS_MADVISE, fd, &v, 1UL, MADV_DONTNEED, 1u), EINVAL);
    close(fd);
    munmap(m, 8192);
}

TEST(same_description)
{
    int fd = open("/dev/null", O_RDONLY), dup_of = dup(fd), other = open("/dev/null", O_RDONLY);

    if (fcntl(fd, 1027, dup_of) < 0 && errno == EINVAL) /* F_DUPFD_QUERY */
        SKIP_ON_HOST("before Linux 6.10");
    CHECK_EQ(fcntl(fd, 1027, dup_of), 1);
    CHECK_EQ(fcntl(fd, 1027, other), 0);
    CHECK_ERR(fcntl(fd, 1027, 9999), EBADF);
    CHECK_ERR(fcntl(9999, 1027, fd), EBADF);
    close(fd);
    close(dup_of);
    close(other);
}

TEST(validated_mappings)
{
    static const int known[] = {0x40, 0x800, 0x1000, 0x2000, 0x4000, 0x8000, 0x10000};
    int fd = (int)syscall(SYS_memfd_create, "x", 0);
    void *m;

    REQUIRE(fd >= 0 && ftruncate(fd, 4096) == 0);
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
        m = mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | known[i], fd, 0);
        CHECK(m != MAP_FAILED || errno == EAGAIN); /* MAP_LOCKED over the limit */
        if (m != MAP_FAILED)
            munmap(m, 4096);
    }
    m = mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | 21 << 26, fd, 0); /* MAP_HUGE_2MB alone */
    CHECK(m != MAP_FAILED);
    CHECK_ERR((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | 0x200000, fd, 0), EOPNOTSUPP);
    CHECK_ERR((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0), EOPNOTSUPP);
    close(fd);
}

TEST(unique_mount_of_a_handle)
{
    struct {
        uint32_t bytes;
        int32_t type;
        char data[128];
    } h = {.bytes = 128};
    uint64_t sx[32] = {0}, id = 0, want;

    if (sysp(SYS_name_to_handle_at, AT_FDCWD, "/tmp", &h, &id, 1) == -EINVAL)
        SKIP_ON_HOST("before Linux 6.12");
    REQUIRE(sysp(SYS_statx, AT_FDCWD, "/tmp", 0, 0x4000u, sx) == 0);
    memcpy(&want, (char *)sx + 0x90, sizeof(want));
    CHECK_EQ(id, want);
}

TEST(arguments_of_prctl)
{
    CHECK_ERR(sys(SYS_prctl, PR_MCE_KILL, 2, 0, 0, 0), EINVAL);
    CHECK_ERR(sys(SYS_prctl, PR_MCE_KILL, PR_MCE_KILL_SET, 3, 0, 0), EINVAL);
    CHECK_ERR(sys(SYS_prctl, PR_MCE_KILL, PR_MCE_KILL_CLEAR, 1, 0, 0), EINVAL);
    CHECK_EQ(sys(SYS_prctl, PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0), 0);
    CHECK_ERR(sys(SYS_prctl, PR_GET_SPECULATION_CTRL, 0, 7, 0, 0), EINVAL);
    CHECK_ERR(sys(SYS_prctl, PR_GET_SPECULATION_CTRL, 0, 0, 7, 0), EINVAL);
    CHECK_ERR(sys(SYS_prctl, PR_SET_SPECULATION_CTRL, 0, 0, 7, 0), EINVAL);
    CHECK_ERR(sys(SYS_prctl, PR_GET_SPECULATION_CTRL, 9, 0, 0, 0), ENODEV);
}

GUEST_TEST_MAIN
