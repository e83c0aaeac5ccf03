/* SPDX-License-Identifier: Apache-2.0 */
/* The generated filters: what is listed works, everything else kills. Not under sanitizers, whose
 * runtime makes calls of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/host/seccomp.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

struct row {
    const char *what;
    long nr, a, b, c, d, e, f;
};

/* The wait status of a process that makes one call under the filter of role. */
static int status_of(enum host_role role, const struct row *r)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        if (host_seccomp_install(role) != 0)
            _exit(2);
        syscall(r->nr, r->a, r->b, r->c, r->d, r->e, r->f);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    return status;
}

static void test_sentry_kills(void **state)
{
    static const struct row rows[] = {
        {"openat", SYS_openat, AT_FDCWD, (long)"/", O_RDONLY, 0, 0, 0},
        {"open", SYS_open, (long)"/", O_RDONLY, 0, 0, 0, 0},
        {"execve", SYS_execve, (long)"/bin/true", 0, 0, 0, 0, 0},
        {"socket", SYS_socket, AF_INET, SOCK_STREAM, 0, 0, 0, 0},
        {"fork", SYS_fork, 0, 0, 0, 0, 0, 0},
        {"clone process", SYS_clone, SIGCHLD, 0, 0, 0, 0, 0},
        {"clone namespace", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0, 0},
        {"mmap exec", SYS_mmap, 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0},
        {"mprotect exec", SYS_mprotect, 0, 4096, PROT_EXEC, 0, 0, 0},
        {"ioctl TIOCSTI", SYS_ioctl, 0, 0x5412, 0, 0, 0, 0},
        {"prctl dumpable", SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0, 0},
        {"setns", SYS_setns, 0, 0, 0, 0, 0, 0},
        {"bpf", SYS_bpf, 0, 0, 0, 0, 0, 0},
        {"kill others", SYS_kill, 1, SIGTERM, 0, 0, 0, 0},
    };

    (void)state;
    if (SANITIZED)
        skip();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int status = status_of(HOST_ROLE_SENTRY, &rows[i]);

        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s: status 0x%x", rows[i].what, (unsigned)status);
    }
}

static void *thread_main(void *arg)
{
    free(malloc(1 << 20));
    return arg;
}

static void test_sentry_lives(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    if (SANITIZED)
        skip();
    pid = fork();
    if (pid == 0) {
        pthread_t t;
        void *big;

        if (host_seccomp_install(HOST_ROLE_SENTRY) != 0)
            _exit(2);
        if (syscall(SYS_clone3, NULL, 0) != -1 || errno != ENOSYS)
            _exit(3);
        for (int i = 0; i < 20; i++) {
            if (pthread_create(&t, NULL, thread_main, NULL) != 0)
                _exit(4);
            pthread_join(t, NULL);
        }
        big = malloc(64 << 20);
        big = realloc(big, 128 << 20);
        free(big);
        usleep(1000);
        if (fcntl(1, F_GETFL) < 0)
            _exit(5);
        _exit(0);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void test_roles_exist(void **state)
{
    (void)state;
    for (int r = 0; r < HOST_ROLE_COUNT; r++) {
        const struct host_filter *f = host_filter((enum host_role)r);

        assert_non_null(f->code);
        assert_in_range(f->count, 4, HOST_FILTER_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentry_kills),
        cmocka_unit_test(test_sentry_lives),
        cmocka_unit_test(test_roles_exist),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
