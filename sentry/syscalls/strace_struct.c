/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How --strace writes guest structures. A structure of fixed size has a row in g_structs; the copy
 * is made once, here, and the printer sees the copy. What has a length of its own (arrays, strings,
 * messages) has a function in strace_array.c.
 */
#include "sentry/syscalls/strace_struct.h"

#include <string.h>

#include "platform/base/assert.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/prctl.h"
#include "sentry/abi/resource.h"
#include "sentry/abi/sched.h"
#include "sentry/abi/signal.h"
#include "sentry/abi/stat.h"
#include "sentry/abi/time.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/strace_array.h"

#define LL(x)  ((long long)(x))
#define LLU(x) ((unsigned long long)(x))

void sput_timespec(struct strace_buf *b, int64_t sec, int64_t nsec)
{
    if (nsec == LX_UTIME_NOW)
        sput(b, "UTIME_NOW");
    else if (nsec == LX_UTIME_OMIT)
        sput(b, "UTIME_OMIT");
    else
        sprint(b, "{tv_sec=%lld, tv_nsec=%lld}", LL(sec), LL(nsec));
}

static void put_timeval(struct strace_buf *b, const struct lx_timeval *tv)
{
    sprint(b, "{tv_sec=%lld, tv_usec=%lld}", LL(tv->sec), LL(tv->usec));
}

static void put_one_timespec(struct strace_buf *b, const void *data)
{
    const struct lx_timespec *ts = data;

    sput_timespec(b, ts->sec, ts->nsec);
}

static void put_two_timespecs(struct strace_buf *b, const void *data)
{
    const struct lx_timespec *ts = data;

    sputc(b, '[');
    sput_timespec(b, ts[0].sec, ts[0].nsec);
    sput(b, ", ");
    sput_timespec(b, ts[1].sec, ts[1].nsec);
    sputc(b, ']');
}

static void put_one_timeval(struct strace_buf *b, const void *data)
{
    put_timeval(b, data);
}

static void put_two_timevals(struct strace_buf *b, const void *data)
{
    const struct lx_timeval *tv = data;

    sputc(b, '[');
    put_timeval(b, &tv[0]);
    sput(b, ", ");
    put_timeval(b, &tv[1]);
    sputc(b, ']');
}

static void put_itimerspec(struct strace_buf *b, const void *data)
{
    const struct lx_itimerspec *it = data;

    sput(b, "{it_interval=");
    sput_timespec(b, it->interval.sec, it->interval.nsec);
    sput(b, ", it_value=");
    sput_timespec(b, it->value.sec, it->value.nsec);
    sputc(b, '}');
}

static void put_itimerval(struct strace_buf *b, const void *data)
{
    const struct lx_itimerval *it = data;

    sput(b, "{it_interval=");
    put_timeval(b, &it->interval);
    sput(b, ", it_value=");
    put_timeval(b, &it->value);
    sputc(b, '}');
}

static void put_timezone(struct strace_buf *b, const void *data)
{
    const struct lx_timezone *tz = data;

    sprint(b, "{tz_minuteswest=%d, tz_dsttime=%d}", tz->minuteswest, tz->dsttime);
}

static void put_stat(struct strace_buf *b, const void *data)
{
    const struct lx_stat *st = data;

    sput(b, "{st_mode=");
    sput_mode(b, st->st_mode);
    if (LX_S_ISCHR(st->st_mode) || LX_S_ISBLK(st->st_mode)) {
        sput(b, ", st_rdev=");
        sput_dev(b, st->st_rdev);
    } else {
        sprint(b, ", st_size=%lld", LL(st->st_size));
    }
    sput(b, ", ...}");
}

static void put_statx(struct strace_buf *b, const void *data)
{
    const struct lx_statx *st = data;

    sprint(b, "{stx_mask=%#x, stx_mode=", st->stx_mask);
    sput_mode(b, st->stx_mode);
    sprint(b, ", stx_size=%llu, ...}", LLU(st->stx_size));
}

static void put_statfs(struct strace_buf *b, const void *data)
{
    const struct lx_statfs *s = data;

    sprint(b, "{f_type=%#llx, f_bsize=%lld, f_blocks=%llu, f_bfree=%llu, ...}", LLU(s->f_type),
           LL(s->f_bsize), LLU(s->f_blocks), LLU(s->f_bfree));
}

