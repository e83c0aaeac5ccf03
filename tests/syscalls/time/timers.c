/* SPDX-License-Identifier: Apache-2.0 */
/* Interval timers, POSIX timers, CPU clocks and the CPU time limit. */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "tests/support/guest_test.h"

static volatile sig_atomic_t g_count, g_overrun, g_value, g_tid;

static void on_signal(int sig, siginfo_t *info, void *ctx)
{
    (void)sig;
    (void)ctx;
    g_count++;
    g_overrun = info->si_overrun > g_overrun ? info->si_overrun
                                             : g_overrun; /* the timer may fire again meanwhile */
    g_value = info->si_value.sival_int;
    g_tid = (int)sys(SYS_gettid);
}

static void install(int sig)
{
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};

    g_count = 0;
    sigaction(sig, &sa, NULL);
}

static void burn_until(int count)
{
    volatile unsigned x = 0;

    while (g_count < count)
        x++;
}

TEST(real_timer_repeats)
{
    struct itimerval v = {{0, 10000}, {0, 10000}}, old;
    int left;

    install(SIGALRM);
    CHECK_EQ(setitimer(ITIMER_REAL, &v, NULL), 0);
    while (g_count < 3)
        pause();
    CHECK_EQ(getitimer(ITIMER_REAL, &old), 0);
    CHECK_EQ(old.it_interval.tv_usec, 10000);
    v = (struct itimerval){{0, 0}, {0, 0}};
    CHECK_EQ(setitimer(ITIMER_REAL, &v, NULL), 0);
    CHECK_ERR(setitimer(7, &v, NULL), EINVAL);
    v.it_value.tv_usec = 1000000;
    CHECK_ERR(setitimer(ITIMER_REAL, &v, NULL), EINVAL);
    CHECK_EQ(alarm(1000), 0);
    left = (int)alarm(0);
    CHECK(left > 0 && left <= 1000);
}

TEST(cpu_timers_count_cpu_time)
{
    struct itimerval v = {{0, 0}, {0, 20000}};

    install(SIGVTALRM);
    CHECK_EQ(setitimer(ITIMER_VIRTUAL, &v, NULL), 0);
    burn_until(1);
    install(SIGPROF);
    CHECK_EQ(setitimer(ITIMER_PROF, &v, NULL), 0);
    burn_until(1);
    CHECK_EQ(g_count, 1);
}

TEST(posix_timer_signals_with_value_and_overrun)
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
    struct itimerspec v = {{0, 2000000}, {0, 2000000}}, cur;
    sigset_t set;
    timer_t id;

    ev.sigev_value.sival_int = 77;
    install(SIGRTMIN + 1);
    REQUIRE(timer_create(CLOCK_MONOTONIC, &ev, &id) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK_EQ(timer_settime(id, 0, &v, NULL), 0);
    usleep(50000);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    CHECK(g_count >= 1);
    CHECK_EQ(g_value, 77);
    CHECK(g_overrun >= 5);
    CHECK_EQ(timer_gettime(id, &cur), 0);
    CHECK_EQ(cur.it_interval.tv_nsec, 2000000);
    CHECK_EQ(timer_delete(id), 0);
    CHECK_EQ(sys(SYS_timer_delete, 12345), -EINVAL);
}

TEST(who_sleeps_wakes_beside_timers_that_always_fire)
{
    enum { TIMERS = 4 };
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 2};
    const struct itimerspec v = {{0, 1}, {0, 1}};
    timer_t id[TIMERS];
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN + 2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    for (int i = 0; i < TIMERS; i++) {
        REQUIRE(timer_create(CLOCK_MONOTONIC, &ev, &id[i]) == 0);
        CHECK_EQ(timer_settime(id[i], 0, &v, NULL), 0);
    }
    for (int i = 0; i < 20; i++) {
        const struct timespec nap = {0, 1000000};

        CHECK_EQ(nanosleep(&nap, NULL), 0);
    }
    for (int i = 0; i < TIMERS; i++)
        CHECK_EQ(timer_delete(id[i]), 0);
    signal(SIGRTMIN + 2, SIG_IGN);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

TEST(posix_timer_errors)
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 99};
    struct itimerspec v = {{0, 0}, {0, 1000000000}};
    timer_t id;

    CHECK_ERR(timer_create(CLOCK_MONOTONIC, &ev, &id), EINVAL);
    CHECK_ERR(timer_create(77, NULL, &id), EINVAL);
    ev.sigev_notify = SIGEV_NONE;
    REQUIRE(timer_create(CLOCK_REALTIME, &ev, &id) == 0);
    CHECK_ERR(timer_settime(id, 0, &v, NULL), EINVAL);
    v.it_value = (struct timespec){.tv_sec = 3600};
    CHECK_EQ(timer_settime(id, 0, &v, NULL), 0);
    CHECK_EQ(timer_gettime(id, &v), 0);
    CHECK(v.it_value.tv_sec > 0 && v.it_value.tv_sec <= 3600);
    CHECK_EQ(timer_delete(id), 0);
}

