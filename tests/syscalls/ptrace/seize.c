/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace(2): attaching to what runs or is stopped, group stops, detaching, tracers that go away. */
#include <pthread.h>
#include <sys/prctl.h>

#include "tests/support/ptrace_test.h"

#define PT_STOP_EVENT(sig) ((sig) | PTRACE_EVENT_STOP << 8)

static void sleeper(void)
{
    for (;;)
        test_sleep_ms(10000);
}

/* A child that runs fn and is not traced. */
static pid_t plain_child(void (*fn)(void))
{
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fn();
        _exit(g_test_failures ? 1 : 0);
    }
    CHECK_EQ(setpgid(pid, pid),
             0); /* not an orphaned process group, which SIGTSTP would not stop */
    WAIT_UNTIL(test_state(pid) == 'S'); /* as each fn does */
    return pid;
}

TEST(attach_stops_with_sigstop)
{
    pid_t pid = plain_child(sleeper);
    siginfo_t si;

    CHECK_EQ(pt(PTRACE_ATTACH, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGSTOP);
    CHECK_EQ(pt(PTRACE_GETSIGINFO, pid, 0, &si), 0);
    CHECK_EQ(si.si_signo, SIGSTOP);
    CHECK_EQ(si.si_code, SI_KERNEL);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    kill(pid, SIGUSR1);
    CHECK_EQ(pt_wait(pid), SIGUSR1);
    /* Detach with a signal delivers it. */
    CHECK_EQ(pt(PTRACE_DETACH, pid, 0, SIGUSR1), 0);
    CHECK_EQ(pt_wait(pid), PT_KILLED(SIGUSR1));
}

TEST(attach_to_a_stopped_child)
{
    pid_t pid = plain_child(sleeper);
    siginfo_t si;
    int status;

    kill(pid, SIGTSTP);
    CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
    CHECK_EQ(WSTOPSIG(status), SIGTSTP);
    CHECK_EQ(pt(PTRACE_ATTACH, pid, 0, 0), 0);
    /* The group stop it was in comes first and has no siginfo, then the SIGSTOP of the attach. */
    CHECK_EQ(pt_wait(pid), SIGTSTP);
    CHECK_ERR(pt(PTRACE_GETSIGINFO, pid, 0, &si), EINVAL);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGSTOP);
    CHECK_EQ(pt(PTRACE_GETSIGINFO, pid, 0, &si), 0);
    CHECK_EQ(pt(PTRACE_DETACH, pid, 0, 0), 0);
    /* The group stop is still in force. */
    WAIT_UNTIL(test_state(pid) == 'T');
    kill(pid, SIGCONT);
    WAIT_UNTIL(test_state(pid) == 'S');
    pt_kill(pid);
}

TEST(group_stop_of_an_attached_child)
{
    pid_t pid = plain_child(sleeper);
    siginfo_t si;

    CHECK_EQ(pt(PTRACE_ATTACH, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGSTOP);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, SIGSTOP), 0);
    CHECK_EQ(pt_wait(pid), SIGSTOP);
    CHECK_ERR(pt(PTRACE_GETSIGINFO, pid, 0, &si), EINVAL);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    WAIT_UNTIL(test_state(pid) ==
               'S'); /* Linux: a tracer may resume it although the process is stopped */
    pt_kill(pid);
}

TEST(seize_does_not_stop)
{
    pid_t pid = plain_child(sleeper);
    siginfo_t si;

    CHECK_EQ(pt(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD), 0);
    test_sleep_ms(20);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG | __WALL), 0);
    CHECK_EQ(pt(PTRACE_INTERRUPT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_STOP_EVENT(SIGTRAP));
    CHECK_EQ(pt(PTRACE_GETSIGINFO, pid, 0, &si), 0);
    CHECK_EQ(si.si_signo, SIGTRAP);
    CHECK_EQ(si.si_code, PT_STOP_EVENT(SIGTRAP));
    /* INTERRUPT during the stop traps again after it. */
    CHECK_EQ(pt(PTRACE_INTERRUPT, pid, 0, 0), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_STOP_EVENT(SIGTRAP));
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    test_sleep_ms(10);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG | __WALL), 0);
    CHECK_ERR(pt(PTRACE_DETACH, pid, 0, 0), ESRCH);
    pt_kill(pid);
}