static void put_sigaction(struct strace_buf *b, const void *data)
{
    const struct lx_sigaction *sa = data;

    sput(b, "{sa_handler=");
    if (sa->handler == LX_SIG_DFL)
        sput(b, "SIG_DFL");
    else if (sa->handler == LX_SIG_IGN)
        sput(b, "SIG_IGN");
    else
        sput_addr(b, sa->handler);
    sput(b, ", sa_mask=");
    sput_sigset(b, sa->mask);
    sput(b, ", sa_flags=");
    sput_flags(b, &strace_flags_sa_flags, sa->flags);
    if (sa->flags & LX_SA_RESTORER) {
        sput(b, ", sa_restorer=");
        sput_addr(b, sa->restorer);
    }
    sputc(b, '}');
}

static void put_sigset(struct strace_buf *b, const void *data)
{
    uint64_t mask;

    memcpy(&mask, data, sizeof(mask));
    sput_sigset(b, mask);
}

static void put_sigstack(struct strace_buf *b, const void *data)
{
    const struct lx_stack *ss = data;

    sput(b, "{ss_sp=");
    sput_addr(b, ss->sp);
    sput(b, ", ss_flags=");
    sput_flags(b, &strace_flags_ss_flags, ss->flags);
    sprint(b, ", ss_size=%llu}", LLU(ss->size));
}

static void put_sigevent(struct strace_buf *b, const void *data)
{
    const struct lx_sigevent *ev = data;

    sput(b, "{sigev_signo=");
    sput_signal(b, ev->signo);
    sput(b, ", sigev_notify=");
    sput_flags(b, &strace_flags_sigev, (uint32_t)ev->notify);
    sputc(b, '}');
}

/* The codes of the signals that the kernel itself sends, from 1 on. */
static const char *const g_codes_chld[] = {"CLD_EXITED",  "CLD_KILLED",  "CLD_DUMPED",
                                           "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"};
static const char *const g_codes_segv[] = {"SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR",
                                           "SEGV_PKUERR"};
static const char *const g_codes_bus[] = {"BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR"};
static const char *const g_codes_fpe[] = {"FPE_INTDIV", "FPE_INTOVF", "FPE_FLTDIV", "FPE_FLTOVF",
                                          "FPE_FLTUND", "FPE_FLTRES", "FPE_FLTINV", "FPE_FLTSUB"};
static const char *const g_codes_ill[] = {"ILL_ILLOPC", "ILL_ILLOPN", "ILL_ILLADR", "ILL_ILLTRP",
                                          "ILL_PRVOPC", "ILL_PRVREG", "ILL_COPROC", "ILL_BADSTK"};
static const char *const g_codes_trap[] = {"TRAP_BRKPT", "TRAP_TRACE", "TRAP_BRANCH",
                                           "TRAP_HWBKPT"};
static const char *const g_codes_poll[] = {"POLL_IN",  "POLL_OUT", "POLL_MSG",
                                           "POLL_ERR", "POLL_PRI", "POLL_HUP"};

static const struct {
    int signo;
    const char *const *names;
    int count;
} g_signal_codes[] = {
    {LX_SIGCHLD, g_codes_chld, ARRAY_COUNT(g_codes_chld)},
    {LX_SIGSEGV, g_codes_segv, ARRAY_COUNT(g_codes_segv)},
    {LX_SIGBUS, g_codes_bus, ARRAY_COUNT(g_codes_bus)},
    {LX_SIGFPE, g_codes_fpe, ARRAY_COUNT(g_codes_fpe)},
    {LX_SIGILL, g_codes_ill, ARRAY_COUNT(g_codes_ill)},
    {LX_SIGTRAP, g_codes_trap, ARRAY_COUNT(g_codes_trap)},
    {LX_SIGIO, g_codes_poll, ARRAY_COUNT(g_codes_poll)},
};

static void put_si_code(struct strace_buf *b, int signo, int code)
{
    for (size_t i = 0; i < ARRAY_COUNT(g_signal_codes) && code > 0; i++) {
        if (g_signal_codes[i].signo == signo && code <= g_signal_codes[i].count) {
            sput(b, g_signal_codes[i].names[code - 1]);
            return;
        }
    }
    sput_flags(b, &strace_flags_si_code, (uint32_t)code);
}

