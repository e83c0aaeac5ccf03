/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/{stat,status,statm}: one task_info snapshot printed three ways. proc(5). */
#include <errno.h>
#include <string.h>

#include "sentry/abi/time.h"
#include "sentry/core/cred.h"
#include "sentry/kernel/timens.h"
#include "sentry/mm/mm.h"
#include "sentry/proc/proc_internal.h"

/* Everything the three files print, taken once. */
struct view {
    struct task_info ti;
    struct mm_usage mu;
    struct mm_layout ml;
    struct cred *cred; /* +1 */
    bool has_mm, dumpable, may_read;
    uint32_t umask;
    int fd_size;
};

static int view_get(struct pseudo_node *n, struct view *v)
{
    struct task *t;
    struct mm *mm;
    struct fs_ctx *fs;
    struct fdtable *files;
    int ret = proc_task_get(n, &t);

    if (ret < 0)
        return ret;
    memset(v, 0, sizeof(*v));
    task_info_get(t, proc_ns(n), &v->ti);
    v->cred = task_cred_get(t);
    v->may_read = task_ptrace_may_access(t, LX_PTRACE_MODE_READ | LX_PTRACE_MODE_FSCREDS) == 0;
    mm = task_mm_get(t);
    if (mm) {
        v->has_mm = true;
        v->dumpable = mm_dumpable(mm);
        mm_usage(mm, &v->mu);
        v->ml = *mm_layout(mm);
        mm_put(mm);
    }
    fs = task_fs_get(t);
    if (fs) {
        v->umask = fs_ctx_umask(fs);
        fs_ctx_put(fs);
    }
    files = task_files_get(t);
    if (files) {
        v->fd_size = fdtable_size(files);
        fdtable_put(files);
    }
    task_put(t);
    return 0;
}

static void view_put(struct view *v)
{
    if (v->cred)
        cred_put(v->cred);
}

/* Encodes a device as stat's tty_nr: minor 31..20 and 7..0, major 15..8. */
static uint32_t tty_nr(lx_dev_t dev)
{
    uint32_t major = (uint32_t)(dev >> 20), minor = (uint32_t)(dev & 0xfffff);

    return (minor & 0xffu) | (major << 8) | ((minor & ~0xffu) << 12);
}

static uint64_t rss_pages(const struct mm_usage *mu)
{
    return (mu->rss_anon + mu->rss_file + mu->rss_shmem) / LX_PAGE_SIZE;
}

static int show_stat(struct pseudo_node *n, struct pbuf *b, bool whole)
{
    struct view v;
    int ret = view_get(n, &v);
    const struct task_info *ti = &v.ti;
    uint64_t wanted;
    int priority;

    if (ret < 0)
        return ret;
    /* Linux: nice values print as 0..39, realtime priorities as -2..-100. */
    priority = ti->rt_priority > 0 ? -1 - ti->rt_priority : 20 + ti->nice;
    wanted = v.may_read ? 1 : 0; /* addresses are for those who may ptrace */
    pbuf_printf(b, "%d (%s) %c %d %d %d %u %d %u %llu %llu %llu %llu ", ti->tid, ti->comm,
                ti->state, ti->ppid, ti->pgrp, ti->session, tty_nr(ti->tty),
                ti->tty ? ti->tpgid : -1, ti->flags, (unsigned long long)ti->min_faults,
                (unsigned long long)ti->cmin_faults, (unsigned long long)ti->maj_faults,
                (unsigned long long)ti->cmaj_faults);
    pbuf_printf(b, "%llu %llu %llu %llu %d %d %u 0 %llu ",
                (unsigned long long)proc_ticks(whole ? ti->tg_utime : ti->utime),
                (unsigned long long)proc_ticks(whole ? ti->tg_stime : ti->stime),
                (unsigned long long)proc_ticks(ti->tg_cutime),
                (unsigned long long)proc_ticks(ti->tg_cstime), priority, ti->nice, ti->thread_count,
                (unsigned long long)proc_ticks(ti->start_boottime +
                                               (uint64_t)timens_shift(LX_CLOCK_BOOTTIME)));
    pbuf_printf(b, "%llu %llu %llu %llu %llu %llu %llu %llu ", (unsigned long long)v.mu.total_vm,
                (unsigned long long)rss_pages(&v.mu),
                (unsigned long long)ti->rlimit_cur[LX_RLIMIT_RSS],
                (unsigned long long)(wanted     ? v.ml.start_code
                                     : v.has_mm ? 1
                                                : 0),
                (unsigned long long)(wanted     ? v.ml.end_code
                                     : v.has_mm ? 1
                                                : 0),
                (unsigned long long)(wanted ? v.ml.start_stack : 0), 0ull, 0ull);
    pbuf_printf(b, "%llu %llu %llu %llu %d 0 0 %d %d %u %u 0 0 0 ",
                (unsigned long long)(ti->pending & 0x7fffffffu),
                (unsigned long long)(ti->blocked & 0x7fffffffu),
                (unsigned long long)(ti->ignored & 0x7fffffffu),
                (unsigned long long)(ti->caught & 0x7fffffffu), ti->wchan != NULL, ti->exit_signal,
                ti->cpu, (unsigned)ti->rt_priority, (unsigned)ti->policy);
    if (wanted && v.has_mm)
        pbuf_printf(b, "%llu %llu %llu %llu %llu %llu %llu", (unsigned long long)v.ml.start_data,
                    (unsigned long long)v.ml.end_data, (unsigned long long)v.ml.start_brk,
                    (unsigned long long)v.ml.arg_start, (unsigned long long)v.ml.arg_end,
                    (unsigned long long)v.ml.env_start, (unsigned long long)v.ml.env_end);
    else
        pbuf_puts(b, "0 0 0 0 0 0 0");
    pbuf_printf(b, " %d\n", wanted ? ti->exit_code : 0);
    view_put(&v);
    return 0;
}