TEST(listen_sees_the_end_of_a_group_stop)
{
    pid_t pid = plain_child(sleeper);

    CHECK_EQ(pt(PTRACE_SEIZE, pid, 0, 0), 0);
    kill(pid, SIGTSTP);
    CHECK_EQ(pt_wait(pid), SIGTSTP);
    CHECK_ERR(pt(PTRACE_LISTEN, pid, 0, 0), EIO); /* a signal stop */
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, SIGTSTP), 0);
    CHECK_EQ(pt_wait(pid), PT_STOP_EVENT(SIGTSTP));
    CHECK_EQ(pt(PTRACE_LISTEN, pid, 0, 0), 0);
    CHECK_ERR(pt(PTRACE_CONT, pid, 0, 0), ESRCH);
    test_sleep_ms(20);
    CHECK_EQ(waitpid(pid, NULL, WNOHANG | __WALL), 0);
    kill(pid, SIGCONT);
    CHECK_EQ(pt_wait(pid), PT_STOP_EVENT(SIGTRAP));
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGCONT);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, SIGCONT), 0);
    WAIT_UNTIL(test_state(pid) == 'S');
    /* INTERRUPT ends a LISTEN. */
    kill(pid, SIGSTOP);
    CHECK_EQ(pt_wait(pid), SIGSTOP);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, SIGSTOP), 0);
    CHECK_EQ(pt_wait(pid), PT_STOP_EVENT(SIGSTOP));
    CHECK_EQ(pt(PTRACE_LISTEN, pid, 0, 0), 0);
    CHECK_EQ(pt(PTRACE_INTERRUPT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_STOP_EVENT(SIGSTOP));
    pt_kill(pid);
}

TEST(seize_a_stopped_child)
{
    pid_t pid = plain_child(sleeper);

    kill(pid, SIGSTOP);
    CHECK_EQ(waitpid(pid, NULL, WUNTRACED), pid);
    CHECK_EQ(pt(PTRACE_SEIZE, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_STOP_EVENT(SIGSTOP));
    CHECK_EQ(pt(PTRACE_DETACH, pid, 0, 0), 0);
    WAIT_UNTIL(test_state(pid) == 'T');
    pt_kill(pid);
}

static void forks_and_waits(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(5);
    waitpid(pid, NULL, 0);
    sleeper();
}

TEST(children_of_seized_parents_start_with_a_stop_event)
{
    int go[2];
    pid_t pid, child;
    char c;

    CHECK_EQ(pipe(go), 0);
    pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (read(go[0], &c, 1) == 1)
            forks_and_waits();
        _exit(1);
    }
    CHECK_EQ(pt(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEFORK), 0);
    CHECK_EQ(write(go[1], "x", 1), 1);
    CHECK_EQ(pt_wait(pid), PT_EVENT(PTRACE_EVENT_FORK));
    child = (pid_t)pt_message(pid);
    CHECK_EQ(pt_wait(child), PT_STOP_EVENT(SIGTRAP));
    CHECK_EQ(pt(PTRACE_DETACH, child, 0, 0), 0);
    CHECK_EQ(pt(PTRACE_CONT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), SIGCHLD);
    pt_kill(pid);
    close(go[0]);
    close(go[1]);
}

/* ---- the tracer goes ------------------------------------------------------------------------ */

static pid_t g_target;
static long g_options;

static void trace_and_leave(void)
{
    CHECK_EQ(pt(PTRACE_SEIZE, g_target, 0, g_options), 0);
    CHECK_EQ(pt(PTRACE_INTERRUPT, g_target, 0, 0), 0);
    CHECK_EQ(pt_wait(g_target), PT_STOP_EVENT(SIGTRAP));
}

TEST(a_dead_tracer_lets_go)
{
    g_target = plain_child(sleeper);
    g_options = 0;
    CHECK_EQ(test_in_child(trace_and_leave), 0);
    WAIT_UNTIL(test_state(g_target) == 'S');
    pt_kill(g_target);
}

TEST(exitkill)
{
    int status;

    g_target = plain_child(sleeper);
    g_options = PTRACE_O_EXITKILL;
    CHECK_EQ(test_in_child(trace_and_leave), 0);
    CHECK_EQ(waitpid(g_target, &status, 0), g_target);
    CHECK_EQ(status, SIGKILL);
}