void sput_siginfo(struct strace_buf *b, const struct lx_siginfo *info)
{
    sput(b, "{si_signo=");
    sput_signal(b, info->signo);
    sput(b, ", si_code=");
    put_si_code(b, info->signo, info->code);
    if (info->err)
        sprint(b, ", si_errno=%d", info->err);
    if (info->code == LX_SI_USER || info->code == LX_SI_TKILL) {
        sprint(b, ", si_pid=%d, si_uid=%u", info->rt.pid, info->rt.uid);
    } else if (info->code == LX_SI_QUEUE || info->code == LX_SI_MESGQ) {
        sprint(b, ", si_pid=%d, si_uid=%u, si_int=%d, si_ptr=", info->rt.pid, info->rt.uid,
               (int)info->rt.value);
        sput_addr(b, info->rt.value);
    } else if (info->code == LX_SI_TIMER) {
        sprint(b, ", si_timerid=%d, si_overrun=%d, si_int=%d", info->timer.tid, info->timer.overrun,
               (int)info->timer.value);
    } else if (info->signo == LX_SIGCHLD && info->code > 0) {
        sprint(b, ", si_pid=%d, si_uid=%u, si_status=", info->chld.pid, info->chld.uid);
        if (info->code == LX_CLD_EXITED)
            sprint(b, "%d", info->chld.status);
        else
            sput_signal(b, info->chld.status);
        sprint(b, ", si_utime=%lld, si_stime=%lld", LL(info->chld.utime), LL(info->chld.stime));
    } else if (info->code > 0 && info->code != LX_SI_KERNEL &&
               (info->signo == LX_SIGSEGV || info->signo == LX_SIGBUS || info->signo == LX_SIGFPE ||
                info->signo == LX_SIGILL || info->signo == LX_SIGTRAP)) {
        sput(b, ", si_addr=");
        sput_addr(b, info->fault.addr);
    }
    sputc(b, '}');
}

static void put_siginfo(struct strace_buf *b, const void *data)
{
    sput_siginfo(b, data);
}

void sput_wstatus(struct strace_buf *b, int status)
{
    if (status == 0xffff) {
        sput(b, "{WIFCONTINUED(s)}");
    } else if ((status & 0xff) == 0x7f) {
        sput(b, "{WIFSTOPPED(s) && WSTOPSIG(s) == ");
        sput_signal(b, (status >> 8) & 0xff);
        sputc(b, '}');
    } else if ((status & 0x7f) == 0) {
        sprint(b, "{WIFEXITED(s) && WEXITSTATUS(s) == %d}", (status >> 8) & 0xff);
    } else {
        sput(b, "{WIFSIGNALED(s) && WTERMSIG(s) == ");
        sput_signal(b, status & 0x7f);
        sput(b, status & 0x80 ? " && WCOREDUMP(s)}" : "}");
    }
}

static void put_wstatus(struct strace_buf *b, const void *data)
{
    int status;

    memcpy(&status, data, sizeof(status));
    sputc(b, '[');
    sput_wstatus(b, status);
    sputc(b, ']');
}

static void put_limit(struct strace_buf *b, uint64_t v)
{
    if (v == ~0ull)
        sput(b, "RLIM64_INFINITY");
    else if (v > 1024 && v % 1024 == 0)
        sprint(b, "%llu*1024", LLU(v / 1024));
    else
        sprint(b, "%llu", LLU(v));
}

static void put_rlimit(struct strace_buf *b, const void *data)
{
    const struct lx_rlimit *r = data;

    sput(b, "{rlim_cur=");
    put_limit(b, r->cur);
    sput(b, ", rlim_max=");
    put_limit(b, r->max);
    sputc(b, '}');
}

static void put_rusage(struct strace_buf *b, const void *data)
{
    const struct lx_rusage *ru = data;

    sput(b, "{ru_utime=");
    put_timeval(b, &ru->utime);
    sput(b, ", ru_stime=");
    put_timeval(b, &ru->stime);
    sput(b, ", ...}");
}

