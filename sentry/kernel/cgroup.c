// SPDX-License-Identifier: Apache-2.0
/*
 * The tree of control groups: names, limits, controllers, namespaces, news. See cgroup.h; who is in
 * a group is cgroup_tasks.c's.
 *
 * Locks: g_cgroup_lock (CGROUP) for the shape of the tree and what is configured; TASKSET inside it
 * for membership. Parents never change and are held by their children, so walks towards the root
 * take no lock. Limits are single words that are read without one.
 *
 * News (cgroup.events, memory.events, pids.events) happen deep inside other locks. Pollers are
 * woken at once; inotify, which ranks earlier, hears of it when somebody without locks calls
 * cgroup_news_flush: the end of exit, attach, the OOM killer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/userns.h"
#include "sentry/kernel/cgroup_internal.h"

struct mutex g_cgroup_lock;
static struct mutex g_news_lock; /* rank LEAF */
static struct list g_changed = LIST_INIT(g_changed);
static atomic_bool g_news_due;
static uint64_t g_serial; /* c */
static struct kcgroup g_root;
const struct cgroup_ops *g_cgroup_ops;

static const uint64_t g_defaults[CGROUP_VALUE_COUNT] = {
    [CGROUP_MAX_DEPTH] = CGROUP_MAX, [CGROUP_MAX_DESCENDANTS] = CGROUP_MAX,
    [CGROUP_PIDS_MAX] = CGROUP_MAX,  [CGROUP_SWAP_MAX] = CGROUP_MAX,
    [CGROUP_SWAP_HIGH] = CGROUP_MAX, [CGROUP_CPU_WEIGHT] = 100,
    [CGROUP_CPU_QUOTA] = CGROUP_MAX, [CGROUP_CPU_PERIOD] = 100000,
    [CGROUP_IO_WEIGHT] = 100,
};
/* Whose value it is: reset when the controller goes. */
static const uint32_t g_controller_of[CGROUP_VALUE_COUNT] = {
    [CGROUP_PIDS_MAX] = CGROUP_PIDS,     [CGROUP_MEMORY_LOW] = CGROUP_MEMORY,
    [CGROUP_MEMORY_MIN] = CGROUP_MEMORY, [CGROUP_MEMORY_OOM_GROUP] = CGROUP_MEMORY,
    [CGROUP_SWAP_MAX] = CGROUP_MEMORY,   [CGROUP_SWAP_HIGH] = CGROUP_MEMORY,
    [CGROUP_CPU_WEIGHT] = CGROUP_CPU,    [CGROUP_CPU_QUOTA] = CGROUP_CPU,
    [CGROUP_CPU_PERIOD] = CGROUP_CPU,    [CGROUP_CPU_BURST] = CGROUP_CPU,
    [CGROUP_CPU_IDLE] = CGROUP_CPU,      [CGROUP_IO_WEIGHT] = CGROUP_IO,
};

static void init_group(struct kcgroup *cg)
{
    refs_init(&cg->refs);
    list_init(&cg->children);
    list_init(&cg->sibling);
    list_init(&cg->news_node);
    waitq_init(&cg->wq);
    bandwidth_init(cg);
    memcpy(cg->value, g_defaults, sizeof(cg->value));
    for (int i = 0; i < CGROUP_NEWS_COUNT; i++) {
        atomic_store(&cg->news[i], 1);
        atomic_store(&cg->told[i], 1);
    }
}

void cgroup_subsystem_init(void)
{
    mutex_init(&g_cgroup_lock, RANK_CGROUP);
    mutex_init(&g_news_lock, RANK_LEAF);
    init_group(&g_root);
    g_root.memcg = MEMCG_ROOT;
    g_root.subtree_control = CGROUP_ALL;
    memcpy(g_root.cpus_effective, kernel_cpus(), sizeof(g_root.cpus_effective));
}

struct kcgroup *cgroup_root(void)
{
    return &g_root;
}

struct kcgroup *cgroup_get(struct kcgroup *cg)
{
    if (cg)
        refs_get(&cg->refs);
    return cg;
}

