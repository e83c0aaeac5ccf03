/* SPDX-License-Identifier: Apache-2.0 */
/* Inside fs/landlock: rules and domains. */
#pragma once

#include "sentry/fs/landlock/landlock.h"
#include "sentry/fs/security.h"
#include "sentry/fs/vfs_internal.h"

#define LANDLOCK_LAYERS_MAX 16u
/* Of one ruleset. Linux has no such bound; a rule pins a name of the cache here. */
#define LANDLOCK_RULES_MAX 16384u
/* Of all rulesets and domains: more is -ENOMEM, so that rules cannot fill the sentry. */
#define LANDLOCK_ALL_RULES_MAX 262144u

struct landlock_path_rule {
    const struct inode *key; /* of dentry */
    struct dentry *dentry;   /* +1: keeps the inode's identity */
    uint32_t allowed;
    UT_hash_handle hh;
};

struct landlock_port_rule {
    uint32_t key;
    uint32_t allowed;
    UT_hash_handle hh;
};

struct landlock_rules {
    struct lx_landlock_ruleset_attr handled;
    struct landlock_path_rule *paths; /* uthash by inode */
    struct landlock_port_rule *ports; /* uthash by port */
};

/* One layer on top of its parents. Lifetime: refcounted by credentials and by the layers on top of
 * it; immutable. */
struct landlock_domain {
    struct cred_security sec;       /* must be first */
    struct landlock_domain *parent; /* +1 or NULL */
    uint32_t depth;                 /* layers below and including it */
    struct landlock_rules rules;
    struct list grave;
};

static inline struct landlock_domain *landlock_domain_of(const struct cred *c)
{
    return c && c->security ? container_of(c->security, struct landlock_domain, sec) : NULL;
}

int MUST_CHECK landlock_rules_add_path(struct landlock_rules *r, struct dentry *d,
                                       uint32_t allowed);
int MUST_CHECK landlock_rules_add_port(struct landlock_rules *r, uint32_t port, uint32_t allowed);
/* Holds no lock. */
void landlock_rules_free(struct landlock_rules *r);