static void put_sysinfo(struct strace_buf *b, const void *data)
{
    const struct lx_sysinfo *s = data;

    sprint(b, "{uptime=%lld, totalram=%llu, freeram=%llu, procs=%u, mem_unit=%u, ...}",
           LL(s->uptime), LLU(s->totalram), LLU(s->freeram), s->procs, s->mem_unit);
}

static void put_utsname(struct strace_buf *b, const void *data)
{
    const struct lx_utsname *u = data;

    sput(b, "{sysname=");
    sput_quoted(b, u->sysname, strnlen(u->sysname, sizeof(u->sysname)), false);
    sput(b, ", nodename=");
    sput_quoted(b, u->nodename, strnlen(u->nodename, sizeof(u->nodename)), false);
    sput(b, ", release=");
    sput_quoted(b, u->release, strnlen(u->release, sizeof(u->release)), false);
    sput(b, ", ...}");
}

static void put_cap_header(struct strace_buf *b, const void *data)
{
    const struct lx_cap_header *h = data;

    sprint(b, "{version=%#x, pid=%d}", h->version, h->pid);
}

static void put_cap_data(struct strace_buf *b, const void *data)
{
    const struct lx_cap_data *d = data;

    sput(b, "{effective=");
    sput_flags(b, &strace_flags_cap, d[0].effective | (uint64_t)d[1].effective << 32);
    sput(b, ", permitted=");
    sput_flags(b, &strace_flags_cap, d[0].permitted | (uint64_t)d[1].permitted << 32);
    sput(b, ", inheritable=");
    sput_flags(b, &strace_flags_cap, d[0].inheritable | (uint64_t)d[1].inheritable << 32);
    sputc(b, '}');
}

static void put_sched_param(struct strace_buf *b, const void *data)
{
    sprint(b, "[%d]", ((const struct lx_sched_param *)data)->priority);
}

static void put_int(struct strace_buf *b, const void *data)
{
    int32_t v;

    memcpy(&v, data, sizeof(v));
    sprint(b, "[%d]", v);
}

static void put_uint(struct strace_buf *b, const void *data)
{
    uint32_t v;

    memcpy(&v, data, sizeof(v));
    sprint(b, "[%u]", v);
}

static void put_off(struct strace_buf *b, const void *data)
{
    int64_t v;

    memcpy(&v, data, sizeof(v));
    sprint(b, "[%lld]", LL(v));
}

static void put_ulong(struct strace_buf *b, const void *data)
{
    uint64_t v;

    memcpy(&v, data, sizeof(v));
    sprint(b, "[%llu]", LLU(v));
}

static void put_utimbuf(struct strace_buf *b, const void *data)
{
    int64_t v[2];

    memcpy(v, data, sizeof(v));
    sprint(b, "{actime=%lld, modtime=%lld}", LL(v[0]), LL(v[1]));
}

static void put_fdpair(struct strace_buf *b, const void *data)
{
    int32_t v[2];

    memcpy(v, data, sizeof(v));
    sprint(b, "[%d, %d]", v[0], v[1]);
}

static void put_open_how(struct strace_buf *b, const void *data)
{
    const struct lx_open_how *how = data;

    sput(b, "{flags=");
    sput_flags(b, &strace_flags_open, how->flags);
    if (how->mode)
        sprint(b, ", mode=%#llo", LLU(how->mode));
    sput(b, ", resolve=");
    sput_flags(b, &strace_flags_resolve, how->resolve);
    sputc(b, '}');
}

static void put_clone_args(struct strace_buf *b, const void *data)
{
    const struct lx_clone_args *a = data;

    sput(b, "{flags=");
    /* The low byte is no signal here. */
    sput_flags(b, &strace_flags_clone, a->flags & ~0xffull);
    if (a->child_tid)
        sprint(b, ", child_tid=0x%llx", LLU(a->child_tid));
    if (a->parent_tid)
        sprint(b, ", parent_tid=0x%llx", LLU(a->parent_tid));
    sput(b, ", exit_signal=");
    sput_signal(b, (int)a->exit_signal);
    sput(b, ", stack=");
    sput_addr(b, a->stack);
    sprint(b, ", stack_size=%#llx", LLU(a->stack_size));
    if (a->tls)
        sprint(b, ", tls=0x%llx", LLU(a->tls));
    sputc(b, '}');
}

