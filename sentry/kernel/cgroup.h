/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups, version 2: the tree, who is in it, and what its controllers limit.
 *
 * The root is the sandbox itself and is never shown; each container has a group below it, which is
 * the root of its cgroup namespace. A process is in one group with all its threads (DEVIATION:
 * threaded groups do not exist; cgroup.type says "domain" or "domain invalid" never occurs).
 * Controllers are always counting; subtree_control decides which of their files and limits a
 * group's children have. proc/cgroupfs.c shows all this as files.
 *
 * Lifetime: refcounted (cgroup_get/put) by children, processes, open files and namespaces. A group
 * that was removed (cgroup_is_dead) has no children and no live process and never gets any.
 */
#pragma once

#include "sentry/core/pid.h"
#include "sentry/core/sleep.h"
#include "sentry/kernel/cpus.h"
#include "sentry/mm/memcg.h"

struct kcgroup;
struct cgroupns;
struct file;
struct task;
struct userns;

#define CGROUP_CPUSET 0x01u
#define CGROUP_CPU    0x02u
#define CGROUP_IO     0x04u
#define CGROUP_MEMORY 0x08u
#define CGROUP_PIDS   0x10u
#define CGROUP_ALL    0x1fu

#define CGROUP_MAX UINT64_MAX /* "max" in limits */

struct kcgroup *cgroup_get(struct kcgroup *cg);
void cgroup_put(struct kcgroup *cg);
bool cgroup_is_dead(struct kcgroup *cg);
memcg_id_t cgroup_memcg(const struct kcgroup *cg);
struct kcgroup *cgroup_parent(struct kcgroup *cg); /* borrowed; NULL for the root */

/* ---- tree ----------------------------------------------------------------------------------- */

/* name: 1..255 bytes without '/' and newline. uid, gid own the files. *out is +1. -EEXIST, -ENODEV
 * (dead parent), -EAGAIN (max.depth, max.descendants), -ENOMEM. */
int MUST_CHECK cgroup_mkdir(struct kcgroup *parent, const char *name, size_t len, lx_uid_t uid,
                            lx_gid_t gid, struct kcgroup **out);
/* -EBUSY (children or live processes), -ENODEV. */
int cgroup_rmdir(struct kcgroup *cg);
/* Removes cg and what is below it, as far as no process is there. */
void cgroup_remove_tree(struct kcgroup *cg);
struct kcgroup *cgroup_child_get(struct kcgroup *parent, const char *name, size_t len); /* +1 */
/* Name of the first child whose serial number is >= *cookie; sets *cookie to go on. */
bool cgroup_child_next(struct kcgroup *parent, uint64_t *cookie, char name[256]);
/* Path of cg as seen from root: "/", "/a/b", "/../b". Allocated; NULL when out of memory. */
char *cgroup_path(struct kcgroup *cg, struct kcgroup *root);
uint32_t cgroup_descendants(struct kcgroup *cg, uint32_t *out_dying);

/* Controllers a group may hand on, and those that its children have. */
uint32_t cgroup_controllers(struct kcgroup *cg);
uint32_t cgroup_subtree_control(struct kcgroup *cg);
/* -ENOENT (not available here), -EBUSY (in use below, or processes here). */
int cgroup_set_subtree_control(struct kcgroup *cg, uint32_t enable, uint32_t disable);

/* Plain numbers that groups remember. */
enum cgroup_value {
    CGROUP_MAX_DEPTH,
    CGROUP_MAX_DESCENDANTS,
    CGROUP_PIDS_MAX,
    CGROUP_MEMORY_LOW,
    CGROUP_MEMORY_MIN,
    CGROUP_MEMORY_OOM_GROUP,
    CGROUP_SWAP_MAX,
    CGROUP_SWAP_HIGH,
    CGROUP_CPU_WEIGHT,
    CGROUP_CPU_QUOTA, /* microseconds, CGROUP_MAX */
    CGROUP_CPU_PERIOD,
    CGROUP_CPU_BURST,
    CGROUP_CPU_IDLE,
    CGROUP_IO_WEIGHT,
    CGROUP_VALUE_COUNT
};
uint64_t cgroup_value(struct kcgroup *cg, enum cgroup_value v);
void cgroup_set_value(struct kcgroup *cg, enum cgroup_value v, uint64_t value);
/* cpu.max as a whole, in microseconds; CGROUP_MAX: no limit. */
void cgroup_set_cpu_max(struct kcgroup *cg, uint64_t quota, uint64_t period);
/* cpuset.cpus as it was written; effective: after the ancestors had their say. */
void cgroup_cpus(struct kcgroup *cg, bool effective, uint64_t mask[CPU_WORDS]);
void cgroup_set_cpus(struct kcgroup *cg, const uint64_t mask[CPU_WORDS]);
/* memory.max: kills until the group fits, as Linux does when nothing can be reclaimed. */
void cgroup_set_memory_max(struct kcgroup *cg, uint64_t bytes);

