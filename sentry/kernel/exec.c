/* SPDX-License-Identifier: Apache-2.0 */
/*
 * execve. Up to the point of no return everything is checked and read while the old program is
 * intact: strings, file, headers (loader_prepare), credentials. Then the other threads are killed,
 * the caller becomes the leader if it was not, the old memory goes and the new image is built; an
 * error from there on kills the process, because there is nothing to return to.
 *
 * Memory: a process that shares its mm with nobody (a vfork child of a thread that is gone now, say) keeps the struct,
 * and the platform's process behind it, and only empties it; others get a new one.
 */
#include "sentry/kernel/exec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/log.h"
#include "sentry/abi/fcntl.h"
#include "sentry/abi/prctl.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/keys.h"
#include "sentry/kernel/namespace.h"
#include "sentry/kernel/task_info.h"
#include "sentry/kernel/taskwork.h"
#include "sentry/kernel/timens.h"
#include "sentry/mm/mm.h"

/* What is ready when the point of no return comes. */
struct exec_job {
    struct file *exe;
    struct exec_request rq;
    struct exec_image image;
    struct exec_plan *plan;
    struct exec_cred cred;
    char *filename;
};

/* ---- the file ------------------------------------------------------------------------------- */

static int open_executable(const struct exec_call *call, struct file **out)
{
    uint32_t walk = call->at_flags & LX_AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;

    if (call->at_flags & LX_AT_EMPTY_PATH)
        walk |= WALK_EMPTY;
    return loader_open_exec(call->dirfd, call->name, walk, out);
}

/* The name the program is known by: what execve was given, or /dev/fd/N[/rest] for execveat. */
static char *program_name(const struct exec_call *call)
{
    char *s = NULL;
    int len;

    if (call->dirfd == LX_AT_FDCWD || call->name[0] == '/')
        return strdup(call->name);
    len = asprintf(&s, "/dev/fd/%d%s%s", call->dirfd, call->name[0] ? "/" : "", call->name);
    return len < 0 ? NULL : s;
}

static void job_free(struct exec_job *job)
{
    if (job->plan)
        loader_plan_free(job->plan);
    if (job->image.interp_exe)
        file_put(job->image.interp_exe);
    if (job->exe)
        file_put(job->exe);
    cred_put(job->cred.cred);
    exec_strings_free(&job->rq.argv);
    exec_strings_free(&job->rq.envp);
    free(job->filename);
}

/* Everything that may fail harmlessly. */
static int prepare(struct task *t, struct exec_call *call, struct exec_job *job)
{
    const struct cred *c;
    int ret;

    job->rq.argv = call->argv;
    job->rq.envp = call->envp;
    call->argv = call->envp = (struct exec_strings){0};
    if (job->rq.argv.count == 0) {
        const char *const empty[] = {"", NULL};

        exec_strings_free(&job->rq.argv);
        ret = exec_strings_from_kernel(empty, &job->rq.argv);
        if (ret < 0)
            return ret;
    }
    job->filename = program_name(call);
    if (!job->filename)
        return -ENOMEM;
    ret = open_executable(call, &job->exe);
    if (ret < 0)
        return ret;
    job->rq.exe = job->exe;
    job->rq.filename = job->filename;
    job->rq.stack_limit = task_rlimit_cur(t, LX_RLIMIT_STACK);
    ret = loader_prepare(&job->rq, &job->image, &job->plan);
    if (ret < 0)
        return ret;
    ret =
        exec_cred_compute(t, job->image.interp_exe ? job->image.interp_exe : job->exe, &job->cred);
    if (ret < 0)
        return ret;
    c = job->cred.cred;
    job->rq.uid = userns_from_kuid(c->userns, c->ruid);
    job->rq.euid = userns_from_kuid(c->userns, c->euid);
    job->rq.gid = userns_from_kgid(c->userns, c->rgid);
    job->rq.egid = userns_from_kgid(c->userns, c->egid);
    job->rq.secure = job->cred.secure;
    if (job->cred.clear_personality)
        t->k->personality &= ~LX_PER_CLEAR_ON_SETID;
    job->rq.randomize = !(t->k->personality & LX_ADDR_NO_RANDOMIZE);
    return 0;
}

/* ---- alone ---------------------------------------------------------------------------------- */