int proc_show_stat_process(struct pseudo_node *n, struct pbuf *b)
{
    return show_stat(n, b, /*whole=*/true);
}

int proc_show_stat_thread(struct pseudo_node *n, struct pbuf *b)
{
    return show_stat(n, b, /*whole=*/false);
}

int proc_show_statm(struct pseudo_node *n, struct pbuf *b)
{
    struct view v;
    int ret = view_get(n, &v);

    if (ret < 0)
        return ret;
    pbuf_printf(
        b, "%llu %llu %llu %llu 0 %llu 0\n", (unsigned long long)(v.mu.total_vm / LX_PAGE_SIZE),
        (unsigned long long)rss_pages(&v.mu),
        (unsigned long long)((v.mu.rss_file + v.mu.rss_shmem) / LX_PAGE_SIZE),
        (unsigned long long)((v.ml.end_code - v.ml.start_code + LX_PAGE_SIZE - 1) / LX_PAGE_SIZE),
        (unsigned long long)((v.mu.data_vm + v.mu.stack_vm) / LX_PAGE_SIZE));
    view_put(&v);
    return 0;
}

/* ---- status ---------------------------------------------------------------------------------- */

static const char *state_name(char state)
{
    switch (state) {
    case 'R':
        return "R (running)";
    case 'D':
        return "D (disk sleep)";
    case 'T':
        return "T (stopped)";
    case 't':
        return "t (tracing stop)";
    case 'Z':
        return "Z (zombie)";
    case 'X':
        return "X (dead)";
    case 'I':
        return "I (idle)";
    default:
        return "S (sleeping)";
    }
}

static void status_ids(struct pbuf *b, const struct view *v)
{
    const struct userns *ns = curr()->cred->userns;
    const struct cred *c = v->cred;
    const struct task_info *ti = &v->ti;

    if (c) {
        pbuf_printf(b, "Uid:\t%u\t%u\t%u\t%u\n", userns_from_kuid(ns, c->ruid),
                    userns_from_kuid(ns, c->euid), userns_from_kuid(ns, c->suid),
                    userns_from_kuid(ns, c->fsuid));
        pbuf_printf(b, "Gid:\t%u\t%u\t%u\t%u\n", userns_from_kgid(ns, c->rgid),
                    userns_from_kgid(ns, c->egid), userns_from_kgid(ns, c->sgid),
                    userns_from_kgid(ns, c->fsgid));
    }
    pbuf_printf(b, "FDSize:\t%d\nGroups:\t", v->fd_size);
    for (size_t i = 0; c && i < c->group_count; i++)
        pbuf_printf(b, i ? " %u" : "%u", userns_from_kgid(ns, c->groups[i]));
    pbuf_puts(b, " \nNStgid:"); /* Linux: a blank that should not be there, kept for parsers */
    for (uint32_t i = 0; i < ti->ns_count; i++)
        pbuf_printf(b, "\t%d", ti->ns_tgids[i]);
    pbuf_puts(b, "\nNSpid:");
    for (uint32_t i = 0; i < ti->ns_count; i++)
        pbuf_printf(b, "\t%d", ti->ns_tids[i]);
    pbuf_printf(b, "\nNSpgid:\t%d\nNSsid:\t%d\n", ti->pgrp, ti->session);
}