/* ---- members -------------------------------------------------------------------------------- */

/* Moves the process that the caller knows as nr (0: its own). -ESRCH, -ENODEV, -EBUSY, -EACCES from
 * may_write(the common ancestor). root: the group that the caller's view ends at; -ENOENT when one
 * end lies outside. */
int cgroup_attach(struct kcgroup *cg, lx_pid_t nr, struct kcgroup *root,
                  int (*may_write)(struct kcgroup *cg, void *arg), void *arg);
/* The same for a process of the container that boot made: nobody is asked. -ENODEV, -EBUSY, -ESRCH. */
int cgroup_put_task(struct kcgroup *cg, struct task *t);
/* -ENODEV, -EBUSY: may a new process start in cg? For CLONE_INTO_CGROUP, with the same checks. */
int cgroup_may_fork_into(struct task *t, struct kcgroup *cg,
                         int (*may_write)(struct kcgroup *cg, void *arg), void *arg);
/* The group of t's process, +1. */
struct kcgroup *task_cgroup_get(struct task *t);
/* Calls fn with each live process (threads: each thread) of exactly this group. TASKSET is held. */
void cgroup_for_each(struct kcgroup *cg, bool threads, void (*fn)(struct pid *p, void *arg),
                     void *arg);
bool cgroup_populated(struct kcgroup *cg);

void cgroup_set_freeze(struct kcgroup *cg, bool freeze);
bool cgroup_freeze_wanted(struct kcgroup *cg); /* what was written */
bool cgroup_is_frozen(struct kcgroup *cg);     /* everybody inside is parked */
void cgroup_kill_all(struct kcgroup *cg);      /* SIGKILL to everybody inside */

struct cgroup_pids_usage {
    uint64_t current, peak, max_events;
};
void cgroup_pids_usage(struct kcgroup *cg, struct cgroup_pids_usage *out);
/* What cpu.max did. */
struct cgroup_bandwidth_stat {
    uint64_t periods, throttled, throttled_ns, bursts, burst_ns;
};
void cgroup_bandwidth_stat(struct kcgroup *cg, struct cgroup_bandwidth_stat *out);
/* CPU time of everything that ever ran inside, ns. */
void cgroup_cpu_times(struct kcgroup *cg, uint64_t *out_user, uint64_t *out_system);

/* ---- news ----------------------------------------------------------------------------------- */

/* Files whose readers want to know of changes. */
enum cgroup_news { CGROUP_NEWS_EVENTS, CGROUP_NEWS_MEMORY, CGROUP_NEWS_PIDS, CGROUP_NEWS_COUNT };
struct waitq *cgroup_news_wq(struct kcgroup *cg, enum cgroup_news n);
/* Counts changes, from 1. */
uint32_t cgroup_news_seq(struct kcgroup *cg, enum cgroup_news n);
/* Tells inotify of what changed since the last call; holds no lock. */
void cgroup_news_flush(void);

/* Inverted need: proc/ knows the inodes of a group's files. Called without locks. */
struct cgroup_ops {
    void (*modified)(struct kcgroup *cg, enum cgroup_news n);
    /* The group behind an open directory of a cgroup2 mount, +1; NULL for other files. */
    struct kcgroup *(*from_file)(struct file *f);
    /* May the caller write to cg's cgroup.procs? */
    int (*may_write_procs)(struct kcgroup *cg, void *arg);
};
extern const struct cgroup_ops *g_cgroup_ops;

/* What proc/ keeps with a group: owners and modes of its files. Freed with free(). */
void **cgroup_file_data(struct kcgroup *cg);
void cgroup_owner(struct kcgroup *cg, lx_uid_t *uid, lx_gid_t *gid);

/* ---- namespaces ----------------------------------------------------------------------------- */

/* Lifetime: refcounted. */
int MUST_CHECK cgroupns_new(struct kcgroup *root, struct userns *owner, struct cgroupns **out);
struct cgroupns *cgroupns_get(struct cgroupns *ns);
void cgroupns_put(struct cgroupns *ns);             /* fine with NULL */
struct kcgroup *cgroupns_root(struct cgroupns *ns); /* borrowed */
struct userns *cgroupns_owner(struct cgroupns *ns);
uint64_t cgroupns_inum(const struct cgroupns *ns);