static void *timer_thread(void *arg)
{
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
    struct itimerspec v = {{0, 0}, {0, 5000000}};
    timer_t id;

    ev._sigev_un._tid = (int)sys(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &ev, &id) || timer_settime(id, 0, &v, NULL))
        return NULL;
    while (!g_count)
        usleep(1000);
    *(int *)arg = g_tid == ev._sigev_un._tid;
    timer_delete(id);
    return NULL;
}

TEST(posix_timer_aims_at_a_thread)
{
    pthread_t t;
    int ok = 0;

    install(SIGUSR1);
    REQUIRE(pthread_create(&t, NULL, timer_thread, &ok) == 0);
    pthread_join(t, NULL);
    CHECK(ok);
    signal(SIGUSR1, SIG_DFL);
}

TEST(cpu_clock_timer)
{
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    struct itimerspec v = {{0, 0}, {0, 20000000}};
    timer_t id;

    install(SIGUSR2);
    REQUIRE(timer_create(CLOCK_PROCESS_CPUTIME_ID, &ev, &id) == 0);
    CHECK_EQ(timer_settime(id, 0, &v, NULL), 0);
    burn_until(1);
    CHECK_EQ(timer_delete(id), 0);
    signal(SIGUSR2, SIG_DFL);
}

TEST(cpu_clocks_advance)
{
    struct timespec a, b;
    struct rusage ru;
    clockid_t id;
    volatile unsigned x = 0;

    CHECK_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a), 0);
    for (int i = 0; i < 30000000; i++)
        x++;
    CHECK_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b), 0);
    CHECK((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec > 1000000);
    CHECK_EQ(clock_getcpuclockid(getpid(), &id), 0);
    CHECK_EQ(clock_gettime(id, &a), 0);
    CHECK(a.tv_sec * 1000000000L + a.tv_nsec > 1000000);
    CHECK_EQ(getrusage(RUSAGE_SELF, &ru), 0);
    CHECK(ru.ru_utime.tv_sec * 1000000L + ru.ru_utime.tv_usec > 1000);
    CHECK_EQ(getrusage(RUSAGE_THREAD, &ru), 0);
    CHECK_ERR(getrusage(5, &ru), EINVAL);
}

TEST(cpu_limit_sends_xcpu)
{
    int status;
    pid_t pid = fork();

    if (!pid) {
        struct rlimit lim = {1, 60};

        setrlimit(RLIMIT_CPU, &lim);
        for (;;)
            ;
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WTERMSIG(status), SIGXCPU);
}

TEST(absolute_sleep_and_remaining_time)
{
    struct timespec now, end, rem = {9, 9}, nap = {3600, 0};
    struct sigaction sa = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    long long start;
    pid_t pid;

    clock_gettime(CLOCK_MONOTONIC, &now);
    end = now;
    end.tv_nsec += 20000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL), 0);
    clock_gettime(CLOCK_MONOTONIC, &now);
    CHECK(now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec));
    sigaction(SIGUSR1, &sa, NULL);
    start = test_now_ms();
    pid = test_signal_in(SYS_clock_nanosleep, SIGUSR1);
    CHECK_ERR(nanosleep(&nap, &rem), EINTR);
    CHECK(rem.tv_sec < 3600 && rem.tv_sec >= 3600 - 1 - (test_now_ms() - start + 999) / 1000);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK_EQ(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &nap, NULL), EINVAL);
    signal(SIGALRM, SIG_DFL);
}

static void timers_up_to_the_limit(void)
{
    struct rlimit lim = {5, 5};
    timer_t id;
    int made = 0;

    /* A user of its own: others' pending signals do not count. */
    if (geteuid() == 0 && setuid(54321) < 0)
        return;
    CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &lim), 0);
    while (made < 20 && timer_create(CLOCK_MONOTONIC, NULL, &id) == 0)
        made++;
    CHECK(made <= 5);
    CHECK_EQ(errno, EAGAIN);
    if (geteuid() == 54321)
        CHECK_EQ(made, 5);
    CHECK_EQ(timer_delete(id), 0);
    CHECK_EQ(timer_create(CLOCK_MONOTONIC, NULL, &id), 0);
}

TEST(timers_count_as_pending_signals)
{
    CHECK_EQ(test_in_child(timers_up_to_the_limit), 0);
}

GUEST_TEST_MAIN
