/* SPDX-License-Identifier: Apache-2.0 */
/* time_namespaces(7): who makes, sets and enters them, and every clock that they shift, by the system
 * call and by the vDSO. */
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>

#include "tests/support/guest_test.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#define OFFSETS "/proc/self/timens_offsets"

enum { MONO = 100000, BOOT = 700000, SLACK = 30 };

static int put(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = write(fd, text, strlen(text));
    n = n < 0 ? -errno : n;
    close(fd);
    return (int)n;
}

static const char *get(const char *path)
{
    static char text[256];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static const char *link_of(const char *path)
{
    static char text[2][64];
    static int turn;
    ssize_t n;

    turn = !turn;
    n = readlink(path, text[turn], sizeof(text[0]) - 1);
    text[turn][n > 0 ? n : 0] = '\0';
    return text[turn];
}

static long raw_seconds(int clock)
{
    struct timespec ts;

    return sys(SYS_clock_gettime, clock, &ts) ? -1 : ts.tv_sec;
}

static long vdso_seconds(int clock)
{
    struct timespec ts;

    return clock_gettime(clock, &ts) ? -1 : ts.tv_sec;
}

static time_t g_begun; /* no namespace has another wall clock */

__attribute__((constructor)) static void begin(void)
{
    g_begun = time(NULL);
}

/* A clock that read want once, since this program began or a little before. */
static bool near(long value, long want)
{
    return value >= want && value <= want + SLACK + (time(NULL) - g_begun);
}

static bool may_make_one(void)
{
    int status;
    pid_t pid = fork();

    if (!pid)
        _exit(unshare(CLONE_NEWTIME) ? 1 : 0);
    waitpid(pid, &status, 0);
    return status == 0;
}

/* In a child of its own: the caller's namespace for children stays. */
#define IN_CHILD                                                                                   \
    for (pid_t child_ = fork(), once_ = 1; once_; once_ = 0, end_child(child_))                    \
        if (!child_)

static void end_child(pid_t pid)
{
    int status;

    if (!pid)
        _exit(g_test_failures ? 1 : 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static void make_shifted(void)
{
    char text[64];

    g_test_failures = 0;
    CHECK_EQ(sys(SYS_unshare, CLONE_NEWTIME), 0);
    snprintf(text, sizeof(text), "monotonic %d 0\nboottime %d 0\n", MONO, BOOT);
    CHECK_EQ(put(OFFSETS, text), strlen(text));
}

TEST(initial_namespace_is_fixed)
{
    CHECK_STR(get(OFFSETS), "monotonic           0         0\nboottime            0         0\n");
    CHECK(strncmp(link_of("/proc/self/ns/time"), "time:[", 6) == 0);
    CHECK_STR(link_of("/proc/self/ns/time"), link_of("/proc/self/ns/time_for_children"));
    if (geteuid() == 0)
        CHECK_EQ(put(OFFSETS, "monotonic 1 0\n"), -EACCES);
}

TEST(needs_admin)
{
    IN_CHILD
    {
        if (geteuid() == 0)
            CHECK_EQ(setresuid(1000, 1000, 1000), 0);
        CHECK_ERR(sys(SYS_unshare, CLONE_NEWTIME), EPERM);
    }
}

TEST(unshare_is_for_children)
{
    char own[64];
    long before = raw_seconds(CLOCK_MONOTONIC);
    int status;
    pid_t pid;

    if (!may_make_one())
        SKIP_ON_HOST("no time namespaces");
    snprintf(own, sizeof(own), "%s", link_of("/proc/self/ns/time"));
    IN_CHILD
    {
        make_shifted();
        CHECK_STR(get(OFFSETS),
                  "monotonic      100000         0\nboottime       700000         0\n");
        CHECK_STR(link_of("/proc/self/ns/time"), own);
        CHECK(strcmp(link_of("/proc/self/ns/time_for_children"), own) != 0);
        CHECK(near(raw_seconds(CLOCK_MONOTONIC), before));
        CHECK(near(vdso_seconds(CLOCK_MONOTONIC), before));
        pid = fork();
        if (!pid) {
            CHECK(strcmp(link_of("/proc/self/ns/time"), own) != 0);
            CHECK_STR(link_of("/proc/self/ns/time"), link_of("/proc/self/ns/time_for_children"));
            CHECK(near(raw_seconds(CLOCK_MONOTONIC), before + MONO));
            CHECK_EQ(put(OFFSETS, "monotonic 1 0\n"), -EACCES);
            _exit(g_test_failures != 0);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
        /* Somebody lives there: fixed. */
        CHECK_EQ(put(OFFSETS, "monotonic 1 0\n"), -EACCES);
        /* The next one begins with the offsets of the one before. */
        CHECK_EQ(sys(SYS_unshare, CLONE_NEWTIME), 0);
        CHECK_STR(get(OFFSETS),
                  "monotonic      100000         0\nboottime       700000         0\n");
        CHECK_EQ(put(OFFSETS, "boottime 5 999999999"), 20);
        CHECK_STR(get(OFFSETS),
                  "monotonic      100000         0\nboottime            5 999999999\n");
    }
}

TEST(what_offsets_may_be)
{
    if (!may_make_one())
        SKIP_ON_HOST("no time namespaces");
    IN_CHILD
    {
        g_test_failures = 0;
        CHECK_EQ(sys(SYS_unshare, CLONE_NEWTIME), 0);
        CHECK_EQ(put(OFFSETS, "monotonic 1\n"), -EINVAL);
        CHECK_EQ(put(OFFSETS, "realtime 1 0\n"), -EINVAL);
        CHECK_EQ(put(OFFSETS, "0 1 0\n"), -EINVAL);
        CHECK_EQ(put(OFFSETS, "monotonic 1 1000000000\n"), -EINVAL);
        CHECK_EQ(put(OFFSETS, "monotonic x 0\n"), -EINVAL);
        CHECK_EQ(put(OFFSETS, "monotonic -1000000000 0\n"), -ERANGE);
        CHECK_EQ(put(OFFSETS, "monotonic 9223372036854775807 0\n"), -ERANGE);
        CHECK_EQ(put(OFFSETS, "boottime 9223372036 0\n"), -ERANGE);
        CHECK_EQ(put(OFFSETS, "monotonic 1 0\nnothing 2 0\n"), -EINVAL);
        CHECK_EQ(put(OFFSETS, ""), -EINVAL);
        CHECK_STR(get(OFFSETS),
                  "monotonic           0         0\nboottime            0         0\n");
        /* Two lines are taken, no more. */
        CHECK_EQ(put(OFFSETS, "monotonic 1 0\nboottime 2 0\nmonotonic 3 0\n"), 27);
        CHECK_STR(get(OFFSETS),
                  "monotonic           1         0\nboottime            2         0\n");
        CHECK_EQ(put(OFFSETS, "1 12 3\n7 -1 5"), 13);
        CHECK_STR(get(OFFSETS),
                  "monotonic          12         3\nboottime           -1         5\n");
        CHECK_EQ(put(OFFSETS, "  monotonic   4 0 and more\n"), 27);
        CHECK_STR(get(OFFSETS),
                  "monotonic           4         0\nboottime           -1         5\n");
    }
}

static void clocks_in_namespace(const long before[12])
{
    static const struct {
        int clock;
        long shift;
    } rows[] = {
        {CLOCK_REALTIME, 0},          {CLOCK_MONOTONIC, MONO}, {CLOCK_MONOTONIC_RAW, MONO},
        {CLOCK_REALTIME_COARSE, 0},   {CLOCK_BOOTTIME, BOOT},  {CLOCK_MONOTONIC_COARSE, MONO},
        {CLOCK_BOOTTIME_ALARM, BOOT}, {CLOCK_TAI, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int c = rows[i].clock;

        if (before[c] < 0)
            continue; /* no alarm clock in this machine */
        CHECK(near(raw_seconds(c), before[c] + rows[i].shift));
        CHECK(near(vdso_seconds(c), before[c] + rows[i].shift));
    }
}

static void all_clocks(long out[12])
{
    for (int c = 0; c < 12; c++)
        out[c] = raw_seconds(c);
}

static void uptimes_in_namespace(long boot)
{
    struct sysinfo si;
    unsigned long long start = 0;
    const char *stat;
    int field = 2;

    CHECK_EQ(sysinfo(&si), 0);
    CHECK(near(si.uptime, boot + BOOT));
    CHECK(near(atol(get("/proc/uptime")), boot + BOOT));
    stat = strrchr(get("/proc/self/stat"), ')');
    for (; stat && field < 22; field++)
        stat = strchr(stat + 1, ' ');
    if (stat)
        start = strtoull(stat, NULL, 10);
    CHECK(near((long)(start / 100), boot + BOOT));
}

TEST(clocks_are_shifted)
{
    long before[12];
    int status;
    pid_t pid;

    if (!may_make_one())
        SKIP_ON_HOST("no time namespaces");
    all_clocks(before);
    IN_CHILD
    {
        make_shifted();
        pid = fork();
        if (!pid) {
            clocks_in_namespace(before);
            uptimes_in_namespace(before[CLOCK_BOOTTIME]);
            _exit(g_test_failures != 0);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
}

/* A deadline of the shifted clock, d ns from here. */
static struct timespec at(int clock, long d)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    ts.tv_nsec += d;
    ts.tv_sec += ts.tv_nsec / 1000000000;
    ts.tv_nsec %= 1000000000;
    return ts;
}

static bool passed(int clock, const struct timespec *when)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec > when->tv_sec ||
           (now.tv_sec == when->tv_sec && now.tv_nsec >= when->tv_nsec);
}

static void absolute_sleeps(int clock)
{
    struct timespec when = at(clock, 20000000), past = {5, 0};
    struct itimerspec its = {.it_value = when}, old;
    struct sigevent ev = {.sigev_notify = SIGEV_NONE};
    uint64_t ticks = 0;
    timer_t timer;
    int fd;

    CHECK_EQ(clock_nanosleep(clock, TIMER_ABSTIME, &past, NULL), 0);
    CHECK_EQ(clock_nanosleep(clock, TIMER_ABSTIME, &when, NULL), 0);
    CHECK(passed(clock, &when));
    fd = timerfd_create(clock, 0);
    its.it_value = when = at(clock, 20000000);
    CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL), 0);
    CHECK_EQ(read(fd, &ticks, 8), 8);
    CHECK_EQ(ticks, 1);
    CHECK(passed(clock, &when));
    its.it_value = past;
    CHECK_EQ(timerfd_settime(fd, TFD_TIMER_ABSTIME, &its, NULL), 0);
    CHECK_EQ(read(fd, &ticks, 8), 8);
    close(fd);
    CHECK_EQ(timer_create(clock, &ev, &timer), 0);
    its.it_value = at(clock, 500000000);
    its.it_value.tv_sec += 50;
    CHECK_EQ(timer_settime(timer, TIMER_ABSTIME, &its, NULL), 0);
    CHECK_EQ(timer_gettime(timer, &old), 0);
    CHECK(old.it_value.tv_sec >= 20 && old.it_value.tv_sec <= 50);
    CHECK_EQ(timer_delete(timer), 0);
}

static void futex_deadline(void)
{
    struct timespec when = at(CLOCK_MONOTONIC, 20000000);
    uint32_t word = 0;

    CHECK_ERR(sys(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &when, NULL, FUTEX_BITSET_MATCH_ANY),
              ETIMEDOUT);
    CHECK(passed(CLOCK_MONOTONIC, &when));
}

TEST(deadlines_are_shifted)
{
    int status;
    pid_t pid;

    if (!may_make_one())
        SKIP_ON_HOST("no time namespaces");
    IN_CHILD
    {
        make_shifted();
        pid = fork();
        if (!pid) {
            absolute_sleeps(CLOCK_MONOTONIC);
            absolute_sleeps(CLOCK_BOOTTIME);
            absolute_sleeps(CLOCK_REALTIME);
            futex_deadline();
            _exit(g_test_failures != 0);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
}

TEST(negative_offset)
{
    long before = raw_seconds(CLOCK_MONOTONIC);
    char text[64];
    int status;
    pid_t pid;

    if (!may_make_one())
        SKIP_ON_HOST("no time namespaces");
    IN_CHILD
    {
        g_test_failures = 0;
        CHECK_EQ(sys(SYS_unshare, CLONE_NEWTIME), 0);
        snprintf(text, sizeof(text), "monotonic -%ld 0", before);
        CHECK(put(OFFSETS, text) > 0);
        pid = fork();
        if (!pid) {
            CHECK(near(raw_seconds(CLOCK_MONOTONIC), 0));
            CHECK(near(vdso_seconds(CLOCK_MONOTONIC), 0));
            absolute_sleeps(CLOCK_BOOTTIME);
            futex_deadline();
            _exit(g_test_failures != 0);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
}

/* Threads, vfork's children and others that share the memory stay; exec enters. */
TEST(shared_memory_stays_exec_enters)
{
    long before = raw_seconds(CLOCK_MONOTONIC);
    char self[256], arg[32];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    int status;
    pid_t pid;

    if (!may_make_one())
        SKIP_ON_HOST("no time namespaces");
    self[n > 0 ? n : 0] = '\0';
    snprintf(arg, sizeof(arg), "%ld", before);
    IN_CHILD
    {
        make_shifted();
        pid = vfork();
        if (!pid) {
            if (!near(raw_seconds(CLOCK_MONOTONIC), before))
                _exit(9);
            setenv("TIMENS_BEFORE", arg, 1);
            execl(self, self, "helper_reads_clocks", NULL);
            _exit(8);
        }
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
        CHECK(near(vdso_seconds(CLOCK_MONOTONIC), before));
        setenv("TIMENS_BEFORE", arg, 1);
        execl(self, self, "helper_reads_clocks", NULL);
    }
}

TEST(helper_reads_clocks)
{
    const char *before = getenv("TIMENS_BEFORE");

    if (!before)
        SKIP("a part of shared_memory_stays_exec_enters");
    CHECK(near(raw_seconds(CLOCK_MONOTONIC), atol(before) + MONO));
    CHECK(near(vdso_seconds(CLOCK_MONOTONIC), atol(before) + MONO));
    CHECK_STR(link_of("/proc/self/ns/time"), link_of("/proc/self/ns/time_for_children"));
}

/* Only making one and setns ask for a capability. */
TEST(anybody_may_fork_into_it)
{
    long before = raw_seconds(CLOCK_MONOTONIC);
    int status;
    pid_t pid;

    if (!may_make_one() || geteuid() != 0)
        SKIP("not root, or no time namespaces here");
    IN_CHILD
    {
        make_shifted();
        CHECK_EQ(setresuid(1000, 1000, 1000), 0);
        pid = fork();
        if (!pid)
            _exit(!near(raw_seconds(CLOCK_MONOTONIC), before + MONO));
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
}

TEST(owner_of_a_user_namespace_may)
{
    int status;
    pid_t pid = fork();

    if (!pid)
        _exit(unshare(CLONE_NEWUSER));
    waitpid(pid, &status, 0);
    if (status)
        SKIP_ON_HOST("no user namespaces");
    IN_CHILD
    {
        g_test_failures = 0;
        CHECK_EQ(sys(SYS_unshare, CLONE_NEWUSER | CLONE_NEWTIME), 0);
        CHECK_EQ(put("/proc/self/timens_offsets", "boottime 100 0\n"), 15);
        CHECK_STR(get(OFFSETS),
                  "monotonic           0         0\nboottime          100         0\n");
    }
}

struct clone3_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

TEST(clone3_makes_one)
{
    struct clone3_args a = {.flags = CLONE_NEWTIME, .exit_signal = SIGCHLD};
    char own[64];
    int status;
    long pid;

    if (!may_make_one())
        SKIP_ON_HOST("no time namespaces");
    snprintf(own, sizeof(own), "%s", link_of("/proc/self/ns/time"));
    pid = sys(SYS_clone3, &a, sizeof(a));
    if (!pid)
        _exit(strcmp(link_of("/proc/self/ns/time"), own) == 0 ||
              put(OFFSETS, "monotonic 1 0") != -EACCES);
    CHECK(pid > 0);
    CHECK_EQ(waitpid((pid_t)pid, &status, 0), pid);
    CHECK_EQ(status, 0);
    CHECK_STR(link_of("/proc/self/ns/time_for_children"), own);
}

static int idle(void *arg)
{
    pause();
    return 0;
}

TEST(setns_enters_at_once)
{
    long before = raw_seconds(CLOCK_MONOTONIC);
    static char stack[16384];
    char own[64];
    int fd, home, status;
    pid_t pid;

    if (!may_make_one())
        SKIP_ON_HOST("no time namespaces");
    snprintf(own, sizeof(own), "%s", link_of("/proc/self/ns/time"));
    home = open("/proc/self/ns/time", O_RDONLY);
    IN_CHILD
    {
        make_shifted();
        fd = open("/proc/self/ns/time_for_children", O_RDONLY);
        CHECK(fd >= 0);
        CHECK_ERR(sys(SYS_setns, fd, CLONE_NEWUTS), EINVAL);
        pid = clone(idle, stack + sizeof(stack), CLONE_VM | SIGCHLD, NULL);
        CHECK_ERR(sys(SYS_setns, fd, CLONE_NEWTIME), EUSERS);
        kill(pid, SIGKILL);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK(near(vdso_seconds(CLOCK_MONOTONIC), before));
        CHECK_EQ(sys(SYS_setns, fd, CLONE_NEWTIME), 0);
        CHECK(near(raw_seconds(CLOCK_MONOTONIC), before + MONO));
        CHECK(near(vdso_seconds(CLOCK_MONOTONIC), before + MONO));
        CHECK_EQ(put(OFFSETS, "monotonic 1 0\n"), -EACCES);
        CHECK_EQ(sys(SYS_setns, home, 0), 0);
        CHECK_STR(link_of("/proc/self/ns/time"), own);
        CHECK_STR(link_of("/proc/self/ns/time_for_children"), own);
        CHECK(near(vdso_seconds(CLOCK_MONOTONIC), before));
        close(fd);
    }
    close(home);
}

TEST(setns_of_a_process)
{
    long before = raw_seconds(CLOCK_MONOTONIC);
    struct clone3_args a = {.flags = CLONE_NEWTIME, .exit_signal = SIGCHLD};
    int pidfd, status;
    pid_t pid;

    if (!may_make_one())
        SKIP_ON_HOST("no time namespaces");
    IN_CHILD
    {
        make_shifted();
        pid = fork();
        if (!pid) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pause();
        }
        pidfd = (int)sys(SYS_pidfd_open, pid, 0L);
        CHECK_EQ(sys(SYS_setns, pidfd, CLONE_NEWTIME | CLONE_NEWUTS), 0);
        CHECK(near(raw_seconds(CLOCK_MONOTONIC), before + MONO));
        kill(pid, SIGKILL);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        a.flags = CLONE_NEWTIME | CLONE_VFORK;
        pid = (pid_t)sys(SYS_clone3, &a, sizeof(a));
        if (!pid)
            _exit(!near(raw_seconds(CLOCK_MONOTONIC), before + MONO));
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        CHECK_EQ(status, 0);
    }
}

GUEST_TEST_MAIN
