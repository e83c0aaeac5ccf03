// SPDX-License-Identifier: Apache-2.0
/*
 * cgroup2: the tree of control groups as directories (kernel/cgroup.h), and the files that every
 * group has. A mount shows the group that is the root of the mounter's cgroup namespace, so a
 * container sees its own group, with its limits, as "/".
 *
 * A directory's node holds its group; files hold it too. What is done to a group that was removed
 * fails with ENODEV. Owners and modes that chown and chmod gave to files (delegation) are kept with
 * the group, since nodes come and go.
 */
#include "sentry/proc/cgroupfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/inotify.h"
#include "sentry/core/cred.h"
#include "sentry/core/userns.h"
#include "sentry/kernel/task_info.h"
#include "sentry/proc/proc.h"

#define CGROUP2_MAGIC 0x63677270

enum { ATTR_MAX = 80 };

/* Owners and modes that differ from what a new group has. Keys: t g_attr_lock */
struct file_attrs {
    uint32_t count; /* t */
    struct {
        const struct pseudo_entry *entry;
        lx_uid_t uid;
        lx_gid_t gid;
        uint32_t mode;
    } a[ATTR_MAX]; /* t */
};

static struct mutex g_attr_lock = {.rank = RANK_LEAF};
static struct mutex g_live_lock = {.rank = RANK_LEAF};
static struct list g_live = LIST_INIT(g_live); /* nodes of files with news */
static const struct pseudo_object_ops g_cgroup_objects;
static const struct pseudo_entry g_dir_entry;

static struct kcgroup *group_of(const struct pseudo_node *n)
{
    return n->object;
}

/* ---- text ----------------------------------------------------------------------------------- */

int cgroup_parse_max(const char *data, uint64_t *out)
{
    char *end;

    if (!strcmp(data, "max")) {
        *out = CGROUP_MAX;
        return 0;
    }
    errno = 0;
    *out = strtoull(data, &end, 0);
    return errno || end == data || *end || data[0] == '-' || *out == CGROUP_MAX ? -EINVAL : 0;
}

void cgroup_put_max(struct pbuf *b, uint64_t value)
{
    if (value == CGROUP_MAX)
        pbuf_puts(b, "max\n");
    else
        pbuf_printf(b, "%llu\n", (unsigned long long)value);
}

int cgroupfs_show(struct pseudo_node *n, struct pbuf *b)
{
    const struct cgroup_file *cf = n->entry->data;

    if (cgroup_is_dead(group_of(n)))
        return -ENODEV;
    return cf->show ? cf->show(group_of(n), b) : -EINVAL;
}

ssize_t cgroupfs_store(struct pseudo_node *n, char *data, size_t size)
{
    const struct cgroup_file *cf = n->entry->data;
    size_t len = strlen(data);
    int ret;

    if (!cf->store)
        return -EINVAL;
    if (cgroup_is_dead(group_of(n)))
        return -ENODEV;
    while (len && strchr(" \t\n", data[len - 1]))
        data[--len] = '\0';
    ret = cf->store(group_of(n), data + strspn(data, " \t\n"));
    return ret < 0 ? ret : (ssize_t)size;
}

struct waitq *cgroupfs_wq(struct pseudo_node *n)
{
    return cgroup_news_wq(group_of(n), ((const struct cgroup_file *)n->entry->data)->news);
}

uint32_t cgroupfs_seq(struct pseudo_node *n)
{
    return cgroup_news_seq(group_of(n), ((const struct cgroup_file *)n->entry->data)->news);
}

/* ---- owners --------------------------------------------------------------------------------- */

static void attr_of(struct kcgroup *cg, const struct pseudo_entry *e, lx_uid_t *uid, lx_gid_t *gid,
                    uint32_t *mode)
{
    const struct file_attrs *fa;

    cgroup_owner(cg, uid, gid);
    *mode = e->mode;
    mutex_lock(&g_attr_lock);
    fa = *cgroup_file_data(cg);
    for (uint32_t i = 0; fa && i < fa->count; i++) {
        if (fa->a[i].entry == e) {
            *uid = fa->a[i].uid;
            *gid = fa->a[i].gid;
            *mode = fa->a[i].mode;
        }
    }
    mutex_unlock(&g_attr_lock);
}

