/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace(2): events of fork, vfork, clone, exec, exit and seccomp; new tracees; threads. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>

#include "tests/support/ptrace_test.h"

#define FORKS (PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE)

static void forks(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(7);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(WEXITSTATUS(status), 7);
}

/* The new tracee's first stop, then let it run. */
static void first_stop(pid_t child, int want)
{
    CHECK_EQ(pt_wait(child), want);
    CHECK_EQ(pt(PTRACE_CONT, child, 0, 0), 0);
}

static int skip_sigchld(pid_t pid)
{
    int ret = pt_wait(pid);

    while (ret == SIGCHLD) {
        CHECK_EQ(pt(PTRACE_CONT, pid, 0, SIGCHLD), 0);
        ret = pt_wait(pid);
    }
    return ret;
}

TEST(fork_event)
{
    pid_t pid = pt_child(forks), child;
    struct user_regs_struct r;
    siginfo_t si;

    CHECK_EQ(pt(PTRACE_SETOPTIONS, pid, 0, FORKS), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_FORK));
    CHECK_EQ(pt(PTRACE_GETSIGINFO, pid, 0, &si), 0);
    CHECK_EQ(si.si_signo, SIGTRAP);
    CHECK_EQ(si.si_code, PT_EVENT(PTRACE_EVENT_FORK));
    child = (pid_t)pt_message(pid);
    CHECK(child > 0);
    CHECK_EQ(pt_wait(child), SIGSTOP);
    CHECK_EQ(pt(PTRACE_GETREGS, child, 0, &r), 0);
    CHECK_EQ(r.rax, 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt(PTRACE_CONT, child, 0, 0), 0);
    CHECK_EQ(pt_wait(child), PT_EXITED(7));
    CHECK_EQ(skip_sigchld(pid), PT_EXITED(0));
}

TEST(without_the_option_children_are_free)
{
    pid_t pid = pt_child(forks);

    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(skip_sigchld(pid), PT_EXITED(0));
}

static void vforks(void)
{
    int status;
    pid_t pid = vfork();

    if (pid == 0)
        _exit(3);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
}

TEST(vfork_events)
{
    pid_t pid = pt_child(vforks), child;

    CHECK_EQ(pt(PTRACE_SETOPTIONS, pid, 0, FORKS | PTRACE_O_TRACEVFORKDONE), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_VFORK));
    child = (pid_t)pt_message(pid);
    CHECK_EQ(pt_wait(child), SIGSTOP);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    test_sleep_ms(20);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG | __WALL), 0); /* waits for its child */
    CHECK_EQ(pt(PTRACE_CONT, child, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_VFORK_DONE));
    CHECK_EQ(pt_message(pid), child);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(child), PT_EXITED(3));
    CHECK_EQ(skip_sigchld(pid), PT_EXITED(0));
}

static void runs_on(void)
{
    for (;;)
        pause();
}

/* Who dies already, of another signal, hears no SIGKILL: its tracer lets it end. */
TEST(sigkill_does_not_end_the_stop_at_an_exit)
{
    pid_t pid = pt_child(runs_on);

    CHECK_EQ(pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, SIGTERM), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_EXIT));
    kill(pid, SIGKILL);
    test_sleep_ms(20);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG | __WALL), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_KILLED(SIGTERM));
}

static void *thread(void *arg)
{
    sys(SYS_getppid);
    return arg;
}

static void threads(void)
{
    pthread_t t;

    CHECK_EQ(pthread_create(&t, NULL, thread, NULL), 0);
    pthread_join(t, NULL);
}

TEST(clone_event_and_the_end_of_a_thread)
{
    pid_t pid = pt_child(threads), tid;
    int status;

    CHECK_EQ(pt(PTRACE_SETOPTIONS, pid, 0, FORKS | PTRACE_O_TRACEEXIT), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_CLONE));
    tid = (pid_t)pt_message(pid);
    first_stop(tid, SIGSTOP);
    CHECK_EQ(pt_wait(tid), PT_EVENT(PTRACE_EVENT_EXIT));
    CHECK_EQ(pt_message(tid), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt(PTRACE_CONT, tid, 0, 0), 0);
    /* A thread is a clone child: __WALL or __WCLONE reach it, and for tracees plain wait does. */
    CHECK_EQ(waitpid(tid, &status, 0), tid);
    CHECK_EQ(status, 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_EXIT));
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static void execs(void)
{
    char *argv[] = {"/bin/true", NULL};

    execv(argv[0], argv);
    CHECK(0);
}

