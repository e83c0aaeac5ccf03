/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/boot/volumes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/lock.h"
#include "sentry/fs/mount.h"

/* Immutable once in the list, which never loses one. */
struct volume {
    struct list node;
    struct super *super; /* +1 */
    char name[];
};

static struct {
    struct mutex lock; /* rank CONTROL; nothing blocks under it */
    struct list volumes;
} g_volumes = {.lock = {.rank = RANK_CONTROL}, .volumes = LIST_INIT(g_volumes.volumes)};

static struct volume *find_locked(const char *name)
{
    struct volume *v;

    list_for_each_entry(v, &g_volumes.volumes, node) {
        if (!strcmp(v->name, name))
            return v;
    }
    return NULL;
}

/* The one in the list, which may be somebody else's by now. */
static struct volume *insert(struct volume *fresh)
{
    struct volume *v;

    mutex_lock(&g_volumes.lock);
    v = find_locked(fresh->name);
    if (!v) {
        list_add_tail(&g_volumes.volumes, &fresh->node);
        v = fresh;
    }
    mutex_unlock(&g_volumes.lock);
    return v;
}

int volume_get(const char *name, const struct fs_type *fs, const char *source, const char *data,
               struct super **out)
{
    struct volume *v, *fresh;
    int ret;

    mutex_lock(&g_volumes.lock);
    v = find_locked(name);
    mutex_unlock(&g_volumes.lock);
    if (!v) {
        size_t size = strlen(name) + 1;

        fresh = malloc(sizeof(*fresh) + size);
        if (!fresh)
            return -ENOMEM;
        memcpy(fresh->name, name, size);
        ret = fs->mount(fs, source, data, 0, &fresh->super);
        v = ret < 0 ? NULL : insert(fresh);
        if (v != fresh) {
            if (v)
                super_put(fresh->super);
            free(fresh);
        }
        if (!v)
            return ret;
    }
    *out = super_get(v->super);
    return 0;
}
