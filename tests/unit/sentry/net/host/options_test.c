/* SPDX-License-Identifier: Apache-2.0 */
/* The filter of --network=host admits every option of the table, and nothing that the table leaves
 * out on purpose. Not under sanitizers, whose runtime makes calls of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/host/seccomp.h"
#include "platform/host/sock.h"
#include "sentry/fs/vfs.h"
#include "sentry/net/host/options.h"

const struct fs_type *const g_fs_types[] = {NULL};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* EBADF from the host says that the filter let the call through. */
static int try_all(void)
{
    unsigned size = 0;
    int ret = 0;

    for (size_t i = 0; i < g_host_option_count && ret == 0; i++) {
        const struct host_option *o = &g_host_options[i];

        for (int name = o->first; name <= o->last && ret == 0; name++) {
            if ((o->flags & HOST_OPT_SET) && host_setsockopt(-1, o->level, name, NULL, 0) != -EBADF)
                ret = 3;
            if ((o->flags & HOST_OPT_GET) &&
                host_getsockopt(-1, o->level, name, NULL, &size) != -EBADF)
                ret = 4;
        }
    }
    return ret;
}

static void test_table_is_admitted(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    if (SANITIZED)
        skip();
    pid = fork();
    if (pid == 0) {
        if (host_seccomp_install(HOST_ROLE_HOSTNET) != 0)
            _exit(2);
        _exit(try_all());
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

struct row {
    const char *what;
    long nr, a, b, c;
};

static void test_rest_kills(void **state)
{
    static const struct row rows[] = {
        {"AF_UNIX", SYS_socket, AF_UNIX, SOCK_STREAM, 0},
        {"AF_NETLINK", SYS_socket, AF_NETLINK, SOCK_RAW, 0},
        {"AF_PACKET", SYS_socket, AF_PACKET, SOCK_RAW, 0},
        {"blocking socket", SYS_socket, AF_INET, SOCK_STREAM, 0},
        {"SCTP", SYS_socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 132},
        {"SO_ATTACH_FILTER", SYS_setsockopt, -1, SOL_SOCKET, 26},
        {"SO_ATTACH_BPF", SYS_setsockopt, -1, SOL_SOCKET, 50},
        {"SO_SNDBUFFORCE", SYS_setsockopt, -1, SOL_SOCKET, 32},
        {"TCP_REPAIR", SYS_setsockopt, -1, 6, 19},
        {"TCP_ULP", SYS_setsockopt, -1, 6, 31},
        {"TCP_ZEROCOPY_RECEIVE", SYS_getsockopt, -1, 6, 35},
        {"IPV6_ADDRFORM", SYS_setsockopt, -1, 41, 1},
        {"IPT_SO_SET_REPLACE", SYS_setsockopt, -1, 0, 64},
        {"SIOCSIFFLAGS", SYS_ioctl, -1, 0x8914, 0},
        {"SIOCADDRT", SYS_ioctl, -1, 0x890b, 0},
        {"EPOLL_CTL_MOD", SYS_epoll_ctl, -1, EPOLL_CTL_MOD, -1},
        {"epoll_create1", SYS_epoll_create1, 0, 0, 0},
        {"openat", SYS_openat, -1, 0, 0},
    };

    (void)state;
    if (SANITIZED)
        skip();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
            if (host_seccomp_install(HOST_ROLE_HOSTNET) != 0)
                _exit(2);
            syscall(rows[i].nr, rows[i].a, rows[i].b, rows[i].c, 0, 0);
            _exit(0);
        }
        waitpid(pid, &status, 0);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSYS)
            fail_msg("%s: status 0x%x", rows[i].what, (unsigned)status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_admitted),
        cmocka_unit_test(test_rest_kills),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
