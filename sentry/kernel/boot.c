/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What boot/ does with kernel/: start it, make the first process of a container and further ones.
 * Such a process has no parent inside (getppid is 0); its end is reported through its exit hook.
 */
#include "sentry/kernel/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "sentry/abi/fcntl.h"
#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/fs/signalfd/signalfd.h"
#include "sentry/fs/vfs.h"
#include "sentry/kernel/cgroup_internal.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/ipc_internal.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/kernel/namespace.h"
#include "sentry/kernel/task_info.h"
#include "sentry/kernel/timens.h"
#include "sentry/mm/memfile.h"
#include "sentry/mm/mm.h"
#include "sentry/net/netns.h"

static uint64_t g_host_memory;

void kernel_memory_unlimited(void)
{
    memcg_set_max(MEMCG_ROOT, g_host_memory ? g_host_memory : MEMCG_UNLIMITED);
}

void kernel_memory(uint64_t *out_total, uint64_t *out_free)
{
    struct task *t = current_task();
    struct memcg_usage all, own;

    /* A container sees its own limit, as its top group has it; the root's maximum may be a little
     * lower, for what the sandbox itself needs, and shows as less that is free. */
    memcg_usage(MEMCG_ROOT, &all);
    own = all;
    if (t && t->tg->container)
        memcg_usage(cgroup_memcg(kcontainer_cgroup(t->tg->container)), &own);
    *out_total = MIN(own.max, g_host_memory);
    *out_free = *out_total > own.current ? *out_total - own.current : 0;
    *out_free = MIN(*out_free, all.max > all.current ? all.max - all.current : 0);
}

static struct curr *service_curr(void)
{
    static struct curr main_curr;

    sleeper_init(&main_curr.sleeper);
    main_curr.cred = cred_kernel();
    return &main_curr;
}

/* pivot_root(2) moves the roots of all tasks. */
static void for_each_fs(void (*fn)(struct fs_ctx *, void *), void *arg)
{
    struct fs_ctx **all = NULL;
    size_t count = 0, room = 0;
    struct thread_group *tg;
    struct task *t;

    mutex_lock(&g_taskset.lock);
    list_for_each_entry(tg, &g_processes, all_node) {
        for_each_thread_locked(t, tg)
        {
            struct fs_ctx *fs;

            if (count == room) {
                struct fs_ctx **more = realloc(all, (room + 64) * sizeof(*all));

                if (!more)
                    continue;
                all = more;
                room += 64;
            }
            fs = task_fs_get(t);
            if (fs)
                all[count++] = fs;
        }
    }
    mutex_unlock(&g_taskset.lock);
    for (size_t i = 0; i < count; i++) {
        fn(all[i], arg);
        fs_ctx_put(all[i]);
    }
    free(all);
}

static const struct vfs_task_ops g_kernel_vfs_task_ops = {.for_each_fs = for_each_fs};

int kernel_init(const struct platform_ops *ops, struct platform *p)
{
    struct sysinfo host;

    g_platform_ops = ops;
    g_platform = p;
    cpus_init();
    if (!g_curr)
        g_curr = service_curr();
    g_curr_ops = &g_kernel_curr_ops;
    g_pid_ops = &g_kernel_pid_ops;
    g_signalfd_ops = &g_kernel_signalfd_ops;
    g_vfs_task_ops = &g_kernel_vfs_task_ops;
    g_mqueue_ops = &g_kernel_mqueue_ops;
    if (sysinfo(&host) == 0)
        g_host_memory = (uint64_t)host.totalram * host.mem_unit;
    cgroup_subsystem_init();
    oom_init();
    kernel_memory_unlimited();
    cputime_init();
    futex_init();
    return timens_init();
}

/* ---- namespaces of a running container ------------------------------------------------------- */

int task_namespaces_get(struct task *t, struct task_namespaces *out)
{
    struct curr *c = &t->curr;
    struct fs_ctx *fs = NULL;
    int ret = -ESRCH;

    *out = (struct task_namespaces){0};
    mutex_lock(&t->lock);
    if (c->utsns && c->mntns && c->fs) {
        out->mntns = mntns_get(c->mntns);
        out->netns = c->netns ? netns_get(c->netns) : NULL;
        out->pidns = pidns_get(c->pidns);
        out->utsns = utsns_get(c->utsns);
        out->ipcns = ipcns_get(c->ipcns);
        out->cgroupns = cgroupns_get(c->cgroupns);
        out->timens = timens_get(c->timens);
        fs = fs_ctx_get(c->fs);
        ret = 0;
    }
    mutex_unlock(&t->lock);
    if (fs) {
        fs_ctx_root(fs, &out->root);
        fs_ctx_put(fs);
    }
    return ret;
}

