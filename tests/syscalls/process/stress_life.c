/* SPDX-License-Identifier: Apache-2.0 */
/* Races in the life of processes: threads that come, go, exec and fork while signals rain. */
#include <pthread.h>
#include <sys/mman.h>

#include "tests/support/guest_test.h"

static volatile sig_atomic_t g_hits;

static void hit(int sig)
{
    (void)sig;
    g_hits++;
}

static double seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void *churn(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;

    for (int i = 0; i < 20; i++) {
        pid_t pid;
        int status;

        switch (rand_r(&seed) % 4) {
        case 0:
            pid = fork();
            if (!pid)
                _exit(3);
            while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
            break;
        case 1:
            kill(getpid(), SIGUSR1);
            break;
        case 2:
            usleep(rand_r(&seed) % 500);
            break;
        default:
            munmap(mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0),
                   1 << 16);
            break;
        }
    }
    return NULL;
}

/* One victim: many threads; ends by exit, by exec from a thread or by the tester's SIGKILL. */
static void victim(int how)
{
    char *argv[] = {"/proc/self/exe", "nothing_here", NULL};
    pthread_t t;

    signal(SIGUSR1, hit);
    for (int i = 0; i < 6; i++)
        if (pthread_create(&t, NULL, churn, (void *)(uintptr_t)(i + 1)) == 0 && i % 2)
            pthread_detach(t);
    usleep(2000);
    if (how == 0)
        _exit(0);
    if (how == 1) {
        close(1);
        close(2);
        execv(argv[0], argv);
    }
    for (;;)
        pause();
}

TEST(nothing_here)
{
    CHECK(true);
}

TEST(victims_end_as_they_should)
{
    double end = seconds() + 3;
    unsigned seed = 1;

    for (int round = 0; seconds() < end; round++) {
        int how = round % 3, status = -1;
        pid_t pid = fork();

        if (!pid) {
            victim(how);
            _exit(9);
        }
        for (int i = 0; i < 30; i++) {
            kill(pid, i % 5 == 4 ? SIGSTOP : i % 5 == 0 ? SIGCONT : SIGUSR1);
            usleep(rand_r(&seed) % 200);
        }
        kill(pid, SIGCONT);
        if (how == 2)
            kill(pid, SIGKILL);
        CHECK_EQ(waitpid(pid, &status, 0), pid);
        /* SIGUSR1 kills before its handler is there, and after exec took it away. */
        if (status != SIGUSR1)
            CHECK_EQ(status, how == 2 ? SIGKILL : 0);
    }
    while (waitpid(-1, NULL, 0) > 0)
        ;
}

static void *bomb(void *arg)
{
    pthread_t to = *(pthread_t *)arg;

    for (int i = 0; i < 3000; i++)
        pthread_kill(to, SIGUSR1);
    return NULL;
}

TEST(signals_from_all_sides)
{
    pthread_t t[4], me = pthread_self();
    struct timespec nap = {0, 1000};

    signal(SIGUSR1, hit);
    g_hits = 0;
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, bomb, &me) == 0);
    for (int i = 0; i < 2000; i++)
        nanosleep(&nap, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK(g_hits > 0);
    signal(SIGUSR1, SIG_DFL);
}

GUEST_TEST_MAIN