static void *attach_in_thread(void *arg)
{
    pid_t pid = *(pid_t *)arg;

    CHECK_EQ(pt(PTRACE_SEIZE, pid, 0, 0), 0);
    CHECK_EQ(pt(PTRACE_INTERRUPT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait_options(pid, __WALL | __WNOTHREAD), PT_STOP_EVENT(SIGTRAP));
    return NULL;
}

TEST(the_tracer_is_a_thread)
{
    pid_t pid = plain_child(sleeper);
    pthread_t t;

    pthread_create(&t, NULL, attach_in_thread, &pid);
    pthread_join(t, NULL);
    WAIT_UNTIL(test_state(pid) == 'S'); /* the thread is gone, and so is the relation */
    CHECK_EQ(pt(PTRACE_SEIZE, pid, 0, 0), 0);
    pt_kill(pid);
}

/* ---- waiting -------------------------------------------------------------------------------- */

static int g_pipe[2], g_seized[2];

static void trace_grandchild(void)
{
    char c;
    int status;

    CHECK_EQ(pt(PTRACE_SEIZE, g_target, 0, 0), 0);
    CHECK_EQ(write(g_seized[1], "x", 1), 1);
    /* A tracee of another parent: the end is seen here first. */
    CHECK_EQ(waitpid(g_target, &status, 0), g_target);
    CHECK_EQ(WEXITSTATUS(status), 4);
    CHECK_ERR(waitpid(g_target, &status, 0), ECHILD);
    (void)c;
}

static void exits_when_told(void)
{
    char c;

    _exit(read(g_pipe[0], &c, 1) == 1 ? 4 : 5);
}

TEST(parent_waits_after_the_tracer)
{
    pid_t tracer;
    int status;
    char c;

    CHECK_EQ(pipe(g_pipe), 0);
    CHECK_EQ(pipe(g_seized), 0);
    g_target = plain_child(exits_when_told);
    tracer = plain_child(trace_grandchild);
    CHECK_EQ(read(g_seized[0], &c, 1), 1);
    CHECK_EQ(write(g_pipe[1], "x", 1), 1);
    CHECK_EQ(waitpid(g_target, &status, 0), g_target);
    CHECK_EQ(WEXITSTATUS(status), 4);
    CHECK_EQ(waitpid(tracer, &status, 0), tracer);
    CHECK_EQ(status, 0);
    close(g_pipe[0]);
    close(g_pipe[1]);
    close(g_seized[0]);
    close(g_seized[1]);
}

TEST(waitid_on_tracees)
{
    pid_t pid = plain_child(sleeper);
    siginfo_t si;

    CHECK_EQ(pt(PTRACE_SEIZE, pid, 0, 0), 0);
    CHECK_EQ(pt(PTRACE_INTERRUPT, pid, 0, 0), 0);
    memset(&si, 0, sizeof(si));
    /* Linux: a tracer is told of stops whether it asked for WSTOPPED or not. */
    CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WEXITED | WNOWAIT), 0);
    CHECK_EQ(si.si_code, CLD_TRAPPED);
    CHECK_EQ(si.si_status, PT_STOP_EVENT(SIGTRAP));
    CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WSTOPPED), 0);
    si.si_pid = 1;
    CHECK_EQ(waitid(P_PID, (id_t)pid, &si, WSTOPPED | WNOHANG), 0);
    CHECK_EQ(si.si_pid, 0);
    pt_kill(pid);
}

static volatile sig_atomic_t g_chld;
static siginfo_t g_chld_info;

static void on_chld(int signo, siginfo_t *si, void *uc)
{
    (void)signo;
    (void)uc;
    g_chld_info = *si;
    g_chld = 1;
}

TEST(sigchld_for_stops)
{
    struct sigaction sa = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART}, old;
    pid_t pid = plain_child(sleeper);

    sigaction(SIGCHLD, &sa, &old);
    CHECK_EQ(pt(PTRACE_SEIZE, pid, 0, 0), 0);
    CHECK_EQ(pt(PTRACE_INTERRUPT, pid, 0, 0), 0);
    CHECK_EQ(pt_wait(pid), PT_STOP_EVENT(SIGTRAP));
    WAIT_UNTIL(g_chld);
    CHECK_EQ(g_chld_info.si_code, CLD_STOPPED);
    CHECK_EQ(g_chld_info.si_pid, pid);
    sigaction(SIGCHLD, &old, NULL);
    pt_kill(pid);
}

GUEST_TEST_MAIN