void cgroup_put(struct kcgroup *cg)
{
    while (cg && refs_put(&cg->refs)) {
        struct kcgroup *up = cg->parent;

        ASSERT(cg != &g_root && list_empty(&cg->children));
        for (struct kcgroup *p = up; p; p = p->parent)
            __atomic_fetch_sub(&p->nr_dying, 1, __ATOMIC_RELAXED); /* statistics */
        memcg_release(cg->memcg);
        waitq_destroy(&cg->wq);
        free(cg->file_data);
        free(cg->name);
        free(cg);
        cg = up;
    }
}

bool cgroup_is_dead(struct kcgroup *cg)
{
    return atomic_load(&cg->dead);
}

memcg_id_t cgroup_memcg(const struct kcgroup *cg)
{
    return cg->memcg;
}

struct kcgroup *cgroup_parent(struct kcgroup *cg)
{
    return cg->parent;
}

void **cgroup_file_data(struct kcgroup *cg)
{
    return &cg->file_data;
}

void cgroup_owner(struct kcgroup *cg, lx_uid_t *uid, lx_gid_t *gid)
{
    *uid = cg->uid;
    *gid = cg->gid;
}

bool cgroup_is_below(const struct kcgroup *cg, const struct kcgroup *ancestor)
{
    while (cg && cg->level > ancestor->level)
        cg = cg->parent;
    return cg == ancestor;
}

/* ---- tree ----------------------------------------------------------------------------------- */

static struct kcgroup *find_child_locked(struct kcgroup *parent, const char *name, size_t len)
{
    struct kcgroup *c;

    list_for_each_entry(c, &parent->children, sibling) {
        if (strlen(c->name) == len && memcmp(c->name, name, len) == 0)
            return c;
    }
    return NULL;
}

static int may_add_locked(struct kcgroup *parent, const char *name, size_t len)
{
    uint64_t depth = 1;

    if (atomic_load(&parent->dead))
        return -ENODEV;
    if (find_child_locked(parent, name, len))
        return -EEXIST;
    for (struct kcgroup *p = parent; p; p = p->parent, depth++) {
        if (p->nr_descendants >= cgroup_value(p, CGROUP_MAX_DESCENDANTS) ||
            depth > cgroup_value(p, CGROUP_MAX_DEPTH))
            return -EAGAIN;
    }
    return 0;
}

int cgroup_mkdir(struct kcgroup *parent, const char *name, size_t len, lx_uid_t uid, lx_gid_t gid,
                 struct kcgroup **out)
{
    struct kcgroup *cg = calloc(1, sizeof(*cg));
    int ret = -ENOMEM;

    if (!cg)
        return -ENOMEM;
    init_group(cg);
    cg->name = strndup(name, len);
    if (!cg->name || memcg_new(parent->memcg, &cg->memcg) < 0)
        goto fail;
    cg->level = parent->level + 1;
    cg->uid = uid;
    cg->gid = gid;
    mutex_lock(&g_cgroup_lock);
    ret = may_add_locked(parent, name, len);
    if (ret == 0) {
        refs_get(&parent->refs);
        cg->parent = parent;
        memcpy(cg->cpus_effective, parent->cpus_effective, sizeof(cg->cpus_effective));
        cg->serial = ++g_serial;
        list_add_tail(&parent->children, &cg->sibling);
        for (struct kcgroup *p = parent; p; p = p->parent)
            p->nr_descendants++;
        *out = cgroup_get(cg); /* the tree's own reference is the first one */
    }
    mutex_unlock(&g_cgroup_lock);
    if (ret == 0)
        return 0;
    memcg_release(cg->memcg);
fail:
    waitq_destroy(&cg->wq);
    free(cg->name);
    free(cg);
    return ret;
}

int cgroup_rmdir(struct kcgroup *cg)
{
    int ret = 0;

    mutex_lock(&g_cgroup_lock);
    mutex_lock(&g_taskset.lock);
    if (atomic_load(&cg->dead))
        ret = -ENODEV;
    else if (!cg->parent || !list_empty(&cg->children) || cg->live)
        ret = -EBUSY;
    else
        atomic_store(&cg->dead, true);
    mutex_unlock(&g_taskset.lock);
    if (ret == 0) {
        list_del(&cg->sibling);
        for (struct kcgroup *p = cg->parent; p; p = p->parent) {
            p->nr_descendants--;
            __atomic_fetch_add(&p->nr_dying, 1, __ATOMIC_RELAXED); /* statistics */
        }
    }
    mutex_unlock(&g_cgroup_lock);
    if (ret < 0)
        return ret;
    bandwidth_stop(cg);
    for (int i = 0; i < CGROUP_NEWS_COUNT; i++)
        cgroup_news(cg, i);
    cgroup_put(cg);
    return 0;
}

