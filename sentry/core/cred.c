/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials: immutable once published, so readers need a reference and no lock. */
#include "sentry/core/cred.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/userns.h"

static struct cred g_kernel_cred = {
    .refs = REFS_INIT,
    .cap_permitted = LX_CAP_ALL,
    .cap_effective = LX_CAP_ALL,
    .cap_bounding = LX_CAP_ALL,
    .userns = &g_init_userns,
};

struct cred *cred_kernel(void)
{
    return &g_kernel_cred;
}

struct cred_security *cred_security_get(struct cred_security *s)
{
    refs_get(&s->refs);
    return s;
}

void cred_security_put(struct cred_security *s)
{
    if (refs_put(&s->refs))
        s->destroy(s);
}

static int group_cmp(const void *a, const void *b)
{
    lx_gid_t x, y;

    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

int cred_copy_groups(const struct cred *old, const lx_gid_t *groups, size_t count,
                     struct cred **out)
{
    struct cred *c = malloc(sizeof(*c) + count * sizeof(c->groups[0]));

    if (!c)
        return -ENOMEM;
    refs_init(&c->refs); /* old's count may change meanwhile */
    memcpy((char *)c + sizeof(c->refs), (const char *)old + sizeof(c->refs),
           sizeof(*c) - sizeof(c->refs));
    c->userns = userns_get(old->userns);
    if (c->security)
        cred_security_get(c->security);
    c->group_count = count;
    if (count) {
        memcpy(c->groups, groups, count * sizeof(c->groups[0]));
        qsort(c->groups, count, sizeof(c->groups[0]), group_cmp);
    }
    *out = c;
    return 0;
}

int cred_copy(const struct cred *old, struct cred **out)
{
    return cred_copy_groups(old, old->groups, old->group_count, out);
}

struct cred *cred_get(const struct cred *c)
{
    /* SAFETY: creds are handed out const because they are immutable; only the count changes. */
    struct cred *mut = (struct cred *)(uintptr_t)c;

    if (mut != &g_kernel_cred)
        refs_get(&mut->refs);
    return mut;
}

void cred_put(struct cred *c)
{
    if (!c || c == &g_kernel_cred || !refs_put(&c->refs))
        return;
    userns_put(c->userns);
    if (c->security)
        cred_security_put(c->security);
    free(c);
}

bool cred_in_group(const struct cred *c, lx_gid_t gid)
{
    return gid == c->fsgid || (c->group_count && bsearch(&gid, c->groups, c->group_count,
                                                         sizeof(c->groups[0]), group_cmp));
}

bool cred_ns_capable(const struct cred *c, const struct userns *ns, int cap)
{
    for (;; ns = ns->parent) {
        if (ns == c->userns)
            return c->cap_effective & LX_CAP_BIT(cap);
        if (ns->level <= c->userns->level)
            return false;
        /* The owner of a namespace, in its parent, has all capabilities in it. */
        if (ns->parent == c->userns && ns->owner_uid == c->euid)
            return true;
    }
}

bool cred_capable(const struct cred *c, int cap)
{
    return cred_ns_capable(c, &g_init_userns, cap);
}