/* Structures of fixed size. */
static const struct {
    void (*put)(struct strace_buf *b, const void *data);
    size_t size;
} g_structs[STRACE_KIND_COUNT] = {
    [STRACE_KIND_CAP_DATA] = {put_cap_data, 2 * sizeof(struct lx_cap_data)},
    [STRACE_KIND_CAP_HEADER] = {put_cap_header, sizeof(struct lx_cap_header)},
    [STRACE_KIND_CLONE_ARGS] = {put_clone_args, LX_CLONE_ARGS_SIZE_VER0},
    [STRACE_KIND_FDPAIR] = {put_fdpair, 8},
    [STRACE_KIND_INT] = {put_int, 4},
    [STRACE_KIND_ITIMERSPEC] = {put_itimerspec, sizeof(struct lx_itimerspec)},
    [STRACE_KIND_ITIMERVAL] = {put_itimerval, sizeof(struct lx_itimerval)},
    [STRACE_KIND_OFF] = {put_off, 8},
    [STRACE_KIND_OPEN_HOW] = {put_open_how, sizeof(struct lx_open_how)},
    [STRACE_KIND_RLIMIT] = {put_rlimit, sizeof(struct lx_rlimit)},
    [STRACE_KIND_RUSAGE] = {put_rusage, sizeof(struct lx_rusage)},
    [STRACE_KIND_SCHED_PARAM] = {put_sched_param, sizeof(struct lx_sched_param)},
    [STRACE_KIND_SIGACTION] = {put_sigaction, sizeof(struct lx_sigaction)},
    [STRACE_KIND_SIGEVENT] = {put_sigevent, sizeof(struct lx_sigevent)},
    [STRACE_KIND_SIGINFO] = {put_siginfo, sizeof(struct lx_siginfo)},
    [STRACE_KIND_SIGSET] = {put_sigset, 8},
    [STRACE_KIND_SIGSTACK] = {put_sigstack, sizeof(struct lx_stack)},
    [STRACE_KIND_STAT] = {put_stat, sizeof(struct lx_stat)},
    [STRACE_KIND_STATFS] = {put_statfs, sizeof(struct lx_statfs)},
    [STRACE_KIND_STATX] = {put_statx, sizeof(struct lx_statx)},
    [STRACE_KIND_SYSINFO] = {put_sysinfo, sizeof(struct lx_sysinfo)},
    [STRACE_KIND_TID] = {put_int, 4},
    [STRACE_KIND_TIMESPEC] = {put_one_timespec, sizeof(struct lx_timespec)},
    [STRACE_KIND_TIMESPEC2] = {put_two_timespecs, 2 * sizeof(struct lx_timespec)},
    [STRACE_KIND_TIMEVAL] = {put_one_timeval, sizeof(struct lx_timeval)},
    [STRACE_KIND_TIMEVAL2] = {put_two_timevals, 2 * sizeof(struct lx_timeval)},
    [STRACE_KIND_TIMEZONE] = {put_timezone, sizeof(struct lx_timezone)},
    [STRACE_KIND_UINT] = {put_uint, 4},
    [STRACE_KIND_ULONG] = {put_ulong, 8},
    [STRACE_KIND_UTIMBUF] = {put_utimbuf, 16},
    [STRACE_KIND_UTSNAME] = {put_utsname, sizeof(struct lx_utsname)},
    [STRACE_KIND_WSTATUS] = {put_wstatus, 4},
};

void sput_guest_object(struct strace_buf *b, enum strace_kind kind, enum strace_dir dir,
                       uaddr_t addr, uint64_t count)
{
    /* The largest of g_structs, aligned for all of them. */
    _Alignas(16) uint8_t copy[sizeof(struct lx_utsname) + 10] = {0};

    if (addr == 0) {
        sput(b, "NULL");
        return;
    }
    if (!g_structs[kind].put) {
        sput_guest_array(b, kind, dir, addr, count);
        return;
    }
    DEBUG_ASSERT(g_structs[kind].size <= sizeof(copy));
    if (copy_in_partial(copy, addr, g_structs[kind].size) != g_structs[kind].size)
        sput_addr(b, addr);
    else
        g_structs[kind].put(b, copy);
}
