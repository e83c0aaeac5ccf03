/* SPDX-License-Identifier: Apache-2.0 */
/* System V IPC of the reader's ipc namespace: its limits in /proc/sys/kernel, its objects in /proc/sysvipc. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/kernel/sysvipc.h"
#include "sentry/proc/proc_internal.h"

enum { IDS_MAX = 32768 };

/* ---- limits ---------------------------------------------------------------------------------- */

/* Which limit, and up to what it may be set. */
struct limit_row {
    size_t offset; /* of the _Atomic uint64_t in struct ipc_limits */
    uint64_t max;
};

static _Atomic uint64_t *limit_at(size_t offset)
{
    /* SAFETY: offset is that of an _Atomic uint64_t member, by the tables below. */
    return curr()->ipcns ? (_Atomic uint64_t *)((char *)ipcns_limits(curr()->ipcns) + offset)
                         : NULL;
}

/* Reads a number of at most max at *p, which moves behind it. */
static int parse_limit(char **p, uint64_t max, uint64_t *out)
{
    char *end;

    errno = 0;
    *out = strtoull(*p, &end, 10);
    if (end == *p || (*end && *end != '\n' && *end != ' ' && *end != '\t'))
        return -EINVAL;
    if (errno || strchr(*p, '-') || *out > max)
        return -EINVAL;
    *p = end;
    return 0;
}

int proc_show_ipc_limit(struct pseudo_node *n, struct pbuf *b)
{
    const struct limit_row *row = n->entry->data;
    const _Atomic uint64_t *limit = limit_at(row->offset);

    if (!limit)
        return -EINVAL;
    pbuf_printf(b, "%llu\n", (unsigned long long)*limit);
    return 0;
}

ssize_t proc_store_ipc_limit(struct pseudo_node *n, char *data, size_t size)
{
    const struct limit_row *row = n->entry->data;
    _Atomic uint64_t *limit = limit_at(row->offset);
    uint64_t v;
    int ret = limit ? parse_limit(&data, row->max, &v) : -EINVAL;

    if (ret < 0)
        return ret;
    *limit = v;
    if (row->offset == offsetof(struct ipc_limits, shm_rmid_forced) && v)
        shm_remove_orphans(curr()->ipcns);
    return (ssize_t)size;
}

static const size_t sem_offsets[] = {
    offsetof(struct ipc_limits, semmsl), offsetof(struct ipc_limits, semmns),
    offsetof(struct ipc_limits, semopm), offsetof(struct ipc_limits, semmni)};

int proc_show_sem_limits(struct pseudo_node *n, struct pbuf *b)
{
    for (size_t i = 0; i < ARRAY_COUNT(sem_offsets); i++) {
        const _Atomic uint64_t *limit = limit_at(sem_offsets[i]);

        if (!limit)
            return -EINVAL;
        pbuf_printf(b, "%llu%c", (unsigned long long)*limit, i == 3 ? '\n' : '\t');
    }
    return 0;
}

/* Linux: those that are given, from the first on; the last has a bound of its own. */
ssize_t proc_store_sem_limits(struct pseudo_node *n, char *data, size_t size)
{
    uint64_t v[ARRAY_COUNT(sem_offsets)];
    size_t count = 0;

    if (!curr()->ipcns)
        return -EINVAL;
    for (char *p = data; count < ARRAY_COUNT(sem_offsets); count++) {
        p += strspn(p, " \t\n");
        if (!*p)
            break;
        if (parse_limit(&p, INT_MAX, &v[count]) < 0)
            return -EINVAL;
    }
    if (count == ARRAY_COUNT(sem_offsets) && v[count - 1] > IDS_MAX)
        return -ERANGE;
    for (size_t i = 0; i < count; i++)
        *limit_at(sem_offsets[i]) = v[i];
    return (ssize_t)size;
}

#define LIMIT_ROW(field, high)                                                                     \
    const struct limit_row g_proc_ipc_##field = {offsetof(struct ipc_limits, field), (high)}

