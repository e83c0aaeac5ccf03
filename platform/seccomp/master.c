/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The master: the first control stub, ancestor of all stubs; empty address spaces are copies of its
 * own. It is forked from the sentry before the jail, gives up every right, maps the stub pages,
 * sets the signal handlers that guest threads will have, installs the control filter, and unmaps
 * everything else.
 *
 * Between fork and the jump into stub code the child runs on a copy of the sentry's memory; it
 * makes raw system calls only and returns into nothing.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "platform/host/mem.h"
#include "platform/host/proc.h"
#include "platform/host/seccomp.h"
#include "platform/seccomp/seccomp_internal.h"
#include "platform/stub/process.h"

enum {
    START_S = 10, /* on a machine that is that busy */
    START_NAP_NS = 20000,
    BASE_TRIES = 64,
    SIGNAL_COUNT = 64,
    SYS_MSEAL = 462, /* Linux 6.10 */
    HWCAP2_FSGSBASE_BIT = 2,
};

/*
 * Guests may map everything below GUEST_HIGH. Above it the stub has one of 2^24 places, less its
 * own size. That is no wall, only a nuisance for exploits: guest code can look for the stub by
 * faulting through the range, at microseconds per page.
 */
#define GUEST_HIGH 0x7ff000000000ul

extern const uint8_t g_seccomp_code[], g_seccomp_code_end[], g_seccomp_first[], g_seccomp_setup[],
    g_seccomp_setup_end[], g_seccomp_handler[], g_seccomp_handler_bases[], g_seccomp_bell[],
    g_seccomp_start[], g_seccomp_set_fs[], g_seccomp_set_gs[], g_seccomp_sigreturn[],
    g_seccomp_rseq[], g_seccomp_unrseq[];

/* What parent and child share until the child lets go of its memory. */
struct master_report {
    atomic_int done; /* 1: about to enter stub code; negative: -errno */
    const char *volatile stage;
};

static void find_addresses(struct platform *p)
{
    const uaddr_t base = p->stub_base;
    const uint8_t *handler = p->reads_bases ? g_seccomp_handler_bases : g_seccomp_handler;

    p->at = (struct stub_address){
        .first = base + (uaddr_t)(g_seccomp_first - g_seccomp_code),
        .setup = base + (uaddr_t)(g_seccomp_setup - g_seccomp_code),
        .setup_end = base + (uaddr_t)(g_seccomp_setup_end - g_seccomp_code),
        .handler = base + (uaddr_t)(handler - g_seccomp_code),
        .bell = base + (uaddr_t)(g_seccomp_bell - g_seccomp_code),
        .start = base + (uaddr_t)(g_seccomp_start - g_seccomp_code),
        .set_fs = base + (uaddr_t)(g_seccomp_set_fs - g_seccomp_code),
        .set_gs = base + (uaddr_t)(g_seccomp_set_gs - g_seccomp_code),
        .sigreturn = base + (uaddr_t)(g_seccomp_sigreturn - g_seccomp_code),
        .rseq = base + (uaddr_t)(g_seccomp_rseq - g_seccomp_code),
        .unrseq = base + (uaddr_t)(g_seccomp_unrseq - g_seccomp_code),
    };
}

/* Handlers and mask are inherited by every stub. All signals are blocked in stub code, so that one
 * never interrupts it: handlers run that way, and guest threads begin that way. */