void task_namespaces_put(struct task_namespaces *ns)
{
    if (ns->mntns)
        mntns_put(ns->mntns);
    if (ns->netns)
        netns_put(ns->netns);
    if (ns->pidns)
        pidns_put(ns->pidns);
    utsns_put(ns->utsns);
    ipcns_put(ns->ipcns);
    cgroupns_put(ns->cgroupns);
    timens_put(ns->timens);
    path_put(&ns->root);
    *ns = (struct task_namespaces){0};
}

/* ---- a process ------------------------------------------------------------------------------ */

static int set_up_namespaces(struct task *t, const struct process_args *args)
{
    struct curr *c = &t->curr;
    struct userns *owner = args->cred->userns;
    int ret = 0;

    c->mntns = mntns_get(args->mntns);
    c->netns = args->netns ? netns_get(args->netns) : NULL;
    if (args->utsns)
        c->utsns = utsns_get(args->utsns);
    else
        ret = utsns_new(args->hostname ? args->hostname : "localhost",
                        args->domainname ? args->domainname : "(none)", owner, &c->utsns);
    if (ret < 0)
        return ret;
    if (args->ipcns)
        c->ipcns = ipcns_get(args->ipcns);
    else
        ret = ipcns_new(owner, &c->ipcns);
    if (ret < 0)
        return ret;
    c->timens = args->timens ? timens_get(args->timens) : timens_root_get();
    c->child_timens = timens_get(c->timens);
    if (args->cgroupns)
        c->cgroupns = cgroupns_get(args->cgroupns);
    else
        ret = cgroupns_new(kcontainer_cgroup(args->container), owner, &c->cgroupns);
    if (ret < 0)
        return ret;
    if (args->pidns)
        c->pidns = pidns_get(args->pidns);
    else
        ret = pidns_new(NULL, owner, &c->pidns);
    return ret;
}

static int set_up_group(struct task *t, const struct process_args *args)
{
    struct thread_group *tg = t->tg;
    int ret = sighand_new(NULL, &tg->sighand);

    if (ret < 0)
        return ret;
    tg->leader = t;
    tg->container = kcontainer_get(args->container);
    tg->on_exit = args->on_exit;
    tg->oom_score_adj = args->oom_score_adj;
    memcpy(tg->rlim, args->rlimits, sizeof(tg->rlim));
    return 0;
}

static int set_up_task(struct task *t, const struct process_args *args)
{
    struct ktask_private *k = t->k;
    struct curr *c = &t->curr;
    int ret = set_up_group(t, args);

    if (ret < 0)
        return ret;
    ret = cgroup_task_charge(t, kcontainer_cgroup(args->container));
    if (ret < 0)
        return ret;
    memcg_task_set(c, cgroup_memcg(kcontainer_cgroup(args->container)));
    c->cred = cred_get(args->cred);
    k->user = user_find_get(args->cred->ruid);
    if (!k->user)
        return -ENOMEM;
    atomic_fetch_add(&k->user->tasks, 1);
    c->files = fdtable_get(args->files);
    ret = fs_ctx_new(&args->root, &args->root, args->umask, &c->fs);
    if (ret < 0)
        return ret;
    ret = set_up_namespaces(t, args);
    if (ret < 0)
        return ret;
    k->personality = args->personality;
    k->loginuid = k->sessionid = LX_ID_INVALID;
    k->no_new_privs = args->no_new_privs;
    k->top_level = true;
    k->exit_signal = LX_SIGCHLD;
    k->timer_slack = k->timer_slack_default = 50000;
    k->start_boottime = clock_boottime();
    memset(k->affinity, 0xff, sizeof(k->affinity));
    ret = pid_new(c->pidns, NULL, 0, &c->tid);
    if (ret < 0)
        return ret;
    c->tgid = pid_get(c->tid);
    return 0;
}

