/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks, sleeping, POSIX timers, interval timers, alarm, times. */
#include <sys/time.h>
#include <sys/times.h>
#include <sys/timex.h>

#include "tests/support/guest_test.h"

static volatile int g_count, g_overrun;

static void on_signal(int signo, siginfo_t *info, void *context)
{
    g_count++;
    /* The next expiry, too, may have come by the time it is looked at. */
    if (info->si_overrun > g_overrun)
        g_overrun = info->si_overrun;
}

static void install(int signo)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};

    sigaction(signo, &sa, NULL);
    g_count = 0;
}

static long long ns_of(const struct timespec *ts)
{
    return ts->tv_sec * 1000000000LL + ts->tv_nsec;
}

TEST(clocks_agree_and_advance)
{
    static const int clocks[] = {
        CLOCK_REALTIME,           CLOCK_MONOTONIC,         CLOCK_MONOTONIC_RAW,
        CLOCK_BOOTTIME,           CLOCK_REALTIME_COARSE,   CLOCK_MONOTONIC_COARSE,
        CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_TAI};

    for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
        struct timespec a, b, c, res;

        CHECK_EQ(sysp(SYS_clock_gettime, clocks[i], &a), 0);
        CHECK_EQ(clock_gettime(clocks[i], &b), 0); /* vDSO */
        CHECK(ns_of(&b) >= ns_of(&a));
        CHECK_EQ(sysp(SYS_clock_gettime, clocks[i], &c), 0);
        CHECK(ns_of(&b) - ns_of(&c) < 1000000000LL);
        CHECK_EQ(sysp(SYS_clock_getres, clocks[i], &res), 0);
        CHECK(res.tv_sec == 0 && res.tv_nsec > 0);
    }
}

TEST(wall_clock_calls)
{
    struct timeval tv, after;
    struct timezone tz;
    struct timespec ts;
    long t, out;

    CHECK_EQ(sysp(SYS_gettimeofday, &tv, &tz), 0);
    CHECK_EQ(sysp(SYS_clock_gettime, CLOCK_REALTIME, &ts), 0);
    CHECK_EQ(sysp(SYS_gettimeofday, &after, NULL), 0);
    CHECK(ts.tv_sec >= tv.tv_sec && ts.tv_sec <= after.tv_sec + 1);
    t = sysp(SYS_time, &out);
    CHECK(t == out && t >= tv.tv_sec);
    CHECK_EQ(sysp(SYS_gettimeofday, NULL, NULL), 0);
    CHECK_ERR(sysp(SYS_gettimeofday, BAD_PTR, NULL), EFAULT);
    CHECK_ERR(sysp(SYS_clock_gettime, 99, &ts), EINVAL);
    CHECK_ERR(sysp(SYS_clock_gettime, CLOCK_REALTIME, BAD_PTR), EFAULT);
    CHECK_ERR(sysp(SYS_clock_getres, 99, &ts), EINVAL);
    CHECK_EQ(sysp(SYS_clock_getres, CLOCK_REALTIME, NULL), 0);
    CHECK_ERR(sysp(SYS_clock_settime, CLOCK_MONOTONIC, &ts), EINVAL);
}

static void set_clock_unprivileged(void)
{
    struct timeval tv = {1, 1};
    struct timespec ts = {1, 1};
    struct timex tx = {.modes = ADJ_FREQUENCY};

    if (getuid() == 0)
        REQUIRE(setuid(65534) == 0);
    CHECK_ERR(sysp(SYS_settimeofday, &tv, NULL), EPERM);
    CHECK_ERR(sysp(SYS_clock_settime, CLOCK_REALTIME, &ts), EPERM);
    CHECK_ERR(sysp(SYS_adjtimex, &tx), EPERM);
    CHECK_ERR(sysp(SYS_clock_adjtime, CLOCK_REALTIME, &tx), EPERM);
}

TEST(setting_the_clock)
{
    CHECK_EQ(test_in_child(set_clock_unprivileged), 0);
}