void cgroup_remove_tree(struct kcgroup *cg)
{
    struct kcgroup *at = cgroup_get(cg), *down;

    /* To a leaf, remove it, back to its parent: no recursion over a depth that guests chose. */
    for (;;) {
        mutex_lock(&g_cgroup_lock);
        down = list_empty(&at->children)
                   ? NULL
                   : cgroup_get(list_first_entry(&at->children, struct kcgroup, sibling));
        mutex_unlock(&g_cgroup_lock);
        if (!down && (cgroup_rmdir(at) < 0 || at == cg))
            break;
        if (!down)
            down = cgroup_get(at->parent);
        cgroup_put(at);
        at = down;
    }
    cgroup_put(at);
}

struct kcgroup *cgroup_child_get(struct kcgroup *parent, const char *name, size_t len)
{
    struct kcgroup *c;

    mutex_lock(&g_cgroup_lock);
    c = cgroup_get(find_child_locked(parent, name, len));
    mutex_unlock(&g_cgroup_lock);
    return c;
}

bool cgroup_child_next(struct kcgroup *parent, uint64_t *cookie, char name[256])
{
    struct kcgroup *c;
    bool found = false;

    mutex_lock(&g_cgroup_lock);
    list_for_each_entry(c, &parent->children, sibling) {
        if (c->serial < *cookie)
            continue;
        snprintf(name, 256, "%s", c->name);
        *cookie = c->serial + 1;
        found = true;
        break;
    }
    mutex_unlock(&g_cgroup_lock);
    return found;
}

/* "/a/b" below top, which is an ancestor; dead groups end in " (deleted)". */
static char *path_below(struct kcgroup *cg, const struct kcgroup *top, const char *prefix)
{
    size_t size = strlen(prefix) + 2, at;
    char *buf;

    for (const struct kcgroup *c = cg; c != top; c = c->parent)
        size += strlen(c->name) + 1;
    buf = malloc(size + sizeof(" (deleted)"));
    if (!buf)
        return NULL;
    at = size - 1;
    buf[at] = '\0';
    for (const struct kcgroup *c = cg; c != top; c = c->parent) {
        size_t len = strlen(c->name);

        at -= len;
        memcpy(buf + at, c->name, len);
        buf[--at] = '/';
    }
    at -= strlen(prefix);
    memcpy(buf + at, prefix, strlen(prefix));
    memmove(buf, buf + at, size - at);
    if (!buf[0])
        memcpy(buf, "/", sizeof("/"));
    if (atomic_load(&cg->dead))
        strcat(buf, " (deleted)");
    return buf;
}

char *cgroup_path(struct kcgroup *cg, struct kcgroup *root)
{
    struct kcgroup *common = root;
    size_t ups = 0;
    char *prefix, *path;

    while (!cgroup_is_below(cg, common)) {
        common = common->parent;
        ups++;
    }
    prefix = calloc(ups + 1, 3);
    if (!prefix)
        return NULL;
    for (size_t i = 0; i < ups; i++)
        memcpy(prefix + 3 * i, "/..", 3);
    path = path_below(cg, common, prefix);
    free(prefix);
    return path;
}

uint32_t cgroup_descendants(struct kcgroup *cg, uint32_t *out_dying)
{
    uint32_t n;

    mutex_lock(&g_cgroup_lock);
    n = cg->nr_descendants;
    *out_dying = __atomic_load_n(&cg->nr_dying, __ATOMIC_RELAXED);
    mutex_unlock(&g_cgroup_lock);
    return n;
}

/* ---- controllers ---------------------------------------------------------------------------- */

uint32_t cgroup_controllers(struct kcgroup *cg)
{
    uint32_t mask;

    mutex_lock(&g_cgroup_lock);
    mask = cg->parent ? cg->parent->subtree_control : CGROUP_ALL;
    mutex_unlock(&g_cgroup_lock);
    return mask;
}

uint32_t cgroup_subtree_control(struct kcgroup *cg)
{
    uint32_t mask;

    mutex_lock(&g_cgroup_lock);
    mask = cg->subtree_control;
    mutex_unlock(&g_cgroup_lock);
    return mask;
}