static void cgroup_refresh(struct pseudo_node *n)
{
    lx_uid_t uid;
    lx_gid_t gid;
    uint32_t mode;

    attr_of(group_of(n), n->entry, &uid, &gid, &mode);
    n->inode.attr.uid = uid;
    n->inode.attr.gid = gid;
    n->inode.attr.mode = mode;
}

static int cgroup_setattr(struct pseudo_node *n, const struct fs_attr *attr)
{
    void **data = cgroup_file_data(group_of(n));
    struct file_attrs *fa, *fresh = calloc(1, sizeof(*fresh));
    lx_uid_t uid;
    lx_gid_t gid;
    uint32_t mode, i;

    if (!fresh)
        return -ENOMEM;
    attr_of(group_of(n), n->entry, &uid, &gid, &mode);
    mutex_lock(&g_attr_lock);
    if (!*data) {
        *data = fresh;
        fresh = NULL;
    }
    fa = *data;
    for (i = 0; i < fa->count && fa->a[i].entry != n->entry; i++)
        ;
    if (i < ATTR_MAX) {
        fa->count = MAX(fa->count, i + 1);
        fa->a[i].entry = n->entry;
        fa->a[i].uid = attr->mask & ATTR_UID ? attr->uid : uid;
        fa->a[i].gid = attr->mask & ATTR_GID ? attr->gid : gid;
        fa->a[i].mode = attr->mask & ATTR_MODE ? (mode & 0170000u) | (attr->mode & 07777u) : mode;
    }
    mutex_unlock(&g_attr_lock);
    free(fresh);
    return 0;
}

/* ---- core files ----------------------------------------------------------------------------- */

static const char *const g_controller_names[] = {"cpuset", "cpu", "io", "memory", "pids"};

static void put_controllers(struct pbuf *b, uint32_t mask)
{
    const char *space = "";

    for (size_t i = 0; i < ARRAY_COUNT(g_controller_names); i++) {
        if (mask & 1u << i) {
            pbuf_printf(b, "%s%s", space, g_controller_names[i]);
            space = " ";
        }
    }
    if (*space)
        pbuf_putc(b, '\n');
}

static int show_controllers(struct kcgroup *cg, struct pbuf *b)
{
    put_controllers(b, cgroup_controllers(cg));
    return 0;
}

static int show_subtree_control(struct kcgroup *cg, struct pbuf *b)
{
    put_controllers(b, cgroup_subtree_control(cg));
    return 0;
}