TEST(sleeping)
{
    struct timespec ts = {0, 30000000}, bad = {0, 1000000000}, neg = {-1, 0}, abs;
    long long start = test_now_ms();

    CHECK_EQ(sysp(SYS_nanosleep, &ts, NULL), 0);
    CHECK(test_now_ms() - start >= 30);
    CHECK_ERR(sysp(SYS_nanosleep, &bad, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_nanosleep, &neg, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_nanosleep, BAD_PTR, NULL), EFAULT);
    clock_gettime(CLOCK_MONOTONIC, &abs);
    abs.tv_nsec += 20000000;
    if (abs.tv_nsec >= 1000000000) {
        abs.tv_sec++;
        abs.tv_nsec -= 1000000000;
    }
    start = test_now_ms();
    CHECK_EQ(sysp(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &abs, NULL), 0);
    CHECK(test_now_ms() - start >= 19);
    CHECK_EQ(sysp(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &abs, NULL), 0);
    CHECK_ERR(sysp(SYS_clock_nanosleep, 99, 0, &ts, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL), EOPNOTSUPP);
}

TEST(alarm_and_interval_timers)
{
    struct itimerval it = {{0, 10000}, {0, 10000}}, old, zero = {{0, 0}, {0, 0}};
    long long start;
    long left;

    install(SIGALRM);
    alarm(0);
    CHECK_EQ(sysp(SYS_setitimer, ITIMER_REAL, &it, NULL), 0);
    while (g_count < 3)
        pause();
    CHECK_EQ(sysp(SYS_getitimer, ITIMER_REAL, &old), 0);
    CHECK_EQ(old.it_interval.tv_usec, 10000);
    CHECK_EQ(sysp(SYS_setitimer, ITIMER_REAL, &zero, &old), 0);
    CHECK_EQ(old.it_interval.tv_usec, 10000);
    start = test_now_ms();
    CHECK_EQ(sysp(SYS_alarm, 100u), 0);
    left = sysp(SYS_alarm, 0u);
    CHECK(left <= 100 && left >= 100 - (test_now_ms() - start + 500) / 1000); /* rounded */
    CHECK_ERR(sysp(SYS_setitimer, 9, &it, NULL), EINVAL);
    CHECK_ERR(sysp(SYS_getitimer, 9, &it), EINVAL);
    it.it_value.tv_usec = 1000000;
    CHECK_ERR(sysp(SYS_setitimer, ITIMER_REAL, &it, NULL), EINVAL);
}

TEST(cpu_time_timer)
{
    struct itimerval it = {{0, 0}, {0, 20000}};

    install(SIGVTALRM);
    CHECK_EQ(sysp(SYS_setitimer, ITIMER_VIRTUAL, &it, NULL), 0);
    while (g_count == 0)
        ;
    CHECK_EQ(g_count, 1);
}

TEST(posix_timers)
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec its = {{0, 5000000}, {0, 5000000}}, cur, zero = {{0, 0}, {0, 0}};
    sigset_t set;
    int id = -1;

    install(SIGUSR1);
    CHECK_EQ(sysp(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), 0);
    CHECK_EQ(sysp(SYS_timer_settime, id, 0, &its, NULL), 0);
    while (g_count < 3)
        pause();
    CHECK_EQ(sysp(SYS_timer_gettime, id, &cur), 0);
    CHECK_EQ(cur.it_interval.tv_nsec, 5000000);
    CHECK(cur.it_value.tv_nsec <= 5000000);
    /* Expiries of a blocked signal are counted, not queued. */
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    test_sleep_ms(60);
    g_count = g_overrun = 0;
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK(g_count >= 1);
    CHECK(g_overrun >= 3);
    CHECK_EQ(sysp(SYS_timer_settime, id, 0, &zero, &cur), 0);
    CHECK_EQ(cur.it_interval.tv_nsec, 5000000);
    CHECK(sysp(SYS_timer_getoverrun, id) >= 0);
    CHECK_EQ(sysp(SYS_timer_delete, id), 0);
    CHECK_ERR(sysp(SYS_timer_delete, id), EINVAL);
    CHECK_ERR(sysp(SYS_timer_gettime, id, &cur), EINVAL);
    CHECK_ERR(sysp(SYS_timer_create, 99, &ev, &id), EINVAL);
    ev.sigev_signo = 99;
    CHECK_ERR(sysp(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), EINVAL);
    signal(SIGUSR1, SIG_DFL);
}

TEST(process_times)
{
    struct tms t;
    long long start = test_now_ms();
    long a, b;

    a = sysp(SYS_times, &t);
    test_sleep_ms(30);
    b = sysp(SYS_times, NULL);
    CHECK(b > a && b - a <= (test_now_ms() - start) / 10 + 1);
    CHECK_ERR(sysp(SYS_times, BAD_PTR), EFAULT);
}

GUEST_TEST_MAIN
