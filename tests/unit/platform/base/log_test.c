/* SPDX-License-Identifier: Apache-2.0 */
/* What a line of the log says, and that one can be written where no file can be opened. */
#include "platform/base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cmocka.h>

/* Logs the message to a pipe and returns the line, without its end. */
static char *line_of(enum log_format format, const char *message)
{
    static char line[2048];
    int fds[2];
    ssize_t n;

    assert_int_equal(pipe(fds), 0);
    log_init(fds[1], format, LOG_DEBUG, "test");
    log_write(LOG_INFO, LOG_NET, "%s", message);
    n = read(fds[0], line, sizeof(line) - 1);
    assert_true(n > 0 && line[n - 1] == '\n');
    line[n - 1] = '\0';
    close(fds[0]);
    close(fds[1]);
    log_init(-1, LOG_FORMAT_TEXT, LOG_ERROR, "test");
    return line;
}

static void text_is_plain(void **state)
{
    static const char *const cases[][2] = {
        {"as it is: \xc3\xa4 \xe2\x82\xac ~", "as it is: \xc3\xa4 \xe2\x82\xac ~"},
        {"a\n2026-01-01T00:00:00.000000Z test error cli: forged",
         "a?2026-01-01T00:00:00.000000Z test error cli: forged"},
        {"\x1b[2J\x1b]0;title\a\r\t\b\x7f", "?[2J?]0;title?????"},
        {"\xc2\x9b"
         "31m \xc2\xa0 \xc2",
         "??31m \xc2\xa0 \xc2"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const char *message = strstr(line_of(LOG_FORMAT_TEXT, cases[i][0]), " test info net: ");

        assert_non_null(message);
        assert_string_equal(message + strlen(" test info net: "), cases[i][1]);
    }
}

static void json_is_escaped(void **state)
{
    (void)state;
    assert_non_null(strstr(line_of(LOG_FORMAT_JSON, "\x1b\"\n"), "\"msg\":\"\\u001b\\\"\\u000a\""));
}

/* The time is the present one in UTC, whatever the time zone. */
static void time_is_utc(void **state)
{
    time_t before, after;
    struct tm tm = {0};
    char *end;

    (void)state;
    setenv("TZ", "Asia/Kathmandu", 1);
    before = time(NULL);
    end = strptime(line_of(LOG_FORMAT_TEXT, "x"), "%Y-%m-%dT%H:%M:%S", &tm);
    after = time(NULL);
    unsetenv("TZ");
    assert_non_null(end);
    assert_true(*end == '.' && end[7] == 'Z' && end[8] == ' ');
    assert_in_range(timegm(&tm), before, after);
}

/* A process that opens a file any more ends. */
static void forbid_open(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog prog = {ARRAY_COUNT(code), code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0) < 0)
        _exit(77);
}

/* A program of its own: in this one the C library has read its time zone. */
static void jailed_process_logs(void **state)
{
    char path[] = "/proc/self/exe", text[256] = "";
    int fds[2], status;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(fds[1], STDOUT_FILENO);
        execl(path, path, "jailed", NULL);
        _exit(127);
    }
    close(fds[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* the host has no seccomp */
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(read(fds[0], text, sizeof(text) - 1) > 0);
    assert_non_null(strstr(text, " test info boot: from the jail\n"));
    close(fds[0]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_plain),
        cmocka_unit_test(json_is_escaped),
        cmocka_unit_test(time_is_utc),
        cmocka_unit_test(jailed_process_logs),
    };

    if (argc > 1 && strcmp(argv[1], "jailed") == 0) {
        log_init(STDOUT_FILENO, LOG_FORMAT_TEXT, LOG_INFO, "test");
        forbid_open();
        log_info(LOG_BOOT, "from the jail");
        _exit(0);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