static int store_subtree_control(struct kcgroup *cg, char *data)
{
    uint32_t enable = 0, disable = 0;
    char *save, *word;

    for (word = strtok_r(data, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        size_t i;

        for (i = 0; i < ARRAY_COUNT(g_controller_names); i++) {
            if (!strcmp(word + 1, g_controller_names[i]))
                break;
        }
        if (i == ARRAY_COUNT(g_controller_names) || (word[0] != '+' && word[0] != '-'))
            return -EINVAL;
        if (word[0] == '+') {
            enable |= 1u << i;
            disable &= ~(1u << i);
        } else {
            disable |= 1u << i;
            enable &= ~(1u << i);
        }
    }
    return cgroup_set_subtree_control(cg, enable, disable);
}

static int show_type(struct kcgroup *cg, struct pbuf *b)
{
    (void)cg;
    pbuf_puts(b, "domain\n");
    return 0;
}

static int store_type(struct kcgroup *cg, char *data)
{
    (void)cg;
    /* DEVIATION: no threaded groups. Linux has this answer where a group cannot become one. */
    return strcmp(data, "threaded") ? -EINVAL : -EOPNOTSUPP;
}

static void put_pid(struct pid *p, void *arg)
{
    pbuf_printf(arg, "%d\n", curr()->pidns ? pid_nr_in(p, curr()->pidns) : 0);
}

static int show_procs(struct kcgroup *cg, struct pbuf *b)
{
    cgroup_for_each(cg, /*threads=*/false, put_pid, b);
    return 0;
}

static int show_threads(struct kcgroup *cg, struct pbuf *b)
{
    cgroup_for_each(cg, /*threads=*/true, put_pid, b);
    return 0;
}

static int may_write_procs(struct kcgroup *cg, void *arg);

static int parse_pid(const char *data, lx_pid_t *out)
{
    char *end;
    long nr;

    errno = 0;
    nr = strtol(data, &end, 0);
    if (errno || end == data || *end || nr < 0 || nr > INT32_MAX)
        return -EINVAL;
    *out = (lx_pid_t)nr;
    return 0;
}

static int store_procs(struct kcgroup *cg, char *data)
{
    struct cgroupns *ns = curr()->cgroupns;
    lx_pid_t nr;
    int ret = parse_pid(data, &nr);

    if (ret < 0)
        return ret;
    return cgroup_attach(cg, nr, ns ? cgroupns_root(ns) : NULL, may_write_procs, NULL);
}

/* A thread cannot leave its process's group where there are no threaded groups. */
static int store_threads(struct kcgroup *cg, char *data)
{
    struct kcgroup *own;
    struct task *t;
    lx_pid_t nr;
    bool same;
    int ret = parse_pid(data, &nr);

    if (ret < 0)
        return ret;
    t = nr ? task_find_get(nr) : task_get(current_task());
    if (!t)
        return -ESRCH;
    own = task_cgroup_get(t);
    same = own == cg;
    cgroup_put(own);
    task_put(t);
    return same ? 0 : -EOPNOTSUPP;
}

static int show_events(struct kcgroup *cg, struct pbuf *b)
{
    pbuf_printf(b, "populated %d\nfrozen %d\n", cgroup_populated(cg), cgroup_is_frozen(cg));
    return 0;
}

static int show_stat(struct kcgroup *cg, struct pbuf *b)
{
    uint32_t dying, n = cgroup_descendants(cg, &dying);

    pbuf_printf(b, "nr_descendants %u\nnr_dying_descendants %u\n", n, dying);
    return 0;
}

static int store_tree_limit(struct kcgroup *cg, char *data, enum cgroup_value v)
{
    uint64_t n;
    int ret = cgroup_parse_max(data + (data[0] == '-'), &n);

    if (ret < 0)
        return ret;
    if (n != CGROUP_MAX && (n > INT32_MAX || data[0] == '-'))
        return -ERANGE;
    cgroup_set_value(cg, v, n);
    return 0;
}

static int show_max_depth(struct kcgroup *cg, struct pbuf *b)
{
    cgroup_put_max(b, cgroup_value(cg, CGROUP_MAX_DEPTH));
    return 0;
}

static int store_max_depth(struct kcgroup *cg, char *data)
{
    return store_tree_limit(cg, data, CGROUP_MAX_DEPTH);
}

static int show_max_descendants(struct kcgroup *cg, struct pbuf *b)
{
    cgroup_put_max(b, cgroup_value(cg, CGROUP_MAX_DESCENDANTS));
    return 0;
}

static int store_max_descendants(struct kcgroup *cg, char *data)
{
    return store_tree_limit(cg, data, CGROUP_MAX_DESCENDANTS);
}

static int show_freeze(struct kcgroup *cg, struct pbuf *b)
{
    pbuf_printf(b, "%d\n", cgroup_freeze_wanted(cg));
    return 0;
}

static int store_freeze(struct kcgroup *cg, char *data)
{
    uint64_t n;
    int ret = cgroup_parse_max(data, &n);

    if (ret < 0)
        return ret;
    if (n > 1)
        return -ERANGE;
    cgroup_set_freeze(cg, n == 1);
    return 0;
}

static int store_kill(struct kcgroup *cg, char *data)
{
    uint64_t n;
    int ret = cgroup_parse_max(data, &n);

    if (ret < 0)
        return ret;
    if (n != 1)
        return -ERANGE;
    cgroup_kill_all(cg);
    return 0;
}

static int show_cpu_stat(struct kcgroup *cg, struct pbuf *b)
{
    struct cgroup_bandwidth_stat stat;
    uint64_t user, system;

    cgroup_cpu_times(cg, &user, &system);
    pbuf_printf(b, "usage_usec %llu\nuser_usec %llu\nsystem_usec %llu\n",
                (unsigned long long)((user + system) / 1000), (unsigned long long)(user / 1000),
                (unsigned long long)(system / 1000));
    if (cgroup_controllers(cg) & CGROUP_CPU) {
        cgroup_bandwidth_stat(cg, &stat);
        pbuf_printf(b, "nr_periods %llu\nnr_throttled %llu\nthrottled_usec %llu\n",
                    (unsigned long long)stat.periods, (unsigned long long)stat.throttled,
                    (unsigned long long)stat.throttled_ns / 1000);
        pbuf_printf(b, "nr_bursts %llu\nburst_usec %llu\n", (unsigned long long)stat.bursts,
                    (unsigned long long)stat.burst_ns / 1000);
    }
    return 0;
}

static const struct pseudo_entry g_core_files[] = {
    CGROUP_FILE("cgroup.type", 0644, 0, show_type, store_type),
    CGROUP_FILE("cgroup.procs", 0644, 0, show_procs, store_procs),
    CGROUP_FILE("cgroup.threads", 0644, 0, show_threads, store_threads),
    CGROUP_FILE("cgroup.controllers", 0444, 0, show_controllers, NULL),
    CGROUP_FILE("cgroup.subtree_control", 0644, 0, show_subtree_control, store_subtree_control),
    CGROUP_NEWS_FILE("cgroup.events", 0444, 0, show_events, CGROUP_NEWS_EVENTS),
    CGROUP_FILE("cgroup.max.descendants", 0644, 0, show_max_descendants, store_max_descendants),
    CGROUP_FILE("cgroup.max.depth", 0644, 0, show_max_depth, store_max_depth),
    CGROUP_FILE("cgroup.stat", 0444, 0, show_stat, NULL),
    CGROUP_FILE("cgroup.freeze", 0644, 0, show_freeze, store_freeze),
    CGROUP_FILE("cgroup.kill", 0200, 0, NULL, store_kill),
    CGROUP_FILE("cpu.stat", 0444, 0, show_cpu_stat, NULL),
    {0},
};

static int may_write_procs(struct kcgroup *cg, void *arg)
{
    const struct cred *c = curr()->cred;
    uint32_t mode;
    lx_uid_t uid;
    lx_gid_t gid;

    (void)arg;
    attr_of(cg, &g_core_files[1], &uid, &gid, &mode);
    if (c->fsuid == uid)
        mode >>= 6;
    else if (cred_in_group(c, gid))
        mode >>= 3;
    return (mode & MAY_WRITE) || cred_capable(c, LX_CAP_DAC_OVERRIDE) ? 0 : -EACCES;
}

int cgroup_file_write(struct kcgroup *cg, const char *name, const char *text)
{
    const struct pseudo_entry *tables[] = {g_core_files, g_cgroup_controller_files};
    const struct cgroup_file *cf;
    char *copy;
    int ret;

    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        for (const struct pseudo_entry *e = tables[i]; e->name; e++) {
            cf = e->data;
            if (strcmp(e->name, name) != 0 || !cf->store)
                continue;
            copy = strdup(text);
            if (!copy)
                return -ENOMEM;
            ret = cf->store(cg, copy);
            free(copy);
            return ret;
        }
    }
    return -ENOENT;
}