/* Linux: CPUs that the parent does not have are remembered and left out; if none is left, the
 * parent's count. */
static void update_cpus_locked(struct kcgroup *cg)
{
    const uint64_t *above = cg->parent ? cg->parent->cpus_effective : kernel_cpus();
    struct kcgroup *c;

    if (!cpus_and(cg->cpus_effective, cg->cpus, above))
        memcpy(cg->cpus_effective, above, sizeof(cg->cpus_effective));
    list_for_each_entry(c, &cg->children, sibling) {
        update_cpus_locked(c);
    }
}

/* The children lose these controllers, and the limits with them. */
static void reset_children_locked(struct kcgroup *cg, uint32_t gone)
{
    struct kcgroup *c;

    list_for_each_entry(c, &cg->children, sibling) {
        for (int i = 0; i < CGROUP_VALUE_COUNT; i++) {
            if (g_controller_of[i] & gone)
                cgroup_set_value(c, (enum cgroup_value)i, g_defaults[i]);
        }
        if (gone & CGROUP_MEMORY) {
            memcg_set_max(c->memcg, MEMCG_UNLIMITED);
            memcg_set_high(c->memcg, MEMCG_UNLIMITED);
        }
        if (gone & CGROUP_CPU)
            bandwidth_changed(c);
        if (gone & CGROUP_CPUSET) {
            memset(c->cpus, 0, sizeof(c->cpus));
            mutex_lock(&g_taskset.lock);
            update_cpus_locked(c);
            cgroup_cpus_changed_locked(c);
            mutex_unlock(&g_taskset.lock);
        }
    }
}

/* Linux: a group whose processes compete with nobody but each other may hand on cpu, cpuset and
 * pids, which know how threads and groups compete, but not the controllers that do not. */
#define DOMAIN_CONTROLLERS (CGROUP_MEMORY | CGROUP_IO)

int cgroup_vet_members_locked(const struct kcgroup *cg, uint32_t subtree_control, bool members)
{
    bool alone;

    ASSERT_HELD(&g_cgroup_lock);
    if (!cg->parent || !subtree_control || !members)
        return 0;
    mutex_lock(&g_taskset.lock);
    alone = cg->live == cg->own;
    mutex_unlock(&g_taskset.lock);
    return alone && !(subtree_control & DOMAIN_CONTROLLERS) ? 0 : -EBUSY;
}

static bool has_members(struct kcgroup *cg)
{
    bool has;

    mutex_lock(&g_taskset.lock);
    has = cg->own > 0;
    mutex_unlock(&g_taskset.lock);
    return has;
}

int cgroup_set_subtree_control(struct kcgroup *cg, uint32_t enable, uint32_t disable)
{
    uint32_t have = cgroup_controllers(cg), used = 0;
    struct kcgroup *c;
    int ret = 0;

    mutex_lock(&g_cgroup_lock);
    enable &= ~cg->subtree_control;
    disable &= cg->subtree_control;
    list_for_each_entry(c, &cg->children, sibling) {
        used |= c->subtree_control;
    }
    if (atomic_load(&cg->dead))
        ret = -ENODEV;
    else if (enable & ~have)
        ret = -ENOENT;
    else if (disable & used)
        ret = -EBUSY;
    else if (enable)
        ret = cgroup_vet_members_locked(cg, cg->subtree_control | enable, has_members(cg));
    if (ret == 0) {
        cg->subtree_control = (cg->subtree_control | enable) & ~disable;
        reset_children_locked(cg, disable);
    }
    mutex_unlock(&g_cgroup_lock);
    return ret;
}

uint64_t cgroup_value(struct kcgroup *cg, enum cgroup_value v)
{
    return __atomic_load_n(&cg->value[v], __ATOMIC_RELAXED);
}

void cgroup_set_value(struct kcgroup *cg, enum cgroup_value v, uint64_t value)
{
    __atomic_store_n(&cg->value[v], value, __ATOMIC_RELAXED);
}

void cgroup_set_cpu_max(struct kcgroup *cg, uint64_t quota, uint64_t period)
{
    cgroup_set_value(cg, CGROUP_CPU_QUOTA, quota);
    cgroup_set_value(cg, CGROUP_CPU_PERIOD, period);
    bandwidth_changed(cg);
}