LIMIT_ROW(shmmax, UINT64_MAX);
LIMIT_ROW(shmall, UINT64_MAX);
LIMIT_ROW(shmmni, IDS_MAX);
LIMIT_ROW(shm_rmid_forced, 1);
LIMIT_ROW(msgmax, INT_MAX);
LIMIT_ROW(msgmnb, INT_MAX);
LIMIT_ROW(msgmni, IDS_MAX);

/* ---- objects --------------------------------------------------------------------------------- */

static int show_msg(struct pseudo_node *n, struct pbuf *b)
{
    struct sysv_msg_info *list;
    size_t count;
    int ret = curr()->ipcns ? msg_list(curr()->ipcns, &list, &count) : -EINVAL;

    if (ret < 0)
        return ret;
    pbuf_puts(b, "       key      msqid perms      cbytes       qnum lspid lrpid   "
                 "uid   gid  cuid  cgid      stime      rtime      ctime\n");
    for (size_t i = 0; i < count; i++) {
        const struct lx_msqid_ds *d = &list[i].ds;

        pbuf_printf(
            b, "%10d %10d  %4o  %10llu %10llu %5d %5d %5u %5u %5u %5u %10lld %10lld %10lld\n",
            d->perm.key, list[i].id, d->perm.mode, (unsigned long long)d->cbytes,
            (unsigned long long)d->qnum, d->lspid, d->lrpid, d->perm.uid, d->perm.gid, d->perm.cuid,
            d->perm.cgid, (long long)d->stime, (long long)d->rtime, (long long)d->ctime);
    }
    free(list);
    return 0;
}

static int show_sem(struct pseudo_node *n, struct pbuf *b)
{
    struct sysv_sem_info *list;
    size_t count;
    int ret = curr()->ipcns ? sem_list(curr()->ipcns, &list, &count) : -EINVAL;

    if (ret < 0)
        return ret;
    pbuf_puts(b, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      "
                 "ctime\n");
    for (size_t i = 0; i < count; i++) {
        const struct lx_semid_ds *d = &list[i].ds;

        pbuf_printf(b, "%10d %10d  %4o %10llu %5u %5u %5u %5u %10lld %10lld\n", d->perm.key,
                    list[i].id, d->perm.mode, (unsigned long long)d->nsems, d->perm.uid,
                    d->perm.gid, d->perm.cuid, d->perm.cgid, (long long)d->otime,
                    (long long)d->ctime);
    }
    free(list);
    return 0;
}

static int show_shm(struct pseudo_node *n, struct pbuf *b)
{
    struct sysv_shm_info *list;
    size_t count;
    int ret = curr()->ipcns ? shm_list(curr()->ipcns, &list, &count) : -EINVAL;

    if (ret < 0)
        return ret;
    pbuf_puts(b, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid "
                 " cuid  cgid      atime      dtime      ctime                   rss               "
                 "   swap\n");
    for (size_t i = 0; i < count; i++) {
        const struct lx_shmid_ds *d = &list[i].ds;

        pbuf_printf(b,
                    "%10d %10d  %4o %21llu %5d %5d  %5llu %5u %5u %5u %5u %10lld %10lld %10lld "
                    "%21llu %21d\n",
                    d->perm.key, list[i].id, d->perm.mode, (unsigned long long)d->segsz, d->cpid,
                    d->lpid, (unsigned long long)d->nattch, d->perm.uid, d->perm.gid, d->perm.cuid,
                    d->perm.cgid, (long long)d->atime, (long long)d->dtime, (long long)d->ctime,
                    (unsigned long long)list[i].resident, /*swap=*/0);
    }
    free(list);
    return 0;
}

const struct pseudo_entry g_proc_sysvipc_table[] = {
    PSEUDO_FILE("msg", 0444, show_msg),
    PSEUDO_FILE("sem", 0444, show_sem),
    PSEUDO_FILE("shm", 0444, show_shm),
    {0},
};
