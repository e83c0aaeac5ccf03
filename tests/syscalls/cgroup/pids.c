/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pids controller, and handing controllers on. Skips natively where version 2 has no pids
 * controller; expected from cgroup-v2.rst then.
 */
#include <pthread.h>

#include "tests/support/cgroup_test.h"

#define BEGIN                                                                                      \
    const char *why = cg_begin_with("+pids");                                                      \
    if (why)                                                                                       \
    SKIP(why)

static void make_group(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s-%d", g_cg_root, name, getpid());
    CHECK_EQ(mkdir(path, 0755), 0);
}

static void remove_group(const char *path)
{
    WAIT_UNTIL(rmdir(path) == 0 || errno != EBUSY);
    CHECK_ERR(access(path, F_OK), ENOENT);
}

static int fork_five(void *arg)
{
    int made = 0, err = 0;

    (void)arg;
    for (int i = 0; i < 5; i++) {
        pid_t pid = fork();

        if (pid == 0)
            for (;;)
                pause();
        if (pid > 0)
            made++;
        else
            err = errno;
    }
    return err == EAGAIN ? made : 50 + made;
}

TEST(fork_above_the_limit)
{
    BEGIN;
    char g[256];
    int status;
    pid_t pid;

    make_group(g, sizeof(g), "max");
    CHECK_EQ(cg_write_at(g, "pids.max", "x"), -EINVAL);
    CHECK_EQ(cg_write_at(g, "pids.max", "-1"), -EINVAL);
    CHECK_EQ(cg_write_at(g, "pids.max", "4"), 0);
    CHECK_EQ(cg_number_at(g, "pids.max", NULL), 4);
    pid = cg_fork_at(g, fork_five, NULL);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 3); /* itself and three */
    CHECK_EQ(cg_number_at(g, "pids.current", NULL), 3);
    CHECK_EQ(cg_number_at(g, "pids.events", "max"), 2);
    CHECK_EQ(cg_write_at(g, "cgroup.kill", "1"), 0);
    /* Those that were killed are ours, if we are their init. */
    WAIT_UNTIL(waitpid(-1, NULL, WNOHANG) <= 0 && cg_number_at(g, "pids.current", NULL) == 0);
    remove_group(g);
    cg_end();
}

__attribute__((noreturn)) static void *thread_sleep(void *arg)
{
    (void)arg;
    for (;;)
        pause();
}

static int make_threads(void *arg)
{
    int made = 0;

    (void)arg;
    for (int i = 0; i < 5; i++) {
        pthread_t t;
        int ret = pthread_create(&t, NULL, thread_sleep, NULL);

        if (ret == 0)
            made++;
        else if (ret != EAGAIN)
            return 99;
    }
    return made;
}

TEST(threads_count)
{
    BEGIN;
    char g[256];
    int status;
    pid_t pid;

    make_group(g, sizeof(g), "threads");
    CHECK_EQ(cg_write_at(g, "pids.max", "3"), 0);
    pid = cg_fork_at(g, make_threads, NULL);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 2);
    remove_group(g);
    cg_end();
}

TEST(a_zombie_counts_and_moving_ignores_the_limit)
{
    BEGIN;
    char g[256], text[32];
    pid_t pid = fork();

    if (pid == 0)
        _exit(cg_sleeper(NULL));
    make_group(g, sizeof(g), "move");
    CHECK_EQ(cg_write_at(g, "pids.max", "0"), 0);
    snprintf(text, sizeof(text), "%d", pid);
    CHECK_EQ(cg_write_at(g, "cgroup.procs", text), 0);
    CHECK_EQ(cg_number_at(g, "pids.current", NULL), 1);
    kill(pid, SIGKILL);
    WAIT_UNTIL(cg_number_at(g, "cgroup.events", "populated") == 0);
    CHECK_EQ(cg_number_at(g, "pids.current", NULL), 1);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    WAIT_UNTIL(cg_number_at(g, "pids.current", NULL) == 0);
    CHECK_EQ(cg_number_at(g, "pids.current", NULL), 0);
    remove_group(g);
    cg_end();
}

TEST(limit_of_an_ancestor)
{
    BEGIN;
    char g[256], sub[300];
    int status;
    pid_t pid;

    make_group(g, sizeof(g), "above");
    snprintf(sub, sizeof(sub), "%s/sub", g);
    CHECK_EQ(cg_write_at(g, "pids.max", "2"), 0);
    CHECK_EQ(cg_write_at(g, "cgroup.subtree_control", "+pids"), 0);
    CHECK_EQ(mkdir(sub, 0755), 0);
    pid = cg_fork_at(sub, fork_five, NULL);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 1);
    CHECK_EQ(cg_write_at(g, "cgroup.kill", "1"), 0);
    WAIT_UNTIL(rmdir(sub) == 0 || errno != EBUSY);
    remove_group(g);
    cg_end();
}

TEST(files_follow_subtree_control)
{
    BEGIN;
    char g[256], sub[300], file[350];

    make_group(g, sizeof(g), "files");
    snprintf(sub, sizeof(sub), "%s/sub", g);
    snprintf(file, sizeof(file), "%s/pids.max", sub);
    CHECK_EQ(mkdir(sub, 0755), 0);
    CHECK_ERR(access(file, F_OK), ENOENT);
    CHECK_EQ(cg_write_at(g, "cgroup.subtree_control", "+pids"), 0);
    CHECK_EQ(access(file, F_OK), 0);
    CHECK_EQ(cg_write_at(sub, "pids.max", "5"), 0);
    CHECK_EQ(cg_write_at(sub, "cgroup.subtree_control", "+pids"), 0);
    CHECK_EQ(cg_write_at(g, "cgroup.subtree_control", "-pids"), -EBUSY);
    CHECK_EQ(cg_write_at(sub, "cgroup.subtree_control", "-pids"), 0);
    CHECK_EQ(cg_write_at(g, "cgroup.subtree_control", "-pids"), 0);
    CHECK_ERR(access(file, F_OK), ENOENT);
    CHECK_EQ(cg_write_at(sub, "cgroup.subtree_control", "+pids"), -ENOENT);
    CHECK_EQ(rmdir(sub), 0);
    remove_group(g);
    cg_end();
}

GUEST_TEST_MAIN