/* ---- directories ---------------------------------------------------------------------------- */

static int dir_lookup(struct pseudo_node *dir, const char *name, size_t len,
                      struct pseudo_node **out)
{
    struct kcgroup *child = cgroup_child_get(group_of(dir), name, len);
    int ret;

    if (!child)
        return 0;
    ret = pseudo_node_new(dir, &g_dir_entry, name, len, out);
    if (ret == 0)
        pseudo_node_set_object(*out, child);
    cgroup_put(child);
    return ret;
}

static int dir_next(struct pseudo_node *dir, uint64_t *cookie, struct pseudo_name *out)
{
    out->mode = g_dir_entry.mode;
    return cgroup_child_next(group_of(dir), cookie, out->name);
}

static const struct pseudo_dir g_dir = {.lookup = dir_lookup, .next = dir_next};

static const struct pseudo_entry g_dir_entry = {
    .name = "/",
    .mode = 0040755,
    .children = g_core_files,
    .more = g_cgroup_controller_files,
    .dir = &g_dir,
};

static void group_get(void *object)
{
    cgroup_get(object);
}

static void group_put(void *object)
{
    cgroup_put(object);
}

static bool file_visible(struct pseudo_node *dir, const struct pseudo_entry *e)
{
    uint32_t controller = ((const struct cgroup_file *)e->data)->controller;

    return !controller || (cgroup_controllers(group_of(dir)) & controller);
}

static int dir_mkdir(struct pseudo_node *dir, const char *name, uint32_t mode,
                     struct pseudo_node **out)
{
    const struct cred *c = curr()->cred;
    struct kcgroup *cg;
    int ret;

