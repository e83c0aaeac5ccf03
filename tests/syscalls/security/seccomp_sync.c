/* SPDX-License-Identifier: Apache-2.0 */
/* SECCOMP_FILTER_FLAG_TSYNC while threads are being made: once it returned, no thread of the process is without the filter. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "tests/support/seccomp_filter.h"

enum { ROUNDS = 40, MAKERS = 3 };

static atomic_bool g_installed, g_end;
static atomic_int g_made, g_escaped;

static long sync_filter(int nr, uint32_t action, unsigned more)
{
    return filter_one_call(nr, action, SECCOMP_FILTER_FLAG_TSYNC | more);
}

static void *made(void *arg)
{
    g_made++;
    if (g_installed && sys(SYS_getppid) != -33)
        g_escaped++;
    return NULL;
}

static void *maker(void *arg)
{
    while (!g_end) {
        pthread_t t;
        bool before = g_installed;

        if (pthread_create(&t, NULL, made, NULL) == 0)
            pthread_join(t, NULL);
        if (before)
            break;
    }
    return NULL;
}

static void one_round(void)
{
    pthread_t t[MAKERS];

    for (int i = 0; i < MAKERS; i++)
        REQUIRE(pthread_create(&t[i], NULL, maker, NULL) == 0);
    while (g_made < 3)
        sched_yield();
    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK_EQ(sync_filter(SYS_getppid, SECCOMP_RET_ERRNO | 33, 0), 0);
    g_installed = true;
    for (int i = 0; i < MAKERS; i++)
        pthread_join(t[i], NULL);
    CHECK_EQ(g_escaped, 0);
    CHECK_EQ(prctl(PR_GET_SECCOMP), 2);
}

TEST(new_threads_do_not_escape)
{
    for (int i = 0; i < ROUNDS; i++)
        CHECK_EQ(test_in_child(one_round), 0);
}

static void *adder(void *arg)
{
    while (!g_end) {
        /* ESRCH: the other one has a filter that this one does not have yet. */
        long ret =
            sync_filter(SYS_getppid, SECCOMP_RET_ERRNO | 33, SECCOMP_FILTER_FLAG_TSYNC_ESRCH);

        if (ret == -ENOMEM)
            break;
        CHECK(ret == 0 || ret == -ESRCH);
    }
    return NULL;
}

/* Each puts filters on the other, with a listener now and then, whose result is a descriptor. */
static void both_ways(void)
{
    pthread_t t;

    REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    REQUIRE(pthread_create(&t, NULL, adder, NULL) == 0);
    for (int i = 0; i < 30; i++) {
        long fd = sync_filter(SYS_getpgrp, SECCOMP_RET_ERRNO | 34,
                              SECCOMP_FILTER_FLAG_TSYNC_ESRCH |
                                  (i == 0 ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0));

        CHECK(fd >= 0 || fd == -ESRCH || fd == -ENOMEM);
        if (fd > 0)
            close((int)fd);
    }
    g_end = true;
    pthread_join(t, NULL);
}

TEST(two_threads_sync_each_other)
{
    for (int i = 0; i < ROUNDS; i++)
        CHECK_EQ(test_in_child(both_ways), 0);
}

GUEST_TEST_MAIN
