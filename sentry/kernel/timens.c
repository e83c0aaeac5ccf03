/* SPDX-License-Identifier: Apache-2.0 */
/* See timens.h. A namespace is frozen before its page is made, so the page has the final offsets. */
#include "sentry/kernel/timens.h"

#include <errno.h>
#include <stdlib.h>

#include "platform/base/lock.h"
#include "platform/base/refs.h"
#include "sentry/abi/time.h"
#include "sentry/core/clock.h"
#include "sentry/core/curr.h"
#include "sentry/core/pidns.h"
#include "sentry/core/userns.h"
#include "sentry/loader/vdso.h"
#include "sentry/mm/mm.h"

/* What a ktime_t of Linux holds, in seconds. */
#define KTIME_SEC_MAX ((int64_t)(INT64_MAX / (int64_t)NSEC_PER_SEC))

enum { MONOTONIC, BOOTTIME, OFFSET_COUNT };

/* Lifetime: refcounted. Keys: I immutable; n ->lock, but who is in it may read the offsets without */
struct timens {
    struct refs refs;
    struct userns *owner;                      /* I, +1 */
    uint64_t inum;                             /* I */
    struct mutex lock;                         /* rank LEAF */
    struct timens_offset offset[OFFSET_COUNT]; /* n */
    bool frozen;                               /* n: the offsets are final */
    struct mappable *vvar;                     /* n, +1: made when somebody enters */
};

static struct timens *g_timens_root;

static int timens_new(struct userns *owner, struct timens **out)
{
    struct timens *ns = calloc(1, sizeof(*ns));

    if (!ns)
        return -ENOMEM;
    refs_init(&ns->refs);
    mutex_init(&ns->lock, RANK_LEAF);
    ns->owner = userns_get(owner);
    ns->inum = ns_inum_new();
    ns->offset[MONOTONIC].clockid = LX_CLOCK_MONOTONIC;
    ns->offset[BOOTTIME].clockid = LX_CLOCK_BOOTTIME;
    *out = ns;
    return 0;
}

int timens_init(void)
{
    int ret = g_timens_root ? 0 : timens_new(userns_init_get(), &g_timens_root);

    if (ret == 0)
        g_timens_root->frozen = true;
    return ret;
}

struct timens *timens_root_get(void)
{
    return timens_get(g_timens_root);
}

int timens_copy(struct timens *from, struct userns *owner, struct timens **out)
{
    int ret = timens_new(owner, out);

    if (ret == 0)
        timens_offsets(from, (*out)->offset);
    return ret;
}

struct timens *timens_get(struct timens *ns)
{
    if (ns)
        refs_get(&ns->refs);
    return ns;
}

void timens_put(struct timens *ns)
{
    if (!ns || !refs_put(&ns->refs))
        return;
    if (ns->vvar)
        ns->vvar->ops->put(ns->vvar);
    userns_put(ns->owner);
    mutex_destroy(&ns->lock);
    free(ns);
}

struct userns *timens_owner(const struct timens *ns)
{
    return ns->owner;
}

uint64_t timens_inum(const struct timens *ns)
{
    return ns->inum;
}

/* ---- entering -------------------------------------------------------------------------------- */

static int64_t offset_ns(const struct timens_offset *o)
{
    return o->sec * (int64_t)NSEC_PER_SEC + o->nsec;
}

int timens_vvar(struct timens *ns, struct mappable **out)
{
    struct mappable *fresh;
    int ret;

    *out = NULL;
    if (!ns || ns == g_timens_root)
        return 0;
    mutex_lock(&ns->lock);
    ns->frozen = true;
    *out = ns->vvar;
    mutex_unlock(&ns->lock);
    if (*out)
        return 0;
    ret =
        vdso_vvar_new(offset_ns(&ns->offset[MONOTONIC]), offset_ns(&ns->offset[BOOTTIME]), &fresh);
    if (ret < 0)
        return ret;
    mutex_lock(&ns->lock);
    if (!ns->vvar) {
        ns->vvar = fresh;
        fresh = NULL;
    }
    *out = ns->vvar;
    mutex_unlock(&ns->lock);
    if (fresh)
        fresh->ops->put(fresh); /* somebody else was faster */
    return 0;
}

int timens_enter(struct timens *ns, struct mm *mm)
{
    struct mappable *vvar;
    int ret = timens_vvar(ns, &vvar);

    return ret < 0 ? ret : vdso_show_vvar(mm, vvar);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

int64_t timens_shift(int clockid)
{
    const struct timens *ns = curr()->timens;

    if (!ns || ns == g_timens_root)
        return 0;
    switch (clockid) {
    case LX_CLOCK_MONOTONIC:
    case LX_CLOCK_MONOTONIC_RAW:
    case LX_CLOCK_MONOTONIC_COARSE:
        return offset_ns(&ns->offset[MONOTONIC]);
    case LX_CLOCK_BOOTTIME:
    case LX_CLOCK_BOOTTIME_ALARM:
        return offset_ns(&ns->offset[BOOTTIME]);
    default:
        return 0;
    }
}

uint64_t timens_to_host(int clockid, uint64_t ns)
{
    int64_t shift = timens_shift(clockid);

    if (shift < 0)
        return MIN(ns + (uint64_t)-shift, (uint64_t)INT64_MAX);
    return ns > (uint64_t)shift ? ns - (uint64_t)shift : 0;
}

/* ---- offsets --------------------------------------------------------------------------------- */

void timens_offsets(struct timens *ns, struct timens_offset out[2])
{
    mutex_lock(&ns->lock);
    out[MONOTONIC] = ns->offset[MONOTONIC];
    out[BOOTTIME] = ns->offset[BOOTTIME];
    mutex_unlock(&ns->lock);
}

/* Linux: half of what a clock can hold is left to the time that passes. */
static int check_offset(const struct timens_offset *o)
{
    uint64_t now = o->clockid == LX_CLOCK_MONOTONIC ? clock_monotonic() : clock_boottime();
    int64_t shown;

    if (o->sec > KTIME_SEC_MAX || o->sec < -KTIME_SEC_MAX)
        return -ERANGE;
    shown = o->sec + (int64_t)((now + o->nsec) / NSEC_PER_SEC);
    return shown < 0 || shown > KTIME_SEC_MAX / 2 ? -ERANGE : 0;
}

int timens_set_offsets(struct timens *ns, const struct timens_offset *o, size_t count)
{
    int ret = 0;

    for (size_t i = 0; i < count && ret == 0; i++)
        ret = check_offset(&o[i]);
    if (ret < 0)
        return ret;
    mutex_lock(&ns->lock);
    if (ns->frozen)
        ret = -EACCES;
    for (size_t i = 0; i < count && ret == 0; i++)
        ns->offset[o[i].clockid == LX_CLOCK_BOOTTIME ? BOOTTIME : MONOTONIC] = o[i];
    mutex_unlock(&ns->lock);
    return ret;
}
