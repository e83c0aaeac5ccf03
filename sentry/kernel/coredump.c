/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Core dumps: a signal whose default action is "core" ends the process, and before its memory goes,
 * one task writes it to a file.
 *
 * Protocol. The dumping task starts the group's exit and hangs a struct core_dump on the group.
 * Every other thread comes by core_dump_join on its way to the end, leaves its registers there and
 * waits, so that its resources stay; the last one wakes the dumper. When the file is written the
 * dump is taken off the group and everybody goes on dying. SIGKILL cannot end a process that is
 * ending already; here it stops the writing.
 *
 * The file is created afresh with the task's own rights, in its own root and working directory, by
 * the rules of core(5): dumpable, RLIMIT_CORE of a page at least, a regular file of the task's own
 * with one name and no access for others. DEVIATION: a pattern that starts with "|" names a program that
 * Linux runs in the initial namespaces; a sandbox has no such place, nothing is written then.
 */
#include "sentry/kernel/coredump.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/log.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/stat.h"
#include "sentry/abi/wait.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/coredump_internal.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/task_info.h"
#include "sentry/mm/mm.h"

/* ---- settings ------------------------------------------------------------------------------- */

static struct {
    struct mutex lock;
    char text[CORE_PATTERN_SIZE]; /* under lock */
    bool uses_pid;                /* under lock */
} g_pattern = {.lock = {.rank = RANK_LEAF}, .text = "core"};

void coredump_pattern_get(char out[CORE_PATTERN_SIZE])
{
    mutex_lock(&g_pattern.lock);
    memcpy(out, g_pattern.text, CORE_PATTERN_SIZE);
    mutex_unlock(&g_pattern.lock);
}

int coredump_pattern_set(const char *text)
{
    if (strlen(text) >= CORE_PATTERN_SIZE)
        return -EINVAL;
    mutex_lock(&g_pattern.lock);
    snprintf(g_pattern.text, sizeof(g_pattern.text), "%s", text);
    mutex_unlock(&g_pattern.lock);
    return 0;
}

bool coredump_uses_pid(void)
{
    bool on;

    mutex_lock(&g_pattern.lock);
    on = g_pattern.uses_pid;
    mutex_unlock(&g_pattern.lock);
    return on;
}

void coredump_set_uses_pid(bool on)
{
    mutex_lock(&g_pattern.lock);
    g_pattern.uses_pid = on;
    mutex_unlock(&g_pattern.lock);
}

uint32_t coredump_filter(struct task *t)
{
    return atomic_load(&t->tg->core_filter);
}

void coredump_set_filter(struct task *t, uint32_t bits)
{
    atomic_store(&t->tg->core_filter, bits & CORE_FILTER_MASK);
}

/* ---- the name ------------------------------------------------------------------------------- */

struct name_buf {
    char text[LX_PATH_MAX];
    size_t size;
};

static void put(struct name_buf *b, const char *s, size_t size)
{
    size = MIN(size, sizeof(b->text) - 1 - b->size);
    memcpy(b->text + b->size, s, size);
    b->size += size;
    b->text[b->size] = '\0';
}

static void put_number(struct name_buf *b, uint64_t v)
{
    char digits[24];

    put(b, digits, (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v));
}

/* A value that a guest chose becomes part of one file name: no slash, not "." or "..". */
static void put_word(struct name_buf *b, const char *s)
{
    size_t start = b->size;

    put(b, s, strlen(s));
    for (size_t i = start; i < b->size; i++)
        if (b->text[i] == '/')
            b->text[i] = '!';
    if (b->text[start] == '.')
        b->text[start] = '!';
}

static void put_exe(struct name_buf *b, struct mm *mm, bool whole)
{
    struct file *exe = mm_exe_get(mm);
    char *path, *slash;

    if (exe && vfs_d_path(&exe->path, &path) == 0) {
        slash = strrchr(path, '/');
        put_word(b, whole || !slash ? path : slash + 1);
        free(path);
    }
    if (exe)
        file_put(exe);
}

