/* SPDX-License-Identifier: Apache-2.0 */
/* The table of users: one leaf lock, entries go with their last reference. */
#include "sentry/core/user.h"

#include <stdlib.h>

#include "platform/base/lock.h"

static struct mutex g_users_lock = {.rank = RANK_LEAF};
static struct user *g_users; /* g_users_lock */

struct user *user_find_get(lx_uid_t uid)
{
    struct user *u;

    mutex_lock(&g_users_lock);
    HASH_FIND(hh, g_users, &uid, sizeof(uid), u);
    if (u) {
        refs_get(&u->refs);
        goto out;
    }
    u = calloc(1, sizeof(*u));
    if (!u)
        goto out;
    refs_init(&u->refs);
    u->uid = uid;
    HASH_ADD(hh, g_users, uid, sizeof(u->uid), u);
    if (uthash_oom(u->hh)) {
        free(u);
        u = NULL;
    }
out:
    mutex_unlock(&g_users_lock);
    return u;
}

struct user *user_get(struct user *u)
{
    refs_get(&u->refs);
    return u;
}

void user_put(struct user *u)
{
    if (!u)
        return;
    /* The drop to zero happens under the table lock, so a lookup never sees a dying entry. */
    mutex_lock(&g_users_lock);
    if (refs_put(&u->refs)) {
        HASH_DEL(g_users, u);
        free(u);
    }
    mutex_unlock(&g_users_lock);
}
