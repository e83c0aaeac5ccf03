/* SPDX-License-Identifier: Apache-2.0 */
/* execve, execveat: what survives, scripts, errors. */
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "tests/support/guest_test.h"

static char g_self[200];

/* The program runs itself: "--as CASE" does the child's part and exits. */
static int child_part(const char *what)
{
    struct sigaction sa;
    sigset_t set;

    if (strcmp(what, "signals") == 0) {
        sigprocmask(SIG_BLOCK, NULL, &set);
        if (!sigismember(&set, SIGUSR1) || sigismember(&set, SIGUSR2))
            return 1;
        sigaction(SIGINT, NULL, &sa);
        if (sa.sa_handler != SIG_IGN)
            return 2;
        sigaction(SIGTERM, NULL, &sa);
        return sa.sa_handler == SIG_DFL ? 0 : 3;
    }
    if (strcmp(what, "fds") == 0)
        return fcntl(100, F_GETFD) == 0 && fcntl(101, F_GETFD) < 0 ? 0 : 1;
    if (strcmp(what, "env") == 0)
        return getenv("ONLY") && strcmp(getenv("ONLY"), "one") == 0 && !getenv("PATH") ? 0 : 1;
    if (strcmp(what, "aux") == 0)
        return getauxval(AT_PAGESZ) == 4096 && getauxval(AT_RANDOM) && getauxval(AT_EXECFN) &&
                       getauxval(AT_UID) == getuid() && getauxval(AT_PHDR)
                   ? 0
                   : 1;
    if (strcmp(what, "altstack") == 0) {
        stack_t ss;

        sigaltstack(NULL, &ss);
        return ss.ss_flags == SS_DISABLE ? 0 : 1;
    }
    if (strcmp(what, "reaper") == 0) {
        int status;

        return wait(&status) > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    }
    return 99;
}

__attribute__((constructor)) static void run_child_part(int argc, char **argv)
{
    ssize_t n = readlink("/proc/self/exe", g_self, sizeof(g_self) - 1);

    if (n > 0)
        g_self[n] = '\0';
    if (argc == 3 && strcmp(argv[1], "--as") == 0)
        _exit(child_part(argv[2]));
}

static int exec_status(const char *path, char *const argv[], char *const envp[])
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(sysp(SYS_execve, path, argv, envp) < 0 ? 90 : 91);
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}

static int run_self(const char *what)
{
    char *argv[] = {g_self, (char *)"--as", (char *)(uintptr_t)what, NULL};
    char *envp[] = {(char *)"ONLY=one", NULL};

    return exec_status(g_self, argv, envp);
}

TEST(environment_and_auxv)
{
    CHECK_EQ(run_self("env"), 0);
    CHECK_EQ(run_self("aux"), 0);
}

TEST(signals_over_exec)
{
    sigset_t set, old;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_SETMASK, &set, &old);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, test_timeout);
    CHECK_EQ(run_self("signals"), 0);
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

TEST(alternate_stack_is_dropped)
{
    static char memory[65536];
    stack_t ss = {.ss_sp = memory, .ss_size = sizeof(memory)}, off = {.ss_flags = SS_DISABLE};

    CHECK(sigaltstack(&ss, NULL) == 0);
    CHECK_EQ(run_self("altstack"), 0);
    CHECK(sigaltstack(&off, NULL) == 0);
}

TEST(descriptors_over_exec)
{
    CHECK(dup2(0, 100) == 100);
    CHECK(dup3(0, 101, O_CLOEXEC) == 101);
    CHECK_EQ(run_self("fds"), 0);
    close(100);
    close(101);
}

TEST(errors)
{
    char *argv[] = {(char *)"x", NULL};
    char *huge[2];
    int fd;

    test_tmpdir();
    CHECK_ERR(sysp(SYS_execve, "nothing", argv, NULL), ENOENT);
    CHECK_ERR(sysp(SYS_execve, "", argv, NULL), ENOENT);
    CHECK_ERR(sysp(SYS_execve, BAD_PTR, argv, NULL), EFAULT);
    CHECK_ERR(sysp(SYS_execve, g_self, BAD_PTR, NULL), EFAULT);
    CHECK_ERR(sysp(SYS_execve, "/", argv, NULL), EACCES);
    CHECK_ERR(sysp(SYS_execve, "/etc/passwd", argv, NULL), EACCES);
    CHECK_ERR(sysp(SYS_execve, "/etc/passwd/x", argv, NULL), ENOTDIR);
    fd = open("empty", O_CREAT | O_WRONLY, 0700);
    close(fd);
    CHECK_ERR(sysp(SYS_execve, "empty", argv, NULL), ENOEXEC);
    fd = open("text", O_CREAT | O_WRONLY, 0700);
    CHECK(write(fd, "echo hi\n", 8) == 8);
    CHECK_ERR(sysp(SYS_execve, "text", argv, NULL), ETXTBSY);
    close(fd);
    CHECK_ERR(sysp(SYS_execve, "text", argv, NULL), ENOEXEC);
    fd = open("elf", O_CREAT | O_WRONLY, 0700);
    CHECK(write(fd, "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\2\0\x3e\0", 20) == 20);
    close(fd);
    CHECK_ERR(sysp(SYS_execve, "elf", argv, NULL), ENOEXEC);
    fd = open("script", O_CREAT | O_WRONLY, 0700);
    CHECK(write(fd, "#!/no/interpreter\n", 18) == 18);
    close(fd);
    CHECK_ERR(sysp(SYS_execve, "script", argv, NULL), ENOENT);
    /* One argument may have 128 KiB at most. */
    huge[0] = malloc(140000);
    huge[1] = NULL;
    memset(huge[0], 'a', 139999);
    huge[0][139999] = '\0';
    CHECK_ERR(sysp(SYS_execve, g_self, huge, NULL), E2BIG);
    free(huge[0]);
}