void cgroup_cpus(struct kcgroup *cg, bool effective, uint64_t mask[CPU_WORDS])
{
    mutex_lock(&g_cgroup_lock);
    memcpy(mask, effective ? cg->cpus_effective : cg->cpus, sizeof(cg->cpus));
    mutex_unlock(&g_cgroup_lock);
}

void cgroup_set_cpus(struct kcgroup *cg, const uint64_t mask[CPU_WORDS])
{
    mutex_lock(&g_cgroup_lock);
    memcpy(cg->cpus, mask, sizeof(cg->cpus));
    mutex_lock(&g_taskset.lock);
    update_cpus_locked(cg);
    cgroup_cpus_changed_locked(cg);
    mutex_unlock(&g_taskset.lock);
    mutex_unlock(&g_cgroup_lock);
}

void cgroup_set_memory_max(struct kcgroup *cg, uint64_t bytes)
{
    struct memcg_usage u;

    memcg_set_max(cg->memcg, bytes);
    for (;;) {
        memcg_usage(cg->memcg, &u);
        if (u.current <= u.max || !oom_kill_in(cg->memcg, LX_PAGE_SIZE))
            break;
    }
}

/* ---- news ----------------------------------------------------------------------------------- */

struct waitq *cgroup_news_wq(struct kcgroup *cg, enum cgroup_news n)
{
    (void)n; /* one queue: the files' readers compare numbers */
    return &cg->wq;
}

uint32_t cgroup_news_seq(struct kcgroup *cg, enum cgroup_news n)
{
    return atomic_load(&cg->news[n]);
}

void cgroup_news(struct kcgroup *cg, enum cgroup_news n)
{
    atomic_fetch_add(&cg->news[n], 1);
    waitq_wake(&cg->wq, WAKE_PRI | WAKE_ERR);
    mutex_lock(&g_news_lock);
    if (list_empty(&cg->news_node))
        list_add_tail(&g_changed, &cgroup_get(cg)->news_node);
    mutex_unlock(&g_news_lock);
    atomic_store(&g_news_due, true);
}

void cgroup_news_flush(void)
{
    struct kcgroup *cg;

    if (likely(!atomic_load_explicit(&g_news_due, memory_order_relaxed)))
        return;
    atomic_store(&g_news_due, false);
    for (;;) {
        mutex_lock(&g_news_lock);
        cg =
            list_empty(&g_changed) ? NULL : list_first_entry(&g_changed, struct kcgroup, news_node);
        if (cg)
            list_del(&cg->news_node);
        mutex_unlock(&g_news_lock);
        if (!cg)
            return;
        for (int i = 0; i < CGROUP_NEWS_COUNT; i++) {
            unsigned now = atomic_load(&cg->news[i]);

            if (atomic_exchange(&cg->told[i], now) != now && g_cgroup_ops)
                g_cgroup_ops->modified(cg, i);
        }
        cgroup_put(cg);
    }
}

/* ---- namespaces ----------------------------------------------------------------------------- */

/* Lifetime: refcounted. Keys: I immutable */
struct cgroupns {
    struct refs refs;
    struct kcgroup *root; /* I, +1 */
    struct userns *owner; /* I, +1 */
    uint64_t inum;        /* I */
};

int cgroupns_new(struct kcgroup *root, struct userns *owner, struct cgroupns **out)
{
    struct cgroupns *ns = calloc(1, sizeof(*ns));

    if (!ns)
        return -ENOMEM;
    refs_init(&ns->refs);
    ns->root = cgroup_get(root);
    ns->owner = userns_get(owner);
    ns->inum = ns_inum_new();
    *out = ns;
    return 0;
}

struct cgroupns *cgroupns_get(struct cgroupns *ns)
{
    if (ns)
        refs_get(&ns->refs);
    return ns;
}

void cgroupns_put(struct cgroupns *ns)
{
    if (!ns || !refs_put(&ns->refs))
        return;
    cgroup_put(ns->root);
    userns_put(ns->owner);
    free(ns);
}

struct kcgroup *cgroupns_root(struct cgroupns *ns)
{
    return ns->root;
}

struct userns *cgroupns_owner(struct cgroupns *ns)
{
    return ns->owner;
}

uint64_t cgroupns_inum(const struct cgroupns *ns)
{
    return ns->inum;
}