TEST(exec_event)
{
    pid_t pid = pt_child(execs);
    struct user_regs_struct r;

    CHECK_EQ(pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_EXEC));
    CHECK_EQ(pt_message(pid), pid);
    CHECK_EQ(pt(PTRACE_SYSCALL, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGTRAP);
    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &r), 0);
    CHECK_EQ(r.orig_rax, SYS_execve);
    CHECK_EQ(r.rax, 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

TEST(exec_without_the_option_sends_sigtrap)
{
    pid_t pid = pt_child(execs);
    siginfo_t si;

    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGTRAP);
    CHECK_EQ(pt(PTRACE_GETSIGINFO, pid, 0, &si), 0);
    CHECK_EQ(si.si_code, SI_USER);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static void *exec_thread(void *arg)
{
    execs();
    return arg;
}

static void execs_in_a_thread(void)
{
    pthread_t t;

    pthread_create(&t, NULL, exec_thread, NULL);
    for (;;)
        pause();
}

TEST(exec_by_another_thread_takes_the_leaders_id)
{
    pid_t pid = pt_child(execs_in_a_thread), tid;

    CHECK_EQ(pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXEC | FORKS), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_CLONE));
    tid = (pid_t)pt_message(pid);
    CHECK_EQ(pt_wait(tid), SIGSTOP);
    /* The leader first: the thread's exec ends it, stopped or not. */
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt(PTRACE_CONT, tid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_EXEC));
    CHECK_EQ(pt_message(pid), tid);
    CHECK_ERR(waitpid(tid, NULL, __WALL | WNOHANG), ECHILD);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static void exits_with_9(void)
{
    _exit(9);
}

TEST(exit_event)
{
    pid_t pid = pt_child(exits_with_9);
    struct user_regs_struct r;

    CHECK_EQ(pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_EXIT));
    CHECK_EQ(pt_message(pid), 9 << 8);
    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &r), 0);
    CHECK_EQ(r.orig_rax, SYS_exit_group);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(9));
}

TEST(exit_event_of_a_killed_child)
{
    pid_t pid = pt_child(exits_with_9);

    CHECK_EQ(pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT), 0);
    kill(pid, SIGKILL);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_EXIT));
    CHECK_EQ(pt_message(pid), SIGKILL);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_KILLED(SIGKILL));
}

/* ---- seccomp -------------------------------------------------------------------------------- */

static const struct sock_filter g_filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 0x123),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getuid, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 99),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

static void filtered(void)
{
    struct sock_fprog prog = {sizeof(g_filter) / sizeof(g_filter[0]),
                              (struct sock_filter *)(uintptr_t)g_filter};
    uint32_t action = SECCOMP_RET_TRACE;

    CHECK_EQ(sys(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action), 0);
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
    CHECK_EQ(sys(SYS_getppid), 1234);      /* the tracer's answer */
    CHECK_ERR(sys(SYS_getppid), 99);       /* became getuid, which the filter sees again */
    CHECK_EQ(sys(SYS_getppid), getppid()); /* goes through */
    _exit(g_test_failures ? 1 : 0);
}

TEST(seccomp_event)
{
    pid_t pid = pt_child(filtered);
    struct sock_filter insns[16];
    struct user_regs_struct r;
    char info[96];

    CHECK_EQ(pt(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_SECCOMP));
    CHECK_EQ(pt_message(pid), 0x123);
    CHECK_EQ(pt(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), info), 84);
    CHECK_EQ(info[0], 3);
    if (geteuid() == 0) {
        memset(insns, 0, sizeof(insns));
        CHECK_EQ(pt(PTRACE_SECCOMP_GET_FILTER, pid, 0, NULL), 6);
        CHECK_EQ(pt(PTRACE_SECCOMP_GET_FILTER, pid, 0, insns), 6);
        CHECK(memcmp(insns, g_filter, sizeof(g_filter)) == 0);
        CHECK_ERR(pt(PTRACE_SECCOMP_GET_FILTER, pid, 1, insns), ENOENT);
    }
    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &r), 0);
    CHECK_EQ(r.orig_rax, SYS_getppid);
    r.orig_rax = -1;
    r.rax = 1234;
    CHECK_EQ(pt(PTRACE_SETREGS, pid, 0, &r), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_SECCOMP));
    CHECK_EQ(pt(PTRACE_GETREGS, pid, 0, &r), 0);
    r.orig_rax = SYS_getuid;
    CHECK_EQ(pt(PTRACE_SETREGS, pid, 0, &r), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_SECCOMP));
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_SECCOMP));
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_EXITED(0));
}

static void filtered_untraced(void)
{
    struct sock_fprog prog = {sizeof(g_filter) / sizeof(g_filter[0]),
                              (struct sock_filter *)(uintptr_t)g_filter};

    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog), 0);
    CHECK_ERR(sys(SYS_getppid), ENOSYS);
}

TEST(seccomp_without_a_tracer)
{
    CHECK_EQ(test_in_child(filtered_untraced), 0);
}

GUEST_TEST_MAIN
