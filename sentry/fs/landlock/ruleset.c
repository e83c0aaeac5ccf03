/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rulesets and the making of domains.
 *
 * A ruleset is a file that rules are added to. landlock_restrict_self(2) freezes a copy of it as
 * one more layer of the caller's domain, so what is added later does not count. Domains form a
 * tree: a layer knows the layers that it was put on, and being in the same or a deeper place of
 * that tree is what scopes and tracing ask about.
 *
 * A domain may end wherever credentials are put, also under locks; what its rules hold is put
 * later, by landlock_reap.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/fs/landlock/landlock_internal.h"

/* Keys: r ->lock */
struct landlock_ruleset {
    struct file file;
    struct mutex lock;           /* rank LEAF */
    struct landlock_rules rules; /* r */
};

static atomic_uint g_rules; /* a: rules of all rulesets and domains */

static struct mutex g_dead_lock = {.rank = RANK_LEAF};
static struct list g_dead = LIST_INIT(g_dead); /* g_dead_lock: struct landlock_domain.grave */

/* Memory for one rule, counted; NULL. */
static void *rule_alloc(size_t size)
{
    void *rule = NULL;

    if (atomic_fetch_add(&g_rules, 1) < LANDLOCK_ALL_RULES_MAX)
        rule = calloc(1, size);
    if (!rule)
        atomic_fetch_sub(&g_rules, 1);
    return rule;
}

static void rule_free(void *rule)
{
    atomic_fetch_sub(&g_rules, 1);
    free(rule);
}

/* ---- rules ---------------------------------------------------------------------------------- */

int landlock_rules_add_path(struct landlock_rules *r, struct dentry *d, uint32_t allowed)
{
    const struct inode *key = d->inode;
    struct landlock_path_rule *rule;

    HASH_FIND(hh, r->paths, &key, sizeof(key), rule);
    if (rule) {
        rule->allowed |= allowed;
        return 0;
    }
    if (HASH_COUNT(r->paths) >= LANDLOCK_RULES_MAX)
        return -E2BIG;
    rule = rule_alloc(sizeof(*rule));
    if (!rule)
        return -ENOMEM;
    rule->key = key;
    rule->allowed = allowed;
    HASH_ADD(hh, r->paths, key, sizeof(rule->key), rule);
    if (uthash_oom(rule->hh)) {
        rule_free(rule);
        return -ENOMEM;
    }
    rule->dentry = dentry_get(d);
    return 0;
}

int landlock_rules_add_port(struct landlock_rules *r, uint32_t port, uint32_t allowed)
{
    struct landlock_port_rule *rule;

    HASH_FIND(hh, r->ports, &port, sizeof(port), rule);
    if (rule) {
        rule->allowed |= allowed;
        return 0;
    }
    rule = rule_alloc(sizeof(*rule));
    if (!rule)
        return -ENOMEM;
    rule->key = port;
    rule->allowed = allowed;
    HASH_ADD(hh, r->ports, key, sizeof(rule->key), rule);
    if (uthash_oom(rule->hh)) {
        rule_free(rule);
        return -ENOMEM;
    }
    return 0;
}

void landlock_rules_free(struct landlock_rules *r)
{
    struct landlock_path_rule *path, *next_path;
    struct landlock_port_rule *port, *next_port;

    HASH_ITER(hh, r->paths, path, next_path) {
        HASH_DEL(r->paths, path);
        dentry_put(path->dentry);
        rule_free(path);
    }
    HASH_ITER(hh, r->ports, port, next_port) {
        HASH_DEL(r->ports, port);
        rule_free(port);
    }
}

static int rules_copy(const struct landlock_rules *from, struct landlock_rules *to)
{
    struct landlock_path_rule *path;
    struct landlock_port_rule *port;
    int ret = 0;

    to->handled = from->handled;
    for (path = from->paths; path && ret == 0; path = path->hh.next)
        ret = landlock_rules_add_path(to, path->dentry, path->allowed);
    for (port = from->ports; port && ret == 0; port = port->hh.next)
        ret = landlock_rules_add_port(to, port->key, port->allowed);
    return ret;
}

/* ---- rulesets ------------------------------------------------------------------------------- */

static void ruleset_release(struct file *f)
{
    struct landlock_ruleset *rs = container_of(f, struct landlock_ruleset, file);

    landlock_rules_free(&rs->rules);
    mutex_destroy(&rs->lock);
    file_destroy_generic(f);
    free(rs);
}

static const struct file_ops ruleset_file_ops = {.release = ruleset_release};

bool landlock_is_ruleset(const struct file *f)
{
    return f->ops == &ruleset_file_ops;
}

static struct landlock_ruleset *ruleset_of(struct file *f)
{
    return landlock_is_ruleset(f) ? container_of(f, struct landlock_ruleset, file) : NULL;
}