/* t takes the leader's place: its pid, its parent, its seat in groups and sessions. */
static void become_leader_locked(struct task *t, struct list *dead)
{
    struct thread_group *tg = t->tg;
    struct task *old = tg->leader;
    struct pid *mine = t->curr.tid;

    mutex_lock(&tg->lock);
    for (int kind = PID_TGID; kind < PID_KIND_COUNT; kind++) {
        struct list *seat = old->k->pid_node[kind].prev;

        task_detach_pid_locked(old, (enum pid_kind)kind);
        list_add(seat, &t->k->pid_node[kind]);
    }
    task_detach_pid_locked(old, PID_TID);
    task_detach_pid_locked(t, PID_TID);
    task_attach_pid_locked(t, PID_TID, old->curr.tid);
    task_attach_pid_locked(old, PID_TID, mine);
    mutex_lock_pair(&t->lock, &old->lock);
    t->curr.tid = old->curr.tid;
    old->curr.tid = mine;
    mutex_unlock_pair(&t->lock, &old->lock);
    t->k->real_parent = old->k->real_parent;
    t->k->top_level = old->k->top_level;
    old->k->top_level = false;
    list_del(&t->k->sibling);
    if (!list_empty(&old->k->sibling)) {
        list_add(&old->k->sibling, &t->k->sibling);
        list_del(&old->k->sibling);
    }
    list_splice_tail(&t->k->children, &old->k->children);
    tg->leader = t;
    t->k->start_boottime = old->k->start_boottime;
    old->k->exit_signal = -1;
    t->k->exit_signal = LX_SIGCHLD;
    if (t->curr.pidns->reaper == old)
        t->curr.pidns->reaper = t;
    mutex_unlock(&tg->lock);
    task_zombie_reap_locked(old, dead); /* its tracer, too, waits for nothing any more */
}

static bool alone_locked(struct task *t)
{
    struct thread_group *tg = t->tg;

    if (tg->leader == t)
        return tg->thread_count == 1;
    return tg->thread_count == 2 && tg->leader->k->exit_state == TASK_ZOMBIE;
}

static int kill_other_threads(struct task *t)
{
    struct list dead = LIST_INIT(dead);
    struct thread_group *tg = t->tg;
    struct task *child;
    struct list *it;
    int ret = 0;

    mutex_lock(&g_taskset.lock);
    mutex_lock(&tg->lock);
    if ((tg->flags & GROUP_EXIT) || tg->exec_task) {
        mutex_unlock(&tg->lock);
        mutex_unlock(&g_taskset.lock);
        return -EAGAIN;
    }
    tg->exec_task = t;
    signal_zap_other_threads_locked(t);
    mutex_unlock(&tg->lock);
    mutex_unlock(&g_taskset.lock);
    for (;;) {
        bool alone;

        mutex_lock(&g_taskset.lock);
        alone = alone_locked(t);
        mutex_unlock(&g_taskset.lock);
        if (alone)
            break;
        ret = task_block_killable(NO_DEADLINE);
        if (ret < 0) {
            ret = -EAGAIN; /* never seen: the task is being killed */
            break;
        }
    }
    mutex_lock(&g_taskset.lock);
    if (ret == 0 && tg->leader != t) {
        become_leader_locked(t, &dead);
        list_for_each(it, &t->k->children) {
            child = list_entry(it, struct ktask_private, sibling)->self;
            child->k->real_parent = t;
        }
    }
    mutex_lock(&tg->lock);
    tg->exec_task = NULL;
    mutex_unlock(&tg->lock);
    mutex_unlock(&g_taskset.lock);
    task_free_list(&dead);
    return ret;
}

static int unshare_sighand(struct task *t)
{
    struct thread_group *tg = t->tg;
    struct sighand *old = tg->sighand, *fresh;
    int ret;

    if (refs_read(&old->refs) == 1)
        return 0;
    ret = sighand_new(old, &fresh);
    if (ret < 0)
        return ret;
    mutex_lock(&tg->lock);
    tg->sighand = fresh;
    mutex_unlock(&tg->lock);
    sighand_put(old);
    return 0;
}

static int unshare_files(struct task *t)
{
    struct fdtable *old = t->curr.files, *fresh;
    int ret;

    if (!fdtable_shared(old))
        return 0;
    ret = fdtable_copy(old, INT32_MAX, &fresh);
    if (ret < 0)
        return ret;
    mutex_lock(&t->lock);
    t->curr.files = fresh;
    mutex_unlock(&t->lock);
    fdtable_put(old);
    return 0;
}

/* ---- past the point of no return ------------------------------------------------------------- */

static int switch_mm(struct task *t)
{
    struct mm *old = t->curr.mm, *fresh;
    const uint32_t mdwe = mm_mdwe_inherited(old);
    int ret;

    if (!mm_is_shared(old)) {
        ret = rseq_exec(t);
        if (ret < 0)
            return ret;
        mm_clear(old);
        mm_renew_mdwe(old, mdwe);
        signal_xstate_reset(t);
        return 0;
    }
    ret = mm_new(&fresh);
    if (ret < 0)
        return ret;
    cputime_guest_changed(t, /*gone=*/true);
    ret = g_platform_ops->ctx_switch_space(t->ctx, mm_space(fresh));
    cputime_guest_changed(t, /*gone=*/false);
    if (ret < 0) {
        mm_put(fresh);
        return ret;
    }
    mm_renew_mdwe(fresh, mdwe);
    rseq_drop(t, old);
    mutex_lock(&t->lock);
    t->curr.mm = fresh;
    mutex_unlock(&t->lock);
    mm_use_put(old);
    return 0;
}

