/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What boot/ needs from kernel/: start the task system, create the first processes of containers,
 * signal and pause them, learn how they end. Callable from any sentry thread that has a curr
 * (main thread: kernel_init gives it one). Holds no lock on entry.
 */
#pragma once

#include "platform/base/list.h"
#include "platform/platform.h"
#include "sentry/abi/resource.h"
#include "sentry/core/curr.h"
#include "sentry/fs/vfs.h"

struct kcgroup;
struct task;
struct thread_group;

/* Before any other call; after clocks and mm_subsystem_init. Gives the calling thread a curr with
 * kernel credentials if it has none, installs g_curr_ops and g_pid_ops. The calling thread's
 * affinity says which CPUs the sandbox has. */
int MUST_CHECK kernel_init(const struct platform_ops *ops, struct platform *p);

/*
 * A container: the processes that started from one init, wherever their pids live. Lifetime:
 * refcounted (kcontainer_get/put); each of its processes holds one.
 */
struct kcontainer;
int MUST_CHECK kcontainer_new(const char *id, struct kcontainer **out);
struct kcontainer *kcontainer_get(struct kcontainer *c);
void kcontainer_put(struct kcontainer *c);
/* The control group that its processes start in, the root of their cgroup namespace; borrowed. */
struct kcgroup *kcontainer_cgroup(struct kcontainer *c);
const char *kcontainer_id(const struct kcontainer *c);
uint32_t kcontainer_process_count(struct kcontainer *c);
bool kcontainer_has_task(const struct kcontainer *c, const struct task *t);

/* Called once when a top-level process (one started by boot) has ended, with its wait status, no
 * lock held, on a thread of the process. When the process was PID 1 of a namespace, everything in
 * the namespace is gone by then. */
struct process_exit_hook {
    void (*fn)(void *arg, int wait_status);
    void *arg;
};

/* Guests may have all memory of the machine, as before any limit was set. */
void kernel_memory_unlimited(void);

/* A process that boot starts. Strings and arrays are borrowed for the call; references are taken.
 */
struct process_args {
    struct kcontainer *container;
    const char *filename; /* as execve's: searched for by the caller if it has no slash */
    const char *const *argv, *const *envp; /* NULL-terminated */
    const char *cwd;  /* path inside the root; -ENOENT etc. when it does not exist */
    struct path root; /* the container's root */
    struct mntns *mntns;
    struct netns *netns;   /* may be NULL */
    struct fdtable *files; /* stdio installed; taken over as a reference */
    struct cred *cred;     /* identity before the program's own set-id bits */
    struct lx_rlimit rlimits[LX_RLIM_COUNT];
    const char *hostname, *domainname; /* init only: of the new uts namespace; NULL: "localhost" */
    struct pidns *pidns;       /* init: NULL makes a new root namespace; exec: container's */
    struct utsns *utsns;       /* NULL makes one */
    struct ipcns *ipcns;       /* NULL makes one */
    struct cgroupns *cgroupns; /* NULL makes one with the container's group as its root */
    struct timens *timens;     /* NULL: the clocks as they are */
    uint32_t umask, personality;
    bool no_new_privs;
    bool killable_init; /* PID 1 without the protection from signals it does not handle (`do`) */
    bool terminal;      /* own session (setsid) is always made; tty is boot's ioctl */
    int oom_score_adj;
    struct process_exit_hook on_exit;
};

/* Loads the program and prepares its task without running it. Errors of execve(2) are returned
 * (-ENOENT, -EACCES, -ENOEXEC ...: 126/127 for the caller). kernel_process_start lets it run.
 * *out is +1 for the caller: task_put when it is done with it. */
int MUST_CHECK kernel_process_create(const struct process_args *args, struct task **out);
/* -EAGAIN: no host thread to be had; abort it then. */
int MUST_CHECK kernel_process_start(struct task *t);
/* Puts a seccomp filter (struct lx_sock_filter[], copied) on a process that was not started; its
 * first instruction runs under it. Filters of exec apply on top. -EINVAL: not a valid program. */
int MUST_CHECK kernel_process_filter(struct task *t, const void *insns, size_t size);
/* A created process that shall never run; consumes the reference of create. No exit hook call. */
void kernel_process_abort(struct task *t);

/* Namespaces of a task for further processes of its container (exec); all +1. */
struct task_namespaces {
    struct mntns *mntns;
    struct netns *netns;
    struct pidns *pidns;
    struct utsns *utsns;
    struct ipcns *ipcns;
    struct cgroupns *cgroupns;
    struct timens *timens;
    struct path root;
};
int MUST_CHECK task_namespaces_get(struct task *t, struct task_namespaces *out); /* -ESRCH */
void task_namespaces_put(struct task_namespaces *ns);

/* Number as the task's own namespace shows it, and as the root of the sandbox does. */
lx_pid_t kernel_process_pid(struct task *t);
/* Sends as the kernel, from outside every namespace: SIGKILL reaches PID 1 too. -ESRCH. */
int kernel_signal_process(struct task *t, int signo);
/* To every process of the container. */
int kernel_signal_container(struct kcontainer *c, int signo);
/* SIGKILL to every process of the sandbox (or container) and wait until they are gone or the
 * deadline (monotonic ns) passed: -ETIMEDOUT. */
int kernel_kill_all(struct kcontainer *c, uint64_t deadline_ns);
/* Parks every thread of the container before its next guest instruction, and lets them go. Returns
 * when all that run guest code have been told. */
void kernel_pause(struct kcontainer *c);
void kernel_resume(struct kcontainer *c);
bool kernel_paused(struct kcontainer *c);

/* reboot(2) inside a container: PID 1 dies of SIGHUP (restart) or SIGINT (halt), as in a pid
 * namespace of Linux. The caller exits too. */
long kernel_reboot(struct task *t, bool restart);

/* uts namespace. Lifetime: refcounted. */
int MUST_CHECK utsns_new(const char *hostname, const char *domainname, struct userns *owner,
                         struct utsns **out);
struct utsns *utsns_get(struct utsns *ns);
void utsns_put(struct utsns *ns);
int MUST_CHECK utsns_copy(struct utsns *old, struct userns *owner, struct utsns **out);
struct userns *utsns_owner(struct utsns *ns); /* borrowed */
void utsns_set_hostname(struct utsns *ns, const char *name);
void utsns_set_domainname(struct utsns *ns, const char *name);
/* SysV and POSIX message objects. Lifetime: refcounted. */
int MUST_CHECK ipcns_new(struct userns *owner, struct ipcns **out);
struct ipcns *ipcns_get(struct ipcns *ns);
void ipcns_put(struct ipcns *ns);
