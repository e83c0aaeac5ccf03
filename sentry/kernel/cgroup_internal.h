/* SPDX-License-Identifier: Apache-2.0 */
/* Inside kernel/: the group itself, and what clone and exit do to it. */
#pragma once

#include "platform/base/list.h"
#include "platform/base/lock.h"
#include "platform/base/refs.h"
#include "sentry/core/clock.h"
#include "sentry/kernel/cgroup.h"
#include "sentry/kernel/kernel_internal.h"

/* Of a group's cpu.max; see bandwidth.c. Keys: s taskset */
struct bandwidth {
    struct ktimer timer;
    bool running;          /* s: the timer is armed, or its function is waiting for TASKSET */
    bool throttled;        /* s: nobody inside runs until the next period */
    uint64_t throttled_at; /* s */
    uint64_t period_start; /* s */
    uint64_t used_before;  /* s: CPU time of the group when the period began */
    int64_t runtime;       /* s: what it may use in the period; negative: debt */
    struct cgroup_bandwidth_stat stat; /* s */
};

/* Lifetime: refcounted; its parent is kept alive by it, its process count by the processes.
 * Keys: I immutable; c cgroup lock; s taskset; a atomic */
struct kcgroup {
    struct refs refs;
    struct kcgroup *parent;             /* I, +1; NULL: the root */
    char *name;                         /* I, owned */
    uint32_t level;                     /* I: 0 for the root */
    uint64_t serial;                    /* I: order of creation */
    memcg_id_t memcg;                   /* I */
    lx_uid_t uid;                       /* I */
    lx_gid_t gid;                       /* I */
    struct list children;               /* c */
    struct list sibling;                /* c */
    uint32_t subtree_control;           /* c */
    uint64_t value[CGROUP_VALUE_COUNT]; /* a: single aligned words */
    uint64_t cpus[CPU_WORDS];           /* c: all 0: as the parent */
    uint64_t cpus_effective[CPU_WORDS]; /* changed under c and s */
    struct bandwidth bandwidth;
    void *file_data;                     /* proc/'s own lock */
    atomic_bool dead;                    /* changed under c and s */
    atomic_bool freeze;                  /* changed under s */
    bool frozen;                         /* s: what cgroup.events says */
    uint32_t live;                       /* s: live processes, descendants' included */
    uint32_t own;                        /* s: live processes of this group alone */
    struct cpu_times gone;               /* s: of processes that left or ended below here */
    uint64_t pids, pids_peak, pids_fail; /* p: pids lock; descendants included */
    uint32_t nr_descendants, nr_dying;   /* c; nr_dying a */
    struct waitq wq;
    atomic_uint news[CGROUP_NEWS_COUNT]; /* a */
    atomic_uint told[CGROUP_NEWS_COUNT]; /* a: what inotify knows */
    struct list news_node;               /* n: news lock, on the list of changed groups, +1 */
};

extern struct mutex g_cgroup_lock; /* rank CGROUP */

void cgroup_subsystem_init(void);
struct kcgroup *cgroup_root(void); /* borrowed, lives forever */
bool cgroup_is_below(const struct kcgroup *cg, const struct kcgroup *ancestor);
/* Something changed: wakes pollers, remembers inotify. Any lock that ranks before WAITQ. */
void cgroup_news(struct kcgroup *cg, enum cgroup_news n);

/* May processes be in cg while it hands on these controllers? -EBUSY. */
int cgroup_vet_members_locked(const struct kcgroup *cg, uint32_t subtree_control, bool members);

/* One more task for t's process or a child that starts in cg. -EAGAIN at some pids.max. */
int MUST_CHECK cgroup_task_charge(struct task *child, struct kcgroup *cg);
void cgroup_task_uncharge(struct task *t);
/* The child joins its group for good: the parent's (its process may have moved since the charge) or
 * rq_cg (parent may be NULL then). Caller holds TASKSET; for threads tg->lock too. -ENODEV: rq_cg
 * was removed meanwhile. */
int MUST_CHECK cgroup_publish_locked(struct task *child, struct task *parent,
                                     struct kcgroup *rq_cg);
/* Last live thread of the process is gone; and: it leaves the tables. */
void cgroup_process_exit_locked(struct thread_group *tg);
void cgroup_process_reap_locked(struct thread_group *tg);
/* Freezing: s or g held for the question. */
bool cgroup_wants_frozen(const struct thread_group *tg);
void cgroup_park(struct task *t);
/* A sleep that counts as frozen (vfork's parent). */
void cgroup_set_parked(struct task *t, bool parked);

/* Tells everybody inside of a new cpus_effective. TASKSET is held. */
void cgroup_cpus_changed_locked(struct kcgroup *cg);

struct cpu_times cgroup_cpu_times_locked(struct kcgroup *cg);
/* Calls fn for every task of cg and of the groups below it, the lock of its process held. TASKSET is held. */
void cgroup_each_task_locked(struct kcgroup *cg, void (*fn)(struct task *t));

/* bandwidth.c */
void bandwidth_init(struct kcgroup *cg);
/* Nothing is inside any more and nothing will be: the timer ends. Called without locks. */
void bandwidth_stop(struct kcgroup *cg);
/* t is in cg from here on. TASKSET is held. */
void bandwidth_joined_locked(struct task *t, struct kcgroup *cg);
void bandwidth_changed(struct kcgroup *cg);
/* What SLEEP_INTERRUPT_BANDWIDTH is for: by t's own thread, which may be held here. */
void bandwidth_look(struct task *t);

/* cpus.c */
void cpus_init(void);
/* mask = a & b, if the two have anything in common; else mask stays and the answer is false. */
bool cpus_and(uint64_t mask[CPU_WORDS], const uint64_t a[CPU_WORDS], const uint64_t b[CPU_WORDS]);
/* Tells the platform where t may run. TASKSET is held; new: t is not published yet. */
void cpus_apply_locked(struct task *t);
void cpus_apply_new_locked(struct task *t);

/* oom.c */
void oom_init(void);
bool oom_kill_in(memcg_id_t id, uint64_t wanted);