static const char *basename_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static void reset_task_state(struct task *t, struct exec_job *job)
{
    struct ktask_private *k = t->k;
    const struct cred *c = job->cred.cred;
    bool dumpable = c->euid == c->ruid && c->egid == c->rgid && job->image.exe_readable;
    char name[16] = {0};

    snprintf(name, sizeof(name), "%.15s", basename_of(job->filename));
    task_set_comm(t, name);
    k->altstack = (struct lx_stack){.flags = LX_SS_DISABLE};
    k->restart.fn = NULL;
    k->clear_child_tid = k->set_child_tid = 0;
    k->robust_list = 0;
    k->io_flusher = false;
    keys_exec(t);
    k->user_dispatch.on = false;
    atomic_store(&t->tg->membarrier, 0);
    mutex_lock(&g_taskset.lock);
    if (task_is_leader(t))
        k->exit_signal = LX_SIGCHLD;
    mutex_unlock(&g_taskset.lock);
    if (job->cred.secure)
        atomic_store(&k->pdeath_signal, 0);
    signal_flush_handlers(t);
    /* Linux: setpgid() by the parent fails before a closed pipe tells it about the exec. */
    atomic_fetch_or(&t->tg->flags, GROUP_DID_EXEC);
    task_requests_cancel(t, /*exits=*/false);
    fdtable_close_on_exec(t->curr.files);
    task_commit_cred_take(t, job->cred.cred);
    job->cred.cred = NULL;
    mm_set_dumpable(t->curr.mm, dumpable);
    mm_exe_set(t->curr.mm, job->image.interp_exe ? job->image.interp_exe : job->exe);
}

static int load_image(struct task *t, struct exec_job *job)
{
    struct lx_regs regs = {0};
    int ret;

    ret = task_enter_child_timens(t);
    if (ret == 0)
        ret = timens_vvar(t->curr.timens, &job->rq.vvar);
    if (ret < 0)
        return ret;
    mm_layout_init(t->curr.mm, job->rq.stack_limit, job->rq.randomize);
    ret = loader_commit(job->plan, &job->rq, t->curr.mm, &regs);
    if (ret < 0)
        return ret;
    regs.orig_rax = t->regs.orig_rax; /* as on Linux: a tracer sees which call it was */
    *task_regs(t) = regs;
    return 0;
}

/* Tracers that want to attach wait until credentials and image are of one program. */
static void set_busy(struct task *t, bool busy)
{
    struct thread_group *tg = t->tg;

    mutex_lock(&tg->lock);
    tg->exec_busy += busy ? 1 : -1u;
    mutex_unlock(&tg->lock);
    if (!busy)
        waitq_wake(&tg->child_wq, WAKE_ALL);
}

/* What a tracer hears of the program: reported when the call is done. */
static void tell_tracer(struct task *t, struct pid *old_tid)
{
    struct ptrace_state *pt = &t->k->pt;

    mutex_lock(&g_taskset.lock);
    if (pt->tracer) {
        pt->event = LX_PTRACE_EVENT_EXEC;
        pt->event_message = (uint64_t)pid_nr_in(old_tid, pt->tracer->curr.pidns);
        t->k->after_call = true;
    }
    mutex_unlock(&g_taskset.lock);
}

int task_exec(struct task *t, struct exec_call *call)
{
    struct pid *old_tid = pid_get(t->curr.tid);
    struct exec_job job = {0};
    int ret;

    set_busy(t, true);
    ret = prepare(t, call, &job);
    if (ret < 0)
        goto out;
    ret = kill_other_threads(t);
    if (ret < 0)
        goto out;
    ret = unshare_sighand(t);
    if (ret == 0)
        ret = unshare_files(t);
    if (ret < 0)
        goto fatal;
    task_mm_release(t, /*exits=*/false);
    group_timers_exec(t->tg);
    ret = switch_mm(t);
    if (ret == 0)
        ret = load_image(t, &job);
    if (ret < 0)
        goto fatal;
    reset_task_state(t, &job);
    tell_tracer(t, old_tid);
    goto out;
fatal:
    log_info(LOG_KERNEL, "exec of %s failed past the point of no return: error %d", job.filename,
             -ret);
    task_group_exit(t, LX_SIGKILL);
    atomic_fetch_or(&t->curr.sleeper.interrupt, SLEEP_INTERRUPT_SIGNAL | SLEEP_INTERRUPT_KILL);
out:
    set_busy(t, false);
    pid_put(old_tid);
    exec_strings_free(&call->argv);
    exec_strings_free(&call->envp);
    job_free(&job);
    return ret;
}

int task_exec_first(struct task *t, struct exec_call *call)
{
    struct exec_job job = {0};
    int ret = prepare(t, call, &job);

    if (ret < 0)
        goto out;
    ret = mm_new(&t->curr.mm);
    if (ret < 0)
        goto out;
    ret = g_platform_ops->ctx_new(mm_space(t->curr.mm), NULL, &t->ctx);
    if (ret < 0)
        goto out;
    cputime_guest_changed(t, /*gone=*/false);
    t->regs.orig_rax = (uint64_t)-1;
    ret = load_image(t, &job);
    if (ret < 0)
        goto out;
    reset_task_state(t, &job);
    atomic_fetch_and(&t->tg->flags, ~GROUP_DID_EXEC);
out:
    exec_strings_free(&call->argv);
    exec_strings_free(&call->envp);
    job_free(&job);
    return ret;
}