static int set_handlers(const struct platform *p)
{
    static const int caught[] = {LX_SIGSEGV, LX_SIGBUS,  LX_SIGFPE,
                                 LX_SIGILL,  LX_SIGTRAP, STUB_KICK_SIGNAL};
    struct lx_sigaction act = {.handler = LX_SIG_IGN, .flags = LX_SA_RESTORER};

    /* What somebody outside sends shall not end a stub. */
    for (int sig = 1; sig <= SIGNAL_COUNT; sig++)
        (void)syscall(SYS_rt_sigaction, sig, &act, NULL, 8); /* SIGKILL and SIGSTOP refuse */
    act = (struct lx_sigaction){
        .handler = p->at.handler,
        .flags = LX_SA_SIGINFO | LX_SA_ONSTACK | LX_SA_RESTART | LX_SA_RESTORER,
        .restorer = p->at.sigreturn, /* never returned to */
        .mask = UINT64_MAX,
    };
    for (size_t i = 0; i < ARRAY_COUNT(caught); i++) {
        if (syscall(SYS_rt_sigaction, caught[i], &act, NULL, 8) < 0)
            return -errno;
    }
    return syscall(SYS_rt_sigprocmask, SIG_SETMASK, &act.mask, NULL, 8) < 0 ? -errno : 0;
}

static int map_stub(const struct platform *p, int image_fd)
{
    const struct rlimit no_core = {0, 0};
    uint8_t *base = (uint8_t *)p->stub_base; /* SAFETY: reserved by the parent, for this */
    void *at;
    int ret;

    ret = host_mmap(base, STUB_CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED, image_fd,
                    0, &at);
    if (ret == 0)
        ret = host_mmap(base + STUB_DATA_OFF, STUB_DATA_SIZE, PROT_READ, MAP_SHARED | MAP_FIXED,
                        image_fd, STUB_CODE_SIZE, &at);
    if (ret == 0)
        ret = host_mmap(base + STUB_REQUEST_OFF, STUB_PAGE, PROT_READ, MAP_SHARED | MAP_FIXED,
                        p->requests.fd, (int64_t)p->master.page * STUB_PAGE, &at);
    if (ret < 0)
        return ret;
    /* Newer hosts make code and filters unchangeable even for the control stub. */
    (void)syscall(SYS_MSEAL, base, STUB_DATA_OFF + STUB_DATA_SIZE, 0);
    (void)syscall(SYS_setrlimit, RLIMIT_CORE, &no_core);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    return 0;
}

NO_SANITIZER static NORETURN void enter_stub(const struct platform *p)
{
    const uaddr_t end = p->stub_base + STUB_FIXED_SIZE;
    register uint64_t r12 __asm__("r12") = end;
    register uint64_t r13 __asm__("r13") = LX_TASK_SIZE - end;

    __asm__ volatile("jmp *%0"
                     :
                     : "r"(p->at.first), "D"(0ul), "S"(p->stub_base), "r"(r12), "r"(r13)
                     : "memory");
    __builtin_unreachable();
}

NO_SANITIZER static NORETURN void master_child(struct platform *p, int image_fd,
                                               struct master_report *report)
{
    int ret = stub_drop_rights(&report->stage);

    if (ret == 0) {
        report->stage = "set signal handlers";
        ret = set_handlers(p);
    }
    if (ret == 0) {
        report->stage = "map the stub";
        ret = map_stub(p, image_fd);
    }
    if (ret == 0) {
        report->stage = "set no_new_privs";
        ret = host_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    }
    if (ret == 0) {
        report->stage = "install the stub filter";
        ret = stub_filter_install(host_filter(HOST_ROLE_CONTROL), p->stub_base,
                                  p->stub_base + STUB_CODE_SIZE, SECCOMP_RET_USER_NOTIF);
    }
    if (ret < 0) {
        atomic_store(&report->done, ret);
        host_exit_group(1);
    }
    atomic_store(&report->done, 1);
    enter_stub(p);
}

/* A random place, reserved in the sentry too, so that nothing of the sentry is in the child's way.
 */
