// SPDX-License-Identifier: Apache-2.0
/*
 * The guests' OOM killer. A charge failed at the maximum of a memory group, or of the sandbox: the
 * process in that group with the most memory, weighed by oom_score_adj as in proc(5), gets SIGKILL.
 * There is nothing to reclaim first: the memory file holds no clean cache, host files are the
 * host's.
 *
 * Selection and signal happen under TASKSET in one go, so two threads that run out together agree
 * on the victim: while it still has its memory, a second caller only waits. A victim that does not
 * go within VICTIM_PATIENCE is passed over. Callers may hold locks that rank before TASKSET and
 * that the victim may need on its way out; waiting is therefore short and bounded, and whoever
 * called tries again and comes back.
 *
 * Nothing here can end the sandbox: PID 1 of a container is a candidate like any other process, and
 * its end is the container's, as on Linux.
 */
#include "sentry/kernel/oom.h"

#include <errno.h>

#include "platform/base/log.h"
#include "sentry/core/kmsg.h"
#include "sentry/kernel/cgroup_internal.h"
#include "sentry/kernel/task_info.h"
#include "sentry/mm/mm.h"

void (*g_oom_announce)(memcg_id_t id);

#define VICTIM_PATIENCE (5 * NSEC_PER_SEC)
#define WAIT_STEP       (2 * NSEC_PER_SEC / 1000)
#define WAIT_STEPS      100

enum { ADJ_NEVER = -1000 };

struct badness {
    uint64_t total_vm, anon, file, shmem; /* bytes */
    uint64_t pages;                       /* what counts */
    int adj;
    int64_t points;
};

/* False: the process has no memory any more. total: pages that points are measured against. */
static bool judge_locked(struct thread_group *tg, uint64_t total, struct badness *out)
{
    struct mm_usage u;
    bool known = false;
    struct task *t;

    for_each_thread_locked(t, tg)
    {
        /* The task's lock keeps its address space: a reference could become the last one here. */
        mutex_lock(&t->lock);
        known = t->curr.mm != NULL;
        if (known)
            mm_usage(t->curr.mm, &u);
        mutex_unlock(&t->lock);
        if (known)
            break;
    }
    if (!known)
        return false;
    mutex_lock(&tg->lock);
    out->adj = tg->oom_score_adj;
    mutex_unlock(&tg->lock);
    out->total_vm = u.total_vm;
    out->anon = u.rss_anon;
    out->file = u.rss_file;
    out->shmem = u.rss_shmem;
    out->pages = (u.rss_anon + u.rss_file + u.rss_shmem + u.page_tables) / LX_PAGE_SIZE;
    out->points = (int64_t)out->pages + (int64_t)out->adj * (int64_t)(total / 1000);
    return true;
}

static uint64_t total_pages(memcg_id_t id)
{
    struct memcg_usage u;
    uint64_t total, unused;

    kernel_memory(&total, &unused);
    memcg_usage(id, &u);
    return MIN(total, u.max) / LX_PAGE_SIZE;
}

int oom_score(struct task *t)
{
    uint64_t total = MAX(total_pages(MEMCG_ROOT), 1);
    struct badness b;
    bool known;

    mutex_lock(&g_taskset.lock);
    known = judge_locked(t->tg, total, &b);
    mutex_unlock(&g_taskset.lock);
    if (!known || b.adj == ADJ_NEVER)
        return 0;
    return (int)MAX(0, (1000 + b.points * 1000 / (int64_t)total) * 2 / 3);
}

/* ---- killing -------------------------------------------------------------------------------- */

static void kill_locked(struct thread_group *tg, const struct badness *b, memcg_id_t id)
{
    const char *why = id == MEMCG_ROOT ? "Out of memory" : "Memory cgroup out of memory";
    lx_pid_t nr = pid_nr_in(tg->leader->curr.tgid, tg->leader->curr.pidns);

    log_warn(LOG_KERNEL,
             "%s: killed process %d (%s) total-vm:%llukB, anon-rss:%llukB, file-rss:%llukB, "
             "shmem-rss:%llukB, oom_score_adj:%d",
             why, nr, tg->leader->comm, (unsigned long long)b->total_vm / 1024,
             (unsigned long long)b->anon / 1024, (unsigned long long)b->file / 1024,
             (unsigned long long)b->shmem / 1024, b->adj);
    kmsg_printf(KMSG_ERR,
                "%s: Killed process %d (%s) total-vm:%llukB, anon-rss:%llukB, file-rss:%llukB, "
                "shmem-rss:%llukB, oom_score_adj:%d",
                why, nr, tg->leader->comm, (unsigned long long)b->total_vm / 1024,
                (unsigned long long)b->anon / 1024, (unsigned long long)b->file / 1024,
                (unsigned long long)b->shmem / 1024, b->adj);
    tg->oom_since = clock_monotonic();
    mutex_lock(&tg->lock);
    (void)signal_send_locked(tg->leader, LX_SIGKILL, NULL, true, true); /* never refused */
    mutex_unlock(&tg->lock);
    memcg_event(tg->cgroup->memcg, MEMCG_EVENT_OOM_KILL);
    for (struct kcgroup *c = tg->cgroup; c; c = c->parent)
        cgroup_news(c, CGROUP_NEWS_MEMORY);
}