TEST(scripts)
{
    char *argv[] = {(char *)"zero", (char *)"one", NULL};
    char text[300];
    int fd;

    test_tmpdir();
    fd = open("s", O_CREAT | O_WRONLY, 0700);
    CHECK(write(fd, "#! /bin/sh -e \n[ \"$0\" = ./s ] && [ \"$1\" = one ] && exit 33\n", 60) > 0);
    close(fd);
    CHECK_EQ(exec_status("./s", argv, NULL), 33);
    /* A script whose interpreter is a script. */
    fd = open("t", O_CREAT | O_WRONLY, 0700);
    snprintf(text, sizeof(text), "#!%s/s\n", test_tmpdir());
    CHECK(write(fd, text, strlen(text)) > 0);
    close(fd);
    fd = open("s", O_WRONLY | O_TRUNC);
    CHECK(write(fd, "#!/bin/sh\n[ \"$1\" = ./t ] && [ \"$2\" = one ] && exit 34\n", 55) > 0);
    close(fd);
    CHECK_EQ(exec_status("./t", argv, NULL), 34);
    fd = open("loop", O_CREAT | O_WRONLY, 0700);
    snprintf(text, sizeof(text), "#!%s/loop\n", test_tmpdir());
    CHECK(write(fd, text, strlen(text)) > 0);
    close(fd);
    CHECK_ERR(sysp(SYS_execve, "./loop", argv, NULL), ELOOP);
}

static void exec_by_descriptor(void)
{
    char *argv[] = {g_self, (char *)"--as", (char *)"nothing", NULL};
    int fd = open(g_self, O_PATH | O_CLOEXEC);

    sysp(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH);
    _exit(1);
}

TEST(execveat_forms)
{
    char *argv[] = {(char *)"x", NULL};

    CHECK_EQ(WEXITSTATUS(test_in_child(exec_by_descriptor)), 99);
    CHECK_ERR(sysp(SYS_execveat, 9999, "x", argv, NULL, 0), EBADF);
    CHECK_ERR(sysp(SYS_execveat, AT_FDCWD, "x", argv, NULL, 0x400), EINVAL);
    test_tmpdir();
    CHECK(symlink(g_self, "link") == 0);
    CHECK_ERR(sysp(SYS_execveat, AT_FDCWD, "link", argv, NULL, AT_SYMLINK_NOFOLLOW), ELOOP);
}

static int g_exec_done[2], g_vforked[2];

/* The child of a vfork keeps the memory that another thread's exec leaves. */
static void *vforks(void *arg)
{
    volatile uint64_t here = 0x1234567, *heap = malloc(1 << 20);
    char c;

    (void)arg;
    heap[1000] = here;
    if (vfork() == 0) {
        close(g_exec_done
                  [1]); /* its other end closes when the process execs, after the memory is gone */
        if (write(g_vforked[1], "x", 1) != 1 || read(g_exec_done[0], &c, 1) != 0)
            _exit(1);
        for (int i = 0; i < 20; i++)
            sched_yield();
        _exit(here == 0x1234567 && heap[1000] == here ? 55 : 2);
    }
    return NULL;
}

static void exec_beside_vfork(void)
{
    char *argv[] = {g_self, (char *)"--as", (char *)"reaper", NULL};
    pthread_t t;
    char c;

    REQUIRE(pipe2(g_exec_done, O_CLOEXEC) == 0 && pipe2(g_vforked, O_CLOEXEC) == 0);
    REQUIRE(pthread_create(&t, NULL, vforks, NULL) == 0);
    CHECK_EQ(read(g_vforked[0], &c, 1), 1);
    execv(g_self, argv);
    _exit(1);
}

TEST(vfork_child_outlives_exec_of_another_thread)
{
    CHECK_EQ(WEXITSTATUS(test_in_child(exec_beside_vfork)), 55);
}

GUEST_TEST_MAIN