static int choose_base(struct platform *p)
{
    const uint64_t places =
        (LX_TASK_SIZE - GUEST_HIGH - STUB_SLOTS_OFF - seccomp_slots_size(p)) / STUB_PAGE;

    for (int i = 0; i < BASE_TRIES; i++) {
        uint64_t random;
        uaddr_t base;
        void *at;

        if (host_getrandom(&random, sizeof(random), 0) != (int64_t)sizeof(random))
            return -EIO;
        base = GUEST_HIGH + random % places * STUB_PAGE;
        if ((base >> 32) != ((base + STUB_FIXED_SIZE - 1) >> 32))
            continue;      /* filters compare the low half of addresses */
        at = (void *)base; /* SAFETY: NOREPLACE makes any address a question */
        if (host_mmap(at, STUB_FIXED_SIZE, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0,
                      &at) == 0) {
            p->stub_base = base;
            p->base.high = GUEST_HIGH;
            return 0;
        }
    }
    return -ENOMEM;
}

static int make_image(const struct platform *p)
{
    static uint8_t image[STUB_CODE_SIZE + STUB_DATA_SIZE] __attribute__((aligned(STUB_PAGE)));
    size_t size = (size_t)(g_seccomp_code_end - g_seccomp_code);
    int ret;

    ASSERT(size <= STUB_CODE_SIZE);
    memset(image, 0xcc, STUB_CODE_SIZE); /* int3 */
    memcpy(image, g_seccomp_code, size);
    ret = seccomp_data_build(p, image + STUB_CODE_SIZE);
    return ret < 0 ? ret : stub_image_file(image, sizeof(image));
}

static int wait_started(const struct control *k, struct master_report *report)
{
    static const struct timespec nap = {.tv_nsec = START_NAP_NS};
    time_t deadline = time(NULL) + START_S;
    int ret;

    (void)prctl(PR_SET_TIMERSLACK, 1); /* else each nap is four times as long */
    while ((ret = atomic_load(&report->done)) == 0) {
        if (host_kill(k->pid, 0) < 0)
            ret = -ECHILD;
        else if (time(NULL) > deadline)
            ret = -ETIMEDOUT;
        if (ret < 0)
            break;
        (void)nanosleep(&nap, NULL);
    }
    (void)prctl(PR_SET_TIMERSLACK, 0); /* the default again */
    return MIN(ret, 0);
}

static bool host_is_at_least(int major, int minor)
{
    struct utsname name;
    int a, b;

    return uname(&name) == 0 && sscanf(name.release, "%d.%d", &a, &b) == 2 &&
           (a > major || (a == major && b >= minor));
}

int seccomp_master_start(struct platform *p, const char **out_why)
{
    struct control *k = &p->master;
    struct master_report *report;
    uint32_t slot = slots_get(&p->requests), done;
    int image_fd, ret;
    long pid;

    /* Before 5.8 nothing tells that the process behind a listener is gone. */
    *out_why = "use a kernel this old: Linux 5.8 is needed";
    if (!host_is_at_least(5, 8))
        return -ENOSYS;
    /* Receiving on a listener ends when its last process does; asking by trying could sleep for
     * ever. */
    p->recv_ends = host_is_at_least(6, 11);
    report = slots_at(&p->requests, slot);
    p->reads_bases = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT;
    p->slot_how = p->reads_bases ? SLOT_HOW_WRBASE : SLOT_HOW_PRCTL;
    *out_why = "reserve an address for the stub";
    ret = choose_base(p);
    if (ret < 0)
        return ret;
    find_addresses(p);
    *out_why = "make the stub's code file";
    ret = image_fd = make_image(p);
    if (ret < 0)
        return ret;
    ret = seccomp_control_prepare(p, k);
    if (ret < 0)
        goto out;
    *out_why = report->stage = "fork";
    pid = syscall(SYS_clone, CLONE_FILES | CLONE_FS | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        master_child(p, image_fd, report);
    if (pid < 0) {
        ret = -errno;
        goto out;
    }
    k->pid = (pid_t)pid;
    ret = wait_started(k, report);
    *out_why = ret < 0 ? report->stage : "reach the control stub";
    if (ret == 0)
        ret = seccomp_control_run(p, k, COMMAND_CALLS, 0, &done);
out:
    if (ret < 0)
        seccomp_control_kill(p, k);
    close(image_fd);
    return MIN(ret, 0);
}
