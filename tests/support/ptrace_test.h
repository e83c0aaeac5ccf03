/* SPDX-License-Identifier: Apache-2.0 */
/* Children to trace, for the tests in tests/syscalls/ptrace. */
#pragma once

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "tests/support/guest_test.h"

/* The raw call: libc's PEEK requests return the word. */
#define pt(request, pid, addr, data) sys(SYS_ptrace, (long)(request), (long)(pid), addr, data)

/* A wait status in one number: exits as -1 - code, so that no stop looks like one. */
__attribute__((unused)) static int pt_wait_options(pid_t pid, int options)
{
    int status;
    pid_t got;

    do {
        got = waitpid(pid, &status, options);
    } while (got < 0 && errno == EINTR);
    if (got != pid)
        return -1000 - errno;
    if (WIFEXITED(status))
        return -1 - WEXITSTATUS(status);
    if (WIFSIGNALED(status))
        return -500 - WTERMSIG(status);
    return status >> 8;
}

#define PT_EXITED(code) (-1 - (code))
#define PT_KILLED(sig)  (-500 - (sig))
#define PT_EVENT(e)     (SIGTRAP | (e) << 8)
#define pt_wait(pid)    pt_wait_options(pid, __WALL)

/* Forks a child that asks to be traced, stops with SIGSTOP and then runs fn. The stop is reported
 * when this returns. */
__attribute__((unused)) static pid_t pt_child(void (*fn)(void))
{
    pid_t pid = fork();

    if (pid == 0) {
        g_test_failures = 0;
        CHECK_EQ(pt(PTRACE_TRACEME, 0, 0, 0), 0);
        raise(SIGSTOP);
        fn();
        _exit(g_test_failures ? 1 : 0);
    }
    if (pid > 0)
        CHECK_EQ(pt_wait(pid), SIGSTOP);
    return pid;
}

__attribute__((unused)) static void pt_kill(pid_t pid)
{
    kill(pid, SIGKILL);
    /* A stop at its exit that was told before: who dies already hears no SIGKILL. */
    ptrace(PTRACE_CONT, pid, 0, 0);
    while (pt_wait(pid) > 0)
        ptrace(PTRACE_CONT, pid, 0, 0); /* PTRACE_EVENT_EXIT stops even then */
}

__attribute__((unused)) static unsigned long pt_message(pid_t pid)
{
    unsigned long message = ~0ul;

    CHECK_EQ(pt(PTRACE_GETEVENTMSG, pid, 0, &message), 0);
    return message;
}