static int enter_cwd(struct task *t, const char *cwd)
{
    struct path p;
    int ret;

    if (!cwd || !cwd[0])
        cwd = "/";
    ret = vfs_walk(LX_AT_FDCWD, cwd, WALK_FOLLOW | WALK_DIRECTORY, &p);
    if (ret < 0)
        return ret;
    fs_ctx_set_cwd(t->curr.fs, &p);
    path_put(&p);
    return 0;
}

static int load_program(struct task *t, const struct process_args *args)
{
    struct exec_call call = {.dirfd = LX_AT_FDCWD, .name = args->filename};
    int ret;

    ret = exec_strings_from_kernel(args->argv, &call.argv);
    if (ret == 0)
        ret = exec_strings_from_kernel(args->envp, &call.envp);
    if (ret < 0) {
        exec_strings_free(&call.argv);
        return ret;
    }
    return task_exec_first(t, &call);
}

static void trace_first_exec(struct task *t, const struct process_args *args)
{
    size_t env_count = 0;

    while (args->envp[env_count])
        env_count++;
    g_syscall_trace_ops->first_exec(t, args->filename, args->argv, env_count);
}

int kernel_process_create(const struct process_args *args, struct task **out)
{
    struct curr *saved = g_curr;
    struct task *t;
    int ret;

    ret = task_alloc(&t);
    if (ret < 0)
        return ret;
    ret = thread_group_new(&t->tg);
    if (ret < 0) {
        task_put(t);
        return ret;
    }
    ret = set_up_task(t, args);
    if (ret == 0) {
        /* Paths and permissions are the new process's own. */
        g_curr = &t->curr;
        ret = enter_cwd(t, args->cwd);
        if (ret == 0)
            ret = load_program(t, args);
        g_curr = saved;
    }
    if (ret < 0) {
        kernel_process_abort(t);
        return ret;
    }
    mutex_lock(&g_taskset.lock);
    t->tg->pgrp = pid_get(t->curr.tid);
    t->tg->session = pid_get(t->curr.tid);
    atomic_fetch_or(&t->tg->flags, GROUP_SESSION_LEADER);
    /* Fails only for groups that were removed; a container's group is not while it is here. */
    if (cgroup_publish_locked(t, NULL, kcontainer_cgroup(args->container)) < 0)
        UNREACHABLE();
    task_publish_locked(t, NULL);
    if (t->curr.pidns->reaper == t && !args->killable_init)
        atomic_fetch_or(&t->tg->flags, GROUP_UNKILLABLE);
    mutex_unlock(&g_taskset.lock);
    if (unlikely(g_syscall_trace_ops))
        trace_first_exec(t, args);
    *out = task_get(t);
    return 0;
}

int kernel_process_start(struct task *t)
{
    int ret = task_thread_start(t);

    if (ret < 0)
        return ret;
    task_thread_go(t);
    return 0;
}

void kernel_process_abort(struct task *t)
{
    struct curr *saved = g_curr;
    struct list dead = LIST_INIT(dead);
    bool published = !list_empty(&t->k->tg_node);

    g_curr = &t->curr;
    task_drop_resources(t, published);
    g_curr = saved;
    mutex_lock(&g_taskset.lock);
    if (published) {
        if (t->curr.pidns->reaper == t)
            t->curr.pidns->reaper = NULL;
        t->tg->on_exit.fn = NULL;
        t->k->exit_state = TASK_ZOMBIE;
        t->tg->live = 0;
        cgroup_process_exit_locked(t->tg);
        task_zombie_reap_locked(t, &dead);
    } else if (t->curr.tid) {
        pid_unhash_locked(t->curr.tid);
    }
    mutex_unlock(&g_taskset.lock);
    task_free_list(&dead);
    task_put(t);
}

long kernel_reboot(struct task *t, bool restart)
{
    struct pidns *ns = t->curr.pidns;

    mutex_lock(&g_taskset.lock);
    ns->reboot_signal = restart ? LX_SIGHUP : LX_SIGINT;
    if (ns->reaper) {
        mutex_lock(&ns->reaper->tg->lock);
        (void)signal_send_locked(ns->reaper, LX_SIGKILL, NULL, true, true); /* never refused */
        mutex_unlock(&ns->reaper->tg->lock);
    }
    mutex_unlock(&g_taskset.lock);
    task_group_exit(t, 0);
    atomic_fetch_or(&t->curr.sleeper.interrupt, SLEEP_INTERRUPT_SIGNAL);
    return 0;
}