/* memory.oom.group: the victim takes everybody in the topmost such group with it. */
static void kill_group_locked(struct thread_group *victim, memcg_id_t id)
{
    struct kcgroup *top = NULL;
    struct thread_group *tg;
    struct badness b;

    for (struct kcgroup *c = victim->cgroup; c && memcg_is_below(c->memcg, id); c = c->parent) {
        if (cgroup_value(c, CGROUP_MEMORY_OOM_GROUP))
            top = c;
    }
    if (!top)
        return;
    memcg_event(top->memcg, MEMCG_EVENT_OOM_GROUP_KILL);
    list_for_each_entry(tg, &g_processes, all_node) {
        if (tg != victim && cgroup_is_below(tg->cgroup, top) && judge_locked(tg, 0, &b) &&
            b.adj != ADJ_NEVER)
            kill_locked(tg, &b, id);
    }
}

enum verdict { VERDICT_NOBODY, VERDICT_CHOSEN, VERDICT_PENDING };

/* The choice, and its end if kill is set. */
static enum verdict pick(memcg_id_t id, bool kill)
{
    uint64_t total = total_pages(id), now = clock_monotonic();
    struct thread_group *tg, *worst = NULL;
    struct badness b, worst_badness = {.points = INT64_MIN};
    enum verdict verdict = VERDICT_NOBODY;

    mutex_lock(&g_taskset.lock);
    list_for_each_entry(tg, &g_processes, all_node) {
        if (!tg->cgroup || !memcg_is_below(tg->cgroup->memcg, id) || !judge_locked(tg, total, &b))
            continue;
        if (tg->oom_since && now - tg->oom_since < VICTIM_PATIENCE) {
            verdict = VERDICT_PENDING;
            break;
        }
        if (tg->oom_since || b.adj == ADJ_NEVER || b.points <= worst_badness.points)
            continue;
        worst = tg;
        worst_badness = b;
    }
    if (verdict == VERDICT_NOBODY && worst) {
        if (kill) {
            kill_locked(worst, &worst_badness, id);
            kill_group_locked(worst, id);
        }
        verdict = VERDICT_CHOSEN;
    }
    mutex_unlock(&g_taskset.lock);
    return verdict;
}

/* One thread tells and kills; what others wait for is the same victim. It is told before the kill, while the memory
 * is still taken: outside, the host's limit has to be reached. */
static enum verdict announce_and_kill(memcg_id_t id)
{
    static atomic_bool busy;
    enum verdict verdict = pick(id, /*kill=*/!g_oom_announce);

    if (!g_oom_announce || verdict != VERDICT_CHOSEN)
        return verdict;
    if (atomic_exchange(&busy, true))
        return VERDICT_PENDING;
    g_oom_announce(id);
    verdict = pick(id, /*kill=*/true);
    atomic_store(&busy, false);
    return verdict;
}

static bool dying(void)
{
    return (atomic_load(&curr()->sleeper.interrupt) & SLEEP_INTERRUPT_KILL) != 0;
}

bool oom_kill_in(memcg_id_t id, uint64_t wanted)
{
    enum verdict verdict;

    if (dying())
        return false;
    if (memcg_margin(id) >= wanted)
        return true; /* somebody was faster */
    memcg_event(id, MEMCG_EVENT_OOM);
    verdict = announce_and_kill(id);
    if (verdict == VERDICT_NOBODY) {
        log_warn(LOG_KERNEL, "out of memory and no process to kill");
        kmsg_printf(KMSG_WARN, "Out of memory and no killable processes...");
        return false;
    }
    for (int i = 0; i < WAIT_STEPS && !dying() && memcg_margin(id) < wanted; i++)
        thread_pause(WAIT_STEP);
    return !dying();
}

/* ---- memory.high ---------------------------------------------------------------------------- */

#define HIGH_DELAY_MAX (2 * NSEC_PER_SEC)
#define HIGH_DELAY_MIN (NSEC_PER_SEC / 100)

bool memory_took_long(void)
{
    return memcg_thread_has_news();
}

/* Linux: the delay grows with the square of the excess (64 s at twice the mark), at most 2 s a
 * time, and less than 10 ms is not worth it. */
static uint64_t high_delay(uint64_t over, uint64_t high)
{
    uint64_t ratio = (over << 10) / MAX(high, 1); /* in 1/1024 */

    if (ratio >= 1024)
        return HIGH_DELAY_MAX;
    return MIN(HIGH_DELAY_MAX, 64 * NSEC_PER_SEC / 1048576 * ratio * ratio);
}

void memory_throttle(void)
{
    uint64_t over, delay, until;
    struct memcg_usage u;
    memcg_id_t id;

    if (!memcg_take_over_high(&id, &over)) {
        cgroup_news_flush();
        return;
    }
    memcg_usage(id, &u);
    for (struct kcgroup *c = current_task()->tg->cgroup; c; c = c->parent) {
        if (c->memcg == id)
            cgroup_news(c, CGROUP_NEWS_MEMORY);
    }
    cgroup_news_flush();
    delay = high_delay(over, u.high / LX_PAGE_SIZE);
    if (delay < HIGH_DELAY_MIN)
        return;
    until = deadline_after(delay);
    while (task_block_killable(until) == 0)
        ;
}

static const struct memcg_ops g_kernel_memcg_ops = {.oom = oom_kill_in};

void oom_init(void)
{
    g_memcg_ops = &g_kernel_memcg_ops;
}
