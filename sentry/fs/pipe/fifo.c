/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FIFOs: a pipe whose ends meet through an inode. The inode holds the pipe from the first open to
 * its own end; inode->pipe is guarded by the inode's lock. A blocking open waits until an open of
 * the other kind happened after it (r_counter, w_counter), not until one is open: a peer that
 * opened and left at once still lets it go on, as on Linux.
 */
#include <errno.h>
#include <stdlib.h>

#include "sentry/abi/fcntl.h"
#include "sentry/core/restart.h"
#include "sentry/fs/host/hostfile.h"
#include "sentry/fs/pipe/pipe_internal.h"

static int fifo_pipe_get(struct inode *inode, struct pipe **out)
{
    int ret = 0;

    mutex_lock(&inode->lock);
    if (!inode->pipe) {
        struct pipe *p = NULL;

        ret = pipe_new(&p);
        if (ret == 0)
            inode->pipe = p;
    }
    if (ret == 0) {
        *out = inode->pipe;
        refs_get(&(*out)->refs);
    }
    mutex_unlock(&inode->lock);
    return ret;
}

void fifo_inode_destroy(struct inode *inode)
{
    if (inode->pipe)
        pipe_put(inode->pipe);
    inode->pipe = NULL;
}

static int fifo_wait_partner(struct pipe *p, atomic_uint *counter, uint32_t seen)
{
    struct waiter w;
    int ret = 0;

    waiter_init(&w, WAKE_IN | WAKE_OUT);
    waitq_add(&p->wq, &w);
    while (ret == 0 && atomic_load(counter) == seen)
        ret = task_block(NO_DEADLINE);
    waitq_remove(&p->wq, &w);
    return atomic_load(counter) != seen ? 0 : ret;
}

int fifo_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out)
{
    uint32_t access = flags & LX_O_ACCMODE;
    bool nonblock = flags & LX_O_NONBLOCK;
    /* Linux: a pipe opened again through /proc/PID/fd never waits for the other side. */
    bool named = !vfs_super_is_anon(inode->super);
    struct pipe_file *pf = NULL;
    struct pipe *p = NULL;
    uint32_t seen_r, seen_w;
    bool alone;
    int ret;

    if (access > LX_O_RDWR)
        return -EINVAL;
    if (inode_is_hostfile(inode))
        return hostfile_reopen(inode, flags, out);
    ret = fifo_pipe_get(inode, &p);
    if (ret < 0)
        return ret;
    if (named && access == LX_O_WRONLY && nonblock && atomic_load(&p->readers) == 0) {
        ret = -ENXIO;
        goto out;
    }
    mutex_lock(&p->lock);
    seen_r = atomic_load(&p->r_counter);
    seen_w = atomic_load(&p->w_counter);
    ret = pipe_file_new(p, flags, &pf);
    if (ret == 0 && access != LX_O_WRONLY)
        atomic_fetch_add(&p->r_counter, 1);
    if (ret == 0 && access != LX_O_RDONLY)
        atomic_fetch_add(&p->w_counter, 1);
    /* Before the wake: a peer that waited for us may open, write and leave at once. */
    alone = (access == LX_O_RDONLY && atomic_load(&p->writers) == 0) ||
            (access == LX_O_WRONLY && atomic_load(&p->readers) == 0);
    mutex_unlock(&p->lock);
    if (ret < 0)
        goto out;
    waitq_wake(&p->wq, WAKE_IN | WAKE_OUT);
    if (named && alone && access == LX_O_RDONLY) {
        if (nonblock)
            pf->seen_writers = seen_w + 1;
        else
            ret = fifo_wait_partner(p, &p->w_counter, seen_w);
    } else if (named && alone) {
        ret = fifo_wait_partner(p, &p->r_counter, seen_r);
    }
    if (ret < 0)
        g_pipe_file_ops.release(&pf->file); /* nobody else has seen it */
    else
        *out = &pf->file;
out:
    pipe_put(p);
    return ret;
}