int landlock_ruleset_new(const struct lx_landlock_ruleset_attr *attr, struct file **out)
{
    struct landlock_ruleset *rs;
    int ret;

    if (!attr->handled_fs && !attr->handled_net && !attr->scoped)
        return -ENOMSG;
    rs = calloc(1, sizeof(*rs));
    if (!rs)
        return -ENOMEM;
    rs->rules.handled = *attr;
    mutex_init(&rs->lock, RANK_LEAF);
    file_init(&rs->file, &ruleset_file_ops, LX_O_RDWR);
    ret = file_set_anon(&rs->file, "anon_inode:[landlock-ruleset]", 0600, NULL);
    if (ret < 0)
        file_put(&rs->file);
    else
        *out = &rs->file;
    return ret;
}

int landlock_check_rights(struct file *f, bool net, uint64_t allowed)
{
    struct landlock_ruleset *rs = ruleset_of(f);
    uint64_t handled;

    if (!rs)
        return -EBADFD;
    if (!allowed)
        return -ENOMSG;
    handled = net ? rs->rules.handled.handled_net : rs->rules.handled.handled_fs;
    return allowed & ~handled ? -EINVAL : 0;
}

int landlock_add_path(struct file *f, const struct path *p, uint64_t allowed)
{
    struct landlock_ruleset *rs = ruleset_of(f);
    int ret = landlock_check_rights(f, /*net=*/false, allowed);

    if (ret < 0)
        return ret;
    if (!dentry_is_dir(p->dentry) && (allowed & ~(uint64_t)LX_LL_FS_OF_FILES))
        return -EINVAL;
    mutex_lock(&rs->lock);
    ret = landlock_rules_add_path(&rs->rules, p->dentry, (uint32_t)allowed);
    mutex_unlock(&rs->lock);
    return ret;
}

int landlock_add_port(struct file *f, uint64_t port, uint64_t allowed)
{
    struct landlock_ruleset *rs = ruleset_of(f);
    int ret = landlock_check_rights(f, /*net=*/true, allowed);

    if (ret < 0)
        return ret;
    if (port > UINT16_MAX)
        return -EINVAL;
    mutex_lock(&rs->lock);
    ret = landlock_rules_add_port(&rs->rules, (uint32_t)port, (uint32_t)allowed);
    mutex_unlock(&rs->lock);
    return ret;
}

/* ---- domains -------------------------------------------------------------------------------- */

static void domain_bury(struct cred_security *s)
{
    struct landlock_domain *d = container_of(s, struct landlock_domain, sec);

    mutex_lock(&g_dead_lock);
    list_add_tail(&g_dead, &d->grave);
    mutex_unlock(&g_dead_lock);
    atomic_store(&g_dcache.want_reap, true);
}

void landlock_reap(void)
{
    for (;;) {
        struct landlock_domain *d = NULL;

        mutex_lock(&g_dead_lock);
        if (!list_empty(&g_dead)) {
            d = list_first_entry(&g_dead, struct landlock_domain, grave);
            list_del(&d->grave);
        }
        mutex_unlock(&g_dead_lock);
        if (!d)
            return;
        landlock_rules_free(&d->rules);
        if (d->parent)
            cred_security_put(&d->parent->sec);
        free(d);
    }
}

static int domain_new(struct landlock_ruleset *rs, struct landlock_domain *parent,
                      struct landlock_domain **out)
{
    struct landlock_domain *d;
    int ret;

    if (parent && parent->depth >= LANDLOCK_LAYERS_MAX)
        return -E2BIG;
    d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    mutex_lock(&rs->lock);
    ret = rules_copy(&rs->rules, &d->rules);
    mutex_unlock(&rs->lock);
    if (ret < 0) {
        landlock_rules_free(&d->rules);
        free(d);
        return ret;
    }
    refs_init(&d->sec.refs);
    d->sec.destroy = domain_bury;
    if (parent)
        cred_security_get(&parent->sec);
    d->parent = parent;
    d->depth = parent ? parent->depth + 1 : 1;
    *out = d;
    return 0;
}

int landlock_restrict(struct file *f, struct cred **out)
{
    struct landlock_ruleset *rs = ruleset_of(f);
    struct landlock_domain *d;
    struct cred *c;
    int ret;

    if (!rs)
        return -EBADFD;
    ret = domain_new(rs, landlock_domain_of(curr()->cred), &d);
    if (ret < 0)
        return ret;
    ret = cred_copy(curr()->cred, &c);
    if (ret < 0) {
        cred_security_put(&d->sec);
        return ret;
    }
    if (c->security)
        cred_security_put(c->security);
    c->security = &d->sec;
    *out = c;
    return 0;
}