    (void)mode; /* Linux: groups are made with 0755 less the umask's bits; ours ignore the umask */
    if (strchr(name, '\n'))
        return -EINVAL;
    ret = cgroup_mkdir(group_of(dir), name, strlen(name), c->fsuid, c->fsgid, &cg);
    if (ret < 0)
        return ret;
    ret = pseudo_node_new(dir, &g_dir_entry, name, strlen(name), out);
    if (ret == 0)
        pseudo_node_set_object(*out, cg);
    else
        (void)cgroup_rmdir(cg); /* nobody can have entered it: its directory is locked */
    cgroup_put(cg);
    return ret;
}

static int dir_rmdir(struct pseudo_node *dir, struct pseudo_node *victim)
{
    (void)dir;
    return cgroup_rmdir(group_of(victim));
}

/* ---- news ----------------------------------------------------------------------------------- */

static void node_born(struct pseudo_node *n)
{
    if (!n->entry->seq)
        return;
    mutex_lock(&g_live_lock);
    list_add_tail(&g_live, &n->live);
    mutex_unlock(&g_live_lock);
}

static void node_gone(struct pseudo_node *n)
{
    mutex_lock(&g_live_lock);
    list_del(&n->live);
    mutex_unlock(&g_live_lock);
}

/* The next node of that file after `after` (whose reference is consumed), +1. */
static struct pseudo_node *next_node_get(struct kcgroup *cg, enum cgroup_news news,
                                         struct pseudo_node *after)
{
    struct list *it = after ? after->live.next : g_live.next;
    struct pseudo_node *found = NULL;

    mutex_lock(&g_live_lock);
    it = after ? after->live.next : g_live.next;
    for (; it != &g_live && !found; it = it->next) {
        struct pseudo_node *n = list_entry(it, struct pseudo_node, live);

        if (group_of(n) == cg && ((const struct cgroup_file *)n->entry->data)->news == news &&
            refs_get_not_zero(&n->inode.refs))
            found = n;
    }
    mutex_unlock(&g_live_lock);
    if (after)
        inode_put(&after->inode);
    return found;
}

static void news_modified(struct kcgroup *cg, enum cgroup_news news)
{
    struct pseudo_node *n = NULL;

    while ((n = next_node_get(cg, news, n)) != NULL)
        fs_notify_dir(&n->inode, LX_IN_MODIFY, NULL, 0);
}

static const struct pseudo_object_ops g_cgroup_objects = {
    .get = group_get,
    .put = group_put,
    .visible = file_visible,
    .mkdir = dir_mkdir,
    .rmdir = dir_rmdir,
    .setattr = cgroup_setattr,
    .born = node_born,
    .gone = node_gone,
};

static struct kcgroup *group_from_file(struct file *f)
{
    struct pseudo_node *n = f->inode ? pseudo_node_from_inode(f->inode) : NULL;

    if (!n || pseudo_super_of(n)->objects != &g_cgroup_objects || n->entry != &g_dir_entry)
        return NULL;
    return cgroup_get(group_of(n));
}

static const struct cgroup_ops g_fs_cgroup_ops = {
    .modified = news_modified,
    .from_file = group_from_file,
    .may_write_procs = may_write_procs,
};

/* ---- mount ---------------------------------------------------------------------------------- */

static bool node_valid(struct pseudo_node *n)
{
    const struct cgroup_file *cf = n->entry->data;

    return !cgroup_is_dead(group_of(n)) &&
           (!cf || !cf->controller || (cgroup_controllers(group_of(n)) & cf->controller));
}

static int create_super(struct kcgroup *root, struct super **out)
{
    struct pseudo_super *ps = calloc(1, sizeof(*ps));
    int ret;

    if (!ps)
        return -ENOMEM;
    g_cgroup_ops = &g_fs_cgroup_ops;
    ps->magic = CGROUP2_MAGIC;
    ps->objects = &g_cgroup_objects;
    ps->root_object = cgroup_get(root);
    ps->refresh = cgroup_refresh;
    ps->valid = node_valid;
    ret = pseudo_super_setup_take(ps, "cgroup2", &g_dir_entry, out);
    if (ret == 0)
        (*out)->flags |= SUPER_NUMBER_HANDLES; /* systemd reads a group's ID from its handle */
    return ret;
}

static int cgroupfs_mount(const struct fs_type *type, const char *source, const char *options,
                          uint32_t super_flags, struct super **out)
{
    if (!curr()->cgroupns)
        return -EINVAL;
    return create_super(cgroupns_root(curr()->cgroupns), out);
}

const struct fs_type g_fs_cgroup2 = {
    .name = "cgroup2",
    .flags = FS_TYPE_USERNS,
    .mount = cgroupfs_mount,
};
