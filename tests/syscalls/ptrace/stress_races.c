/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace(2) under fire: tracers attach, interrupt, step and detach while targets make threads, fork,
 * exec, stop, continue, dump core and are killed, and while tracers themselves are. Nothing is
 * checked but that it ends, that children are reaped, and that the kernel survives. */
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "tests/support/ptrace_test.h"

enum { SECONDS = 4, TARGETS = 4, TRACERS = 3 };

static unsigned g_seed;

static unsigned rnd(unsigned n)
{
    g_seed = g_seed * 1103515245u + 12345u;
    return (g_seed >> 16) % n;
}

static void *short_thread(void *arg)
{
    sys(SYS_getppid);
    return arg;
}

/* Something that a tracer may find anywhere. */
static void target(unsigned seed)
{
    struct rlimit none = {0, 0};
    pthread_t t;
    pid_t pid;

    g_seed = seed;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setpgid(0, 0);
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGUSR1, SIG_IGN);
    for (;;) {
        switch (rnd(6)) {
        case 0:
            if (pthread_create(&t, NULL, short_thread, NULL) == 0)
                pthread_join(t, NULL);
            break;
        case 1:
            pid = fork();
            if (pid == 0)
                _exit(3);
            waitpid(pid, NULL, 0);
            break;
        case 2:
            pid = vfork();
            if (pid == 0)
                _exit(0);
            waitpid(pid, NULL, 0);
            break;
        case 3:
            raise(SIGUSR1);
            break;
        case 4:
            usleep(200);
            break;
        default:
            for (int i = 0; i < 50; i++)
                sys(SYS_getuid);
            break;
        }
    }
}

static void one_round(pid_t pid)
{
    static const int how[] = {PTRACE_CONT, PTRACE_SYSCALL, PTRACE_SINGLESTEP, PTRACE_CONT};
    long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACEEXIT | PTRACE_O_TRACEVFORKDONE;
    struct user_regs_struct regs;
    struct user_fpregs_struct fp;
    int status;
    pid_t got;

    if (rnd(2)) {
        if (pt(PTRACE_SEIZE, pid, 0, options) < 0)
            return;
        pt(PTRACE_INTERRUPT, pid, 0, 0);
    } else if (pt(PTRACE_ATTACH, pid, 0, 0) < 0) {
        return;
    }
    for (unsigned i = rnd(30); i > 0; i--) {
        got = waitpid(-1, &status, __WALL | (rnd(4) ? 0 : WNOHANG));
        if (got <= 0)
            continue;
        if (!WIFSTOPPED(status)) {
            if (got == pid)
                return;
            continue;
        }
        pt(PTRACE_GETREGS, got, 0, &regs);
        if (rnd(8) == 0)
            pt(PTRACE_GETFPREGS, got, 0, &fp);
        if (rnd(8) == 0)
            pt(PTRACE_SETREGS, got, 0, &regs);
        if (rnd(40) == 0)
            kill(got, SIGKILL);
        pt(how[rnd(4)], got, 0, 0);
        if (rnd(10) == 0)
            pt(PTRACE_INTERRUPT, pid, 0, 0);
    }
    /* Half of the time let go properly, else the next round or the end does. */
    if (rnd(2)) {
        pt(PTRACE_INTERRUPT, pid, 0, 0);
        kill(pid, SIGSTOP);
        while ((got = waitpid(pid, &status, __WALL)) == pid && WIFSTOPPED(status) &&
               pt(PTRACE_DETACH, pid, 0, 0) < 0)
            ;
        kill(pid, SIGCONT);
    }
}

static void tracer(const pid_t *targets, unsigned seed)
{
    g_seed = seed;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (int i = 0; i < 12; i++)
        one_round(targets[rnd(TARGETS)]);
    _exit(0);
}

TEST(everybody_ends)
{
    long long end = test_now_ms() + SECONDS * 1000;
    pid_t targets[TARGETS] = {0}, tracers[TRACERS] = {0}, pid;
    unsigned seed = (unsigned)test_now_ms() * 7919u;
    int ended = 0;

    g_seed = seed;
    while (test_now_ms() < end) {
        for (int i = 0; i < TARGETS; i++) {
            if (!targets[i] && (targets[i] = fork()) == 0)
                target(seed + (unsigned)i);
        }
        for (int i = 0; i < TRACERS; i++) {
            if (!tracers[i] && (tracers[i] = fork()) == 0)
                tracer(targets, seed + 100u + (unsigned)i);
        }
        seed++;
        usleep(2000);
        if (rnd(20) == 0)
            kill(tracers[rnd(TRACERS)], SIGKILL);
        if (rnd(30) == 0)
            kill(targets[rnd(TARGETS)], SIGCONT);
        if (rnd(60) == 0)
            kill(targets[rnd(TARGETS)], rnd(2) ? SIGKILL : SIGQUIT);
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
            ended++;
            for (int i = 0; i < TARGETS; i++)
                if (targets[i] == pid)
                    targets[i] = 0;
            for (int i = 0; i < TRACERS; i++)
                if (tracers[i] == pid)
                    tracers[i] = 0;
        }
    }
    for (int i = 0; i < TRACERS; i++)
        if (tracers[i])
            kill(tracers[i], SIGKILL);
    for (int i = 0; i < TARGETS; i++)
        if (targets[i])
            kill(targets[i], SIGKILL);
    while ((pid = waitpid(-1, NULL, 0)) > 0)
        ended++;
    if (!CHECK(ended >= TARGETS))
        test_say("first seed near %u\n", seed);
}

GUEST_TEST_MAIN