static void put_specifier(struct name_buf *b, char c, struct task *t, const struct core_dump *d)
{
    const struct cred *cred = t->curr.cred;
    char host[65];

    switch (c) {
    case '%':
        put(b, "%", 1);
        break;
    case 'p':
    case 'P':
        put_number(b, (uint64_t)pid_nr(t->curr.tgid));
        break;
    case 'i':
    case 'I':
        put_number(b, (uint64_t)pid_nr(t->curr.tid));
        break;
    case 'u':
        put_number(b, userns_from_kuid(cred->userns, cred->ruid));
        break;
    case 'g':
        put_number(b, userns_from_kgid(cred->userns, cred->rgid));
        break;
    case 'd':
        put_number(b, 1);
        break;
    case 's':
        put_number(b, (uint64_t)d->info.signo);
        break;
    case 't':
        put_number(b, clock_realtime() / NSEC_PER_SEC);
        break;
    case 'h':
        utsns_hostname(t->curr.utsns, host);
        put_word(b, host);
        break;
    case 'e':
        put_word(b, t->comm);
        break;
    case 'f':
    case 'E':
        put_exe(b, t->curr.mm, c == 'E');
        break;
    case 'c':
        put_number(b, task_rlimit_cur(t, LX_RLIMIT_CORE));
        break;
    default:
        break;
    }
}

static int make_name(struct task *t, const struct core_dump *d, struct name_buf *b)
{
    char pattern[CORE_PATTERN_SIZE];
    bool has_pid = false;

    coredump_pattern_get(pattern);
    if (pattern[0] == '|')
        return -EOPNOTSUPP;
    for (const char *p = pattern; *p; p++) {
        if (*p != '%') {
            put(b, p, 1);
            continue;
        }
        if (!*++p)
            break;
        has_pid |= *p == 'p';
        put_specifier(b, *p, t, d);
    }
    if (!has_pid && coredump_uses_pid()) {
        put(b, ".", 1);
        put_number(b, (uint64_t)pid_nr(t->curr.tgid));
    }
    return b->size ? 0 : -ENOENT;
}

/* ---- the file ------------------------------------------------------------------------------- */

static int open_core(struct task *t, const char *name, struct file **out)
{
    struct open_how how = {
        .flags = LX_O_CREAT | LX_O_RDWR | LX_O_NOFOLLOW | LX_O_LARGEFILE | LX_O_EXCL,
        .mode = 0600,
    };
    struct fs_attr attr;
    struct file *f;
    int ret;

    /* What has the name goes; if it cannot, the open says why. */
    (void)vfs_unlink(LX_AT_FDCWD, name);
    ret = vfs_open(LX_AT_FDCWD, name, &how, &f);
    if (ret < 0)
        return ret;
    ret = vfs_getattr(&f->path, &attr);
    if (ret == 0 && ((attr.mode & LX_S_IFMT) != LX_S_IFREG || attr.nlink != 1 ||
                     attr.uid != t->curr.cred->fsuid || (attr.mode & 0677) != 0600))
        ret = -EPERM;
    if (ret < 0)
        file_put(f);
    else
        *out = f;
    return ret;
}

static int write_file(struct task *t, struct core_dump *d)
{
    struct name_buf *name = calloc(1, sizeof(*name));
    uint64_t limit = task_rlimit_cur(t, LX_RLIMIT_CORE);
    struct file *f;
    int ret;

    if (!name)
        return -ENOMEM;
    ret = make_name(t, d, name);
    if (ret == 0)
        ret = open_core(t, name->text, &f);
    if (ret == 0) {
        ret = core_write(d, t->curr.mm, f, limit, coredump_filter(t));
        file_put(f);
    }
    free(name);
    return ret;
}

/* ---- threads -------------------------------------------------------------------------------- */

static void fill_status(struct task *t, const struct core_dump *d, struct lx_elf_prstatus *st)
{
    struct thread_group *tg = t->tg;
    struct cpu_times times = task_cpu_times(t);
    struct task *parent;

    *st = (struct lx_elf_prstatus){
        .si_signo = d->info.signo,
        .cursig = (int16_t)d->info.signo,
        .pid = pid_nr(t->curr.tid),
        .utime = lx_timeval_from_ns(times.utime),
        .stime = lx_timeval_from_ns(times.stime),
        .regs = *task_regs(t),
        .fpvalid = 1,
    };
    mutex_lock(&g_taskset.lock);
    parent = tg->leader->k->real_parent;
    st->ppid = parent ? pid_nr_in(parent->curr.tgid, t->curr.pidns) : 0;
    st->pgrp = pid_nr_in(tg->pgrp, t->curr.pidns);
    st->sid = pid_nr_in(tg->session, t->curr.pidns);
    st->cutime = lx_timeval_from_ns(tg->children.utime);
    st->cstime = lx_timeval_from_ns(tg->children.stime);
    mutex_unlock(&g_taskset.lock);
    mutex_lock(&tg->lock);
    st->sigpend = t->k->pending.set & ~sigset_bit(LX_SIGKILL);
    st->sighold = t->k->blocked;
    mutex_unlock(&tg->lock);
}

/* The calling thread's record; NULL when memory is short: the file goes without it. */
static struct core_thread *record_new(struct task *t, const struct core_dump *d)
{
    struct core_thread *rec = calloc(1, sizeof(*rec));
    size_t size = platform_xstate_size();