static void status_memory(struct pbuf *b, const struct view *v)
{
    const struct mm_usage *u = &v->mu;
    const struct {
        const char *name;
        uint64_t bytes;
    } rows[] = {
        {"VmPeak", MAX(u->peak_vm, u->total_vm)},
        {"VmSize", u->total_vm},
        {"VmLck", u->locked_vm},
        {"VmPin", 0},
        {"VmHWM", MAX(u->peak_rss, u->rss_anon + u->rss_file + u->rss_shmem)},
        {"VmRSS", u->rss_anon + u->rss_file + u->rss_shmem},
        {"RssAnon", u->rss_anon},
        {"RssFile", u->rss_file},
        {"RssShmem", u->rss_shmem},
        {"VmData", u->data_vm},
        {"VmStk", u->stack_vm},
        {"VmExe", v->ml.end_code - v->ml.start_code},
        {"VmLib", u->exec_vm > v->ml.end_code - v->ml.start_code
                      ? u->exec_vm - (v->ml.end_code - v->ml.start_code)
                      : 0},
        {"VmPTE", u->page_tables},
        {"VmSwap", 0},
        {"HugetlbPages", 0},
    };

    if (!v->has_mm)
        return;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        pbuf_printf(b, "%s:\t%8llu kB\n", rows[i].name, (unsigned long long)(rows[i].bytes / 1024));
    pbuf_printf(b, "CoreDumping:\t%d\nTHP_enabled:\t0\n", v->ti.coredumping);
}

static void status_signals(struct pbuf *b, const struct view *v)
{
    const struct task_info *ti = &v->ti;

    pbuf_printf(b, "Threads:\t%u\nSigQ:\t%u/%llu\n", ti->thread_count, ti->sigq_count,
                (unsigned long long)ti->rlimit_cur[LX_RLIMIT_SIGPENDING]);
    pbuf_printf(b, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\n",
                (unsigned long long)ti->pending, (unsigned long long)ti->shared_pending,
                (unsigned long long)ti->blocked);
    pbuf_printf(b, "SigIgn:\t%016llx\nSigCgt:\t%016llx\n", (unsigned long long)ti->ignored,
                (unsigned long long)ti->caught);
}

static void status_tail(struct pbuf *b, const struct view *v)
{
    const struct task_info *ti = &v->ti;
    const struct cred *c = v->cred;

    if (c)
        pbuf_printf(b,
                    "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\n"
                    "CapAmb:\t%016llx\n",
                    (unsigned long long)c->cap_inheritable, (unsigned long long)c->cap_permitted,
                    (unsigned long long)c->cap_effective, (unsigned long long)c->cap_bounding,
                    (unsigned long long)c->cap_ambient);
    pbuf_printf(b, "NoNewPrivs:\t%d\nSeccomp:\t%u\nSeccomp_filters:\t%u\n", ti->no_new_privs,
                ti->seccomp_mode, ti->seccomp_filters);
    pbuf_puts(b, "Speculation_Store_Bypass:\tvulnerable\nSpeculationIndirectBranch:\tunknown\n");
    pbuf_puts(b, "Cpus_allowed:\t");
    pbuf_put_cpu_mask(b, ti->cpus, kernel_cpu_limit());
    pbuf_puts(b, "\nCpus_allowed_list:\t");
    pbuf_put_cpu_list(b, ti->cpus);
    pbuf_puts(b, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
    pbuf_printf(b, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
                (unsigned long long)ti->voluntary_switches,
                (unsigned long long)ti->involuntary_switches);
}

int proc_show_status(struct pseudo_node *n, struct pbuf *b)
{
    struct view v;
    int ret = view_get(n, &v);

    if (ret < 0)
        return ret;
    pbuf_puts(b, "Name:\t");
    proc_put_comm(b, v.ti.comm, "\n\\");
    pbuf_putc(b, '\n');
    if (v.has_mm || !v.ti.zombie)
        pbuf_printf(b, "Umask:\t%04o\n", v.umask);
    pbuf_printf(b, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n",
                state_name(v.ti.state), v.ti.tgid, v.ti.tid, v.ti.ppid, v.ti.tracer);
    status_ids(b, &v);
    status_memory(b, &v);
    status_signals(b, &v);
    status_tail(b, &v);
    view_put(&v);
    return 0;
}
