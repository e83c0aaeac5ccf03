/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor table is long before anybody shares it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/host/proc.h"

/* How long this process's table is. */
static unsigned table_length(void)
{
    FILE *f = fopen("/proc/self/status", "re");
    unsigned length = 0;
    char line[256];

    while (f && fgets(line, sizeof(line), f))
        (void)sscanf(line, "FDSize: %u", &length);
    if (f)
        (void)fclose(f);
    return length;
}

static int child_with_limit(rlim_t soft, rlim_t hard)
{
    struct rlimit rl = {soft, hard};
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        if (setrlimit(RLIMIT_NOFILE, &rl) < 0 || host_fds_prepare() != hard)
            _exit(1);
        if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur != hard || rl.rlim_max != hard)
            _exit(2);
        _exit(table_length() < (hard < HOST_FDS_ROOM ? hard : HOST_FDS_ROOM) ? 3 : 0);
    }
    waitpid(pid, &status, 0);
    return status;
}

static void test_fds_prepare(void **state)
{
    (void)state;
    assert_int_equal(child_with_limit(64, 2048), 0);
    assert_int_equal(child_with_limit(1024, 1024), 0);
    assert_int_equal(child_with_limit(16, 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_fds_prepare)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