    if (!rec)
        return NULL;
    list_init(&rec->node);
    fill_status(t, d, &rec->status);
    rec->xstate = t->ctx ? malloc(size) : NULL;
    if (rec->xstate && g_platform_ops->ctx_xstate_get(t->ctx, rec->xstate, size) < 0) {
        free(rec->xstate);
        rec->xstate = NULL;
    }
    if (rec->xstate)
        signal_xstate_describe(rec->xstate);
    return rec;
}

void core_dump_join(struct task *t)
{
    struct thread_group *tg = t->tg;
    struct core_thread *rec;
    struct core_dump *d;

    mutex_lock(&tg->lock);
    t->k->core_joined = true;
    d = tg->core;
    mutex_unlock(&tg->lock);
    if (likely(!d) || d->dumper == t)
        return;
    rec = record_new(t, d);
    mutex_lock(&tg->lock);
    if (rec)
        list_add_tail(&d->threads, &rec->node);
    if (--d->left == 0)
        sleeper_wake(&d->dumper->curr.sleeper);
    mutex_unlock(&tg->lock);
    for (;;) {
        bool over;

        mutex_lock(&tg->lock);
        over = tg->core != d;
        sleeper_clear_interrupt(&t->curr.sleeper, SLEEP_INTERRUPT_SIGNAL | SLEEP_INTERRUPT_KILL);
        mutex_unlock(&tg->lock);
        if (over)
            break;
        IGNORE_RESULT(task_block_killable(NO_DEADLINE)); /* the loop looks at why it returned */
    }
}

/* The process dies of d's signal from here on; false: it is dying or changing already. */
static bool begin(struct task *t, struct core_dump *d)
{
    struct thread_group *tg = t->tg;
    struct task *pos;

    mutex_lock(&tg->lock);
    if ((tg->flags & GROUP_EXIT) || tg->exec_task) {
        mutex_unlock(&tg->lock);
        return false;
    }
    signal_group_exit_locked(t, d->info.signo);
    for_each_thread_locked(pos, tg)
    {
        if (pos != t && !pos->k->exiting && !pos->k->core_joined)
            d->left++;
    }
    /* The dumper has work to do and files to wait for. */
    t->k->pending.set &= ~sigset_bit(LX_SIGKILL);
    sleeper_clear_interrupt(&t->curr.sleeper, SLEEP_INTERRUPT_SIGNAL | SLEEP_INTERRUPT_KILL);
    tg->core = d;
    mutex_unlock(&tg->lock);
    return true;
}

static void wait_for_threads(struct task *t, struct core_dump *d)
{
    for (;;) {
        uint32_t left;

        mutex_lock(&t->tg->lock);
        left = d->left;
        mutex_unlock(&t->tg->lock);
        if (!left)
            break;
        IGNORE_RESULT(task_block_killable(NO_DEADLINE)); /* they are all on their way */
    }
}

static int finish(struct task *t, struct core_dump *d, int ret)
{
    struct thread_group *tg = t->tg;
    struct core_thread *rec, *tmp;
    struct task *pos;
    int status;

    mutex_lock(&tg->lock);
    tg->core = NULL;
    if (ret == 0 && !atomic_load(&d->aborted))
        tg->exit_code |= LX_WCOREFLAG;
    status = tg->exit_code;
    for_each_thread_locked(pos, tg)
    {
        sleeper_wake(&pos->curr.sleeper);
    }
    mutex_unlock(&tg->lock);
    list_for_each_entry_safe(rec, tmp, &d->threads, node) {
        free(rec->xstate);
        free(rec);
    }
    free(d);
    return status;
}

int core_dump_process(struct task *t, const struct lx_siginfo *info)
{
    struct mm *mm = t->curr.mm;
    struct core_thread *rec;
    struct core_dump *d;
    int ret;

    if (!mm || !mm_dumpable(mm) || task_rlimit_cur(t, LX_RLIMIT_CORE) < LX_PAGE_SIZE)
        return info->signo;
    d = calloc(1, sizeof(*d));
    if (!d)
        return info->signo;
    list_init(&d->threads);
    d->dumper = t;
    d->info = *info;
    if (!begin(t, d)) {
        free(d);
        return info->signo;
    }
    rec = record_new(t, d);
    wait_for_threads(t, d);
    if (rec)
        list_add(&d->threads, &rec->node);
    ret = rec ? write_file(t, d) : -ENOMEM;
    if (ret < 0)
        log_info(LOG_KERNEL, "no core file of %s: error %d", t->comm, -ret);
    return finish(t, d, ret);
}
