/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounting a tree; which inode stands for which host object; which of them have a fid.
 *
 * Two names of one host object are one inode: the table maps (device, inode) of the host to it.
 * That key is only good while the object cannot go away under it, and it cannot: an object that we
 * know has a name that nobody else removes (exclusive), or is compared again on each use (shared),
 * and an unlinked one in use is held by its fid or its donated descriptor.
 *
 * Fids cost the gofer a descriptor each, so inodes that can be walked to again (parent and name are
 * known) lose theirs, least recently used first, when there are too many.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/base/log.h"
#include "platform/host/proc.h"
#include "sentry/core/clock.h"
#include "sentry/fs/gofer/gofer_internal.h"

/* ---- identity -------------------------------------------------------------------------------- */

static struct gofer_inode **bucket(struct gofer_super *gs, uint64_t dev, uint64_t ino)
{
    uint64_t h = (ino ^ dev * 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;

    return &gs->table[(h >> 32) & (GI_BUCKETS - 1)];
}

uint64_t gs_guest_ino(struct gofer_super *gs, uint64_t dev, uint64_t ino)
{
    uint64_t index = 0;

    mutex_lock(&gs->lock);
    while (index < gs->dev_count && gs->devs[index] != dev)
        index++;
    if (index == gs->dev_count && index < ARRAY_COUNT(gs->devs))
        gs->devs[gs->dev_count++] = dev;
    mutex_unlock(&gs->lock);
    return ino ^ (index << 48);
}

static lx_dev_t dev_from_wire(uint64_t dev)
{
    return lx_mkdev((uint32_t)(dev >> 32) & 0xfffu, (uint32_t)dev & 0xfffffu);
}

static struct fs_time time_from_wire(struct gp_time t)
{
    return (struct fs_time){.sec = t.sec, .nsec = t.nsec};
}

void gi_set_attr(struct gofer_inode *gi, const struct gp_attr *a)
{
    struct fs_attr *to = &gi->inode.attr;

    to->mode = a->mode;
    to->nlink = a->nlink;
    to->uid = a->uid;
    to->gid = a->gid;
    to->rdev = dev_from_wire(a->rdev);
    to->size = a->size;
    to->blocks = a->blocks;
    to->blksize = a->blksize ? a->blksize : 4096;
    inode_times_lock(&gi->inode);
    to->atime = time_from_wire(a->atime);
    to->mtime = time_from_wire(a->mtime);
    to->ctime = time_from_wire(a->ctime);
    if (a->flags & GP_ATTR_BTIME) {
        to->btime = time_from_wire(a->btime);
        to->mask |= ATTR_BTIME;
    }
    inode_times_unlock(&gi->inode);
}

static const struct inode_ops *ops_for(uint32_t mode)
{
    switch (mode & LX_S_IFMT) {
    case LX_S_IFDIR:
        return &gofer_dir_ops;
    case LX_S_IFREG:
        return &gofer_file_ops_inode;
    case LX_S_IFLNK:
        return &gofer_link_ops;
    default:
        return &gofer_other_ops;
    }
}

static char *copy_text(const char *data, size_t len)
{
    char *s = malloc(len + 1);

    if (s) {
        memcpy(s, data, len);
        s[len] = '\0';
    }
    return s;
}

static struct gofer_inode *gi_new(struct gofer_super *gs, struct gofer_inode *parent,
                                  const char *name, size_t len, const struct gp_attr *attr,
                                  const struct gp_str *target)
{
    struct gofer_inode *gi = calloc(1, sizeof(*gi));

    if (!gi)
        return NULL;
    gi->name = parent ? copy_text(name, len) : NULL;
    if (parent && !gi->name) {
        free(gi);
        return NULL;
    }
    inode_init(&gi->inode, &gs->super, ops_for(attr->mode), attr->mode);
    gi->gs = gs;
    gi->host_dev = attr->dev;
    gi->host_ino = attr->ino;
    gi->fid = GP_FID_NONE;
    list_init(&gi->fid_link);
    list_init(&gi->data_link);
    gi_set_attr(gi, attr);
    gi->inode.attr.ino = gs_guest_ino(gs, attr->dev, attr->ino);
    gi->inode.attr.dev = gs->super.dev;
    if (LX_S_ISREG(attr->mode))
        mappable_init(&gi->inode.map, &gofer_mappable_ops);
    if (LX_S_ISLNK(attr->mode)) {
        gi->inode.flags |= INODE_CACHE_LINK;
        if (target)
            gi->inode.link = copy_text(target->data, target->len);
    }
    if (parent) {
        gi->parent = parent;
        inode_get(&parent->inode);
    }
    return gi;
}

static void fid_attach_locked(struct gofer_super *gs, struct gofer_inode *gi, uint32_t fid)
    REQUIRES(gs->lock)
{
    gi->fid = fid;
    list_add(&gs->fids, &gi->fid_link);
    gs->fid_count++;
}

static uint32_t fid_detach_locked(struct gofer_super *gs, struct gofer_inode *gi) REQUIRES(gs->lock)
{
    uint32_t fid = gi->fid;

    gi->fid = GP_FID_NONE;
    list_del(&gi->fid_link);
    gs->fid_count--;
    return fid;
}

/* The live inode of that host object, +1, or NULL. */
static struct gofer_inode *find_locked(struct gofer_super *gs, uint64_t dev, uint64_t ino,
                                       uint32_t mode) REQUIRES(gs->lock)
{
    for (struct gofer_inode *gi = *bucket(gs, dev, ino); gi; gi = gi->hash_next) {
        if (gi->host_ino == ino && gi->host_dev == dev &&
            ((gi->inode.attr.mode ^ mode) & LX_S_IFMT) == 0 && refs_get_not_zero(&gi->inode.refs))
            return gi;
    }
    return NULL;
}

/* Refreshes a found inode: in a shared tree the host's word is newer, in an exclusive one ours is.
 */
static void refresh(struct gofer_inode *gi, const struct gp_attr *attr)
{
    if (!gi->gs->exclusive && !gi->dirty)
        gi_set_attr(gi, attr);
}

int gi_obtain(struct gofer_super *gs, struct gofer_inode *parent, const char *name, size_t len,
              const struct gp_attr *attr, const struct gp_str *target, uint32_t fid_take,
              struct gofer_inode **out)
{
    struct gofer_inode *gi, *made = NULL;
    int ret = 0;

    mutex_lock(&gs->lock);
    gi = find_locked(gs, attr->dev, attr->ino, attr->mode);
    if (!gi) {
        mutex_unlock(&gs->lock);
        made = gi_new(gs, parent, name, len, attr, target);
        mutex_lock(&gs->lock);
        gi = find_locked(gs, attr->dev, attr->ino, attr->mode);
        if (!gi && made) {
            struct gofer_inode **b = bucket(gs, attr->dev, attr->ino);

            made->hash_next = *b;
            *b = made;
            gi = made;
            made = NULL;
        }
    }
    if (gi && gi->fid == GP_FID_NONE && fid_take != GP_FID_NONE) {
        fid_attach_locked(gs, gi, fid_take);
        fid_take = GP_FID_NONE;
    }
    mutex_unlock(&gs->lock);
    if (made)
        inode_put(&made->inode);
    if (fid_take != GP_FID_NONE)
        session_fid_clunk(gs->session, fid_take, /*now=*/false);
    if (gi)
        refresh(gi, attr);
    else
        ret = -ENOMEM;
    *out = gi;
    return ret;
}

static void gi_destroy(struct inode *inode)
{
    struct gofer_inode *gi = gofer_inode(inode), **p;
    struct gofer_super *gs = gi->gs;
    struct gofer_inode *parent;
    uint32_t fid = GP_FID_NONE;

    gi_data_drop(gi);
    gi_listing_drop(gi);
    mutex_lock(&gs->lock);
    for (p = bucket(gs, gi->host_dev, gi->host_ino); *p && *p != gi;)
        p = &(*p)->hash_next;
    if (*p)
        *p = gi->hash_next;
    if (gi->fid != GP_FID_NONE)
        fid = fid_detach_locked(gs, gi);
    parent = gi->parent;
    mutex_unlock(&gs->lock);
    if (fid != GP_FID_NONE)
        session_fid_clunk(gs->session, fid, /*now=*/inode->attr.nlink == 0);
    free(gi->name);
    inode_destroy_generic(inode);
    free(gi);
    if (parent)
        inode_put(&parent->inode);
}

/* ---- fids ------------------------------------------------------------------------------------ */

int gs_fid_alloc(struct gofer_super *gs, uint32_t *out)
{
    for (int tries = 0; tries < 2; tries++) {
        uint32_t victims[32], count = 0;
        struct list *pos, *prev;
        bool room;

        mutex_lock(&gs->lock);
        room = tries > 0 || gs->fid_count < gs->fid_limit;
        mutex_unlock(&gs->lock);
        if (room && session_fid_alloc(gs->session, out) == 0)
            return 0;
        mutex_lock(&gs->lock);
        for (pos = gs->fids.prev; pos != &gs->fids && count < ARRAY_COUNT(victims); pos = prev) {
            struct gofer_inode *gi = list_entry(pos, struct gofer_inode, fid_link);

            prev = pos->prev;
            if (gi->fid_pins == 0 && gi->name)
                victims[count++] = fid_detach_locked(gs, gi);
        }
        mutex_unlock(&gs->lock);
        for (uint32_t i = 0; i < count; i++)
            session_fid_clunk(gs->session, victims[i], /*now=*/i + 1 == count);
    }
    return -EMFILE;
}

/* Walks to the object again by its parent and name. A fid that is told back is bound, even when an
 * error is. */
static int rebind(struct gofer_inode *gi, struct gi_extra *extra, uint32_t *out_fid)
{
    struct gofer_super *gs = gi->gs;
    struct gofer_inode *parent;
    struct gofer_slot *c;
    struct gp_attr attr;
    char name[LX_NAME_MAX + 1];
    uint32_t dir_fid, fid;
    int ret;

    mutex_lock(&gs->lock);
    parent = gi->name ? gi->parent : NULL;
    if (parent) {
        inode_get(&parent->inode);
        memcpy(name, gi->name, strlen(gi->name) + 1);
    }
    mutex_unlock(&gs->lock);
    if (!parent)
        return -ESTALE;
    ret = gi_pin(parent, &dir_fid);
    if (ret < 0)
        goto out_put;
    ret = gs_fid_alloc(gs, &fid);
    if (ret < 0)
        goto out_unpin;
    ret = session_begin(gs->session, GP_WALK, &c);
    if (ret < 0)
        goto out_fid;
    wbuf_u32(&c->out, dir_fid);
    wbuf_u16(&c->out, extra ? extra->flags : 0);
    wbuf_u16(&c->out, 1);
    wbuf_u32(&c->out, fid);
    gp_put_string(&c->out, name, strlen(name));
    ret = session_call(c);
    if (ret == 0) {
        uint16_t done = rbuf_u16(&c->in), stop = rbuf_u16(&c->in);
        int32_t error = (int32_t)rbuf_u32(&c->in);

        if (done == 0) {
            ret = stop == GP_STOP_MISSING || error >= 0 || error < -4095 ? -ESTALE : error;
            ret = session_end(c, ret);
            goto out_fid;
        }
        gp_get_attr(&c->in, &attr);
        if (LX_S_ISLNK(attr.mode))
            (void)gp_get_string(&c->in, GP_TARGET_MAX);
        if (attr.dev != gi->host_dev || attr.ino != gi->host_ino)
            ret = -ESTALE;
        else if (extra)
            ret = extra->take(extra, c);
        *out_fid = fid;
        ret = session_end(c, ret);
        goto out_unpin;
    }
    ret = session_end(c, ret);
out_fid:
    session_fid_unused(gs->session, fid);
out_unpin:
    gi_unpin(parent);
out_put:
    inode_put(&parent->inode);
    return ret;
}

/* The pinned fid, or GP_FID_NONE. Gives fid_take to gi when it has none. */
static uint32_t try_pin(struct gofer_inode *gi, uint32_t fid_take)
{
    struct gofer_super *gs = gi->gs;
    uint32_t fid;

    mutex_lock(&gs->lock);
    if (gi->fid == GP_FID_NONE && fid_take != GP_FID_NONE) {
        fid_attach_locked(gs, gi, fid_take);
        fid_take = GP_FID_NONE;
    }
    fid = gi->fid;
    if (fid != GP_FID_NONE) {
        gi->fid_pins++;
        list_del(&gi->fid_link);
        list_add(&gs->fids, &gi->fid_link);
    }
    mutex_unlock(&gs->lock);
    if (fid_take != GP_FID_NONE)
        session_fid_clunk(gs->session, fid_take, /*now=*/false);
    return fid;
}

int gi_pin_extra(struct gofer_inode *gi, struct gi_extra *extra, uint32_t *out_fid)
{
    uint32_t fid = GP_FID_NONE;
    int ret;

    *out_fid = try_pin(gi, GP_FID_NONE);
    if (*out_fid != GP_FID_NONE)
        return 0;
    ret = rebind(gi, extra, &fid);
    if (ret < 0) {
        if (fid != GP_FID_NONE)
            session_fid_clunk(gi->gs->session, fid, /*now=*/false);
        return ret;
    }
    *out_fid = try_pin(gi, fid);
    return 0;
}

int gi_pin(struct gofer_inode *gi, uint32_t *out_fid)
{
    return gi_pin_extra(gi, NULL, out_fid);
}

void gi_unpin(struct gofer_inode *gi)
{
    mutex_lock(&gi->gs->lock);
    ASSERT(gi->fid_pins > 0);
    gi->fid_pins--;
    mutex_unlock(&gi->gs->lock);
}

void gi_renamed(struct gofer_inode *gi, struct gofer_inode *dir, const char *name, size_t len)
{
    struct gofer_super *gs = dir->gs;
    char *copy = copy_text(name, len), *old_name;
    struct gofer_inode *old_parent;

    inode_get(&dir->inode);
    mutex_lock(&gs->lock);
    old_name = gi->name;
    old_parent = gi->parent;
    gi->name = copy; /* NULL (no memory): the fid stays bound for ever */
    gi->parent = dir;
    mutex_unlock(&gs->lock);
    free(old_name);
    if (old_parent)
        inode_put(&old_parent->inode);
}

void gi_unnamed(struct gofer_inode *gi, struct gofer_inode *dir, const char *name, size_t len)
{
    struct gofer_super *gs = dir->gs;
    char *old_name = NULL;

    mutex_lock(&gs->lock);
    if (gi->parent == dir && gi->name && strlen(gi->name) == len &&
        memcmp(gi->name, name, len) == 0) {
        old_name = gi->name;
        gi->name = NULL;
    }
    mutex_unlock(&gs->lock);
    free(old_name);
}

/* ---- the super ------------------------------------------------------------------------------- */

static int gofer_statfs(struct super *s, struct fs_statfs *out)
{
    struct gofer_super *gs = gofer_super(s);
    struct gofer_inode *root = gofer_inode(s->root->inode);
    struct gofer_slot *c;
    uint32_t fid;
    int ret = gi_pin(root, &fid);

    if (ret < 0)
        return ret;
    ret = session_begin(gs->session, GP_STATFS, &c);
    if (ret == 0) {
        wbuf_u32(&c->out, fid);
        ret = session_call(c);
        if (ret == 0) {
            out->type = rbuf_u64(&c->in);
            out->bsize = rbuf_u64(&c->in);
            out->blocks = rbuf_u64(&c->in);
            out->bfree = rbuf_u64(&c->in);
            out->bavail = rbuf_u64(&c->in);
            out->files = rbuf_u64(&c->in);
            out->ffree = rbuf_u64(&c->in);
            out->namelen = rbuf_u64(&c->in);
            out->frsize = rbuf_u64(&c->in);
            out->flags = gs->readonly ? 1 : 0;
            out->fsid = s->dev;
        }
        ret = session_end(c, ret);
    }
    gi_unpin(root);
    return ret;
}

static void gofer_super_destroy(struct super *s)
{
    struct gofer_super *gs = gofer_super(s);

    session_free(gs->session);
    mutex_destroy(&gs->lock);
    free(gs);
}

static const struct super_ops g_super_ops = {
    .statfs = gofer_statfs,
    .destroy = gofer_super_destroy,
};

static int say_hello(struct gofer_session *s)
{
    uint32_t version = 0, max_size = 0, max_fids = 0, features = 0;
    struct gofer_slot *c;
    int ret = session_begin(s, GP_HELLO, &c);

    if (ret < 0)
        return ret;
    wbuf_u32(&c->out, GP_VERSION);
    wbuf_u32(&c->out, GP_MSG_MAX);
    ret = session_call(c);
    if (ret == 0) {
        version = rbuf_u32(&c->in);
        max_size = rbuf_u32(&c->in);
        max_fids = rbuf_u32(&c->in);
        features = rbuf_u32(&c->in);
    }
    ret = session_end(c, ret);
    if (ret < 0)
        return ret;
    if (version != GP_VERSION || max_size < GP_MSG_MIN || max_size > GP_MSG_MAX || max_fids < 64 ||
        max_fids > 1u << 24)
        return -EPROTO;
    s->max_size = max_size;
    s->max_fids = max_fids;
    s->features = features;
    return 0;
}

static int attach(struct gofer_super *gs, struct gofer_inode **out)
{
    struct gp_attr attr;
    struct gofer_slot *c;
    uint32_t fid;
    int ret = session_fid_alloc(gs->session, &fid);

    if (ret == 0)
        ret = session_begin(gs->session, GP_ATTACH, &c);
    if (ret < 0)
        return ret;
    wbuf_u32(&c->out, fid);
    ret = session_call(c);
    if (ret == 0)
        gp_get_attr(&c->in, &attr);
    ret = session_end(c, ret);
    if (ret < 0)
        return ret;
    return gi_obtain(gs, NULL, "", 0, &attr, NULL, fid, out);
}

static uint32_t data_cache_limit(void)
{
    struct rlimit rl = {.rlim_cur = 1024};
    uint64_t quarter;

    (void)host_prlimit(0, RLIMIT_NOFILE, NULL, &rl); /* the default above then */
    quarter = rl.rlim_cur / 4;
    return quarter > DATA_CACHE_MAX ? DATA_CACHE_MAX : (uint32_t)quarter;
}

int gofer_mount(int sock_fd, uint32_t flags, struct super **out)
{
    struct gofer_super *gs = calloc(1, sizeof(*gs));
    struct gofer_session *session;
    struct gofer_inode *root;
    int ret = session_new(sock_fd, &session);

    if (ret < 0 || !gs) {
        if (ret == 0)
            session_free(session);
        free(gs);
        return -ENOMEM;
    }
    ret = say_hello(session);
    if (ret == 0)
        ret = super_init(&gs->super, &g_super_ops, "gofer");
    if (ret < 0) {
        session_free(session);
        free(gs);
        return ret;
    }
    gs->session = session;
    gs->exclusive = flags & GOFER_EXCLUSIVE;
    gs->readonly = (flags & GOFER_READONLY) || !(session->features & GP_FEATURE_WRITE);
    gs->super.flags = (gs->exclusive ? SUPER_STICKY_NEGATIVE : SUPER_REVALIDATE) |
                      (gs->readonly ? SUPER_READONLY : 0) | (flags & GOFER_LOWER ? SUPER_LOWER : 0);
    mutex_init(&gs->lock, RANK_GOFER);
    list_init(&gs->fids);
    list_init(&gs->data);
    gs->fid_limit = session->max_fids / 4 * 3;
    gs->data_limit = data_cache_limit();
    ret = attach(gs, &root);
    if (ret == 0)
        ret = dentry_make_root(&gs->super, &root->inode, &gs->super.root);
    if (ret < 0) {
        super_put(&gs->super);
        return ret;
    }
    *out = &gs->super;
    return 0;
}

/* ---- ops tables ------------------------------------------------------------------------------ */

static int gofer_open(struct inode *inode, struct dentry *dentry, uint32_t flags, struct file **out)
{
    (void)dentry;
    return LX_S_ISDIR(inode->attr.mode) ? gofer_open_directory(inode, flags, out)
                                        : gofer_open_regular(inode, flags, out);
}

const struct inode_ops gofer_dir_ops = {
    .lookup = gofer_lookup,
    .prefetch = gofer_prefetch,
    .revalidate = gofer_revalidate,
    .create = gofer_create,
    .tmpfile = gofer_tmpfile,
    .mkdir = gofer_mkdir,
    .mknod = gofer_mknod,
    .symlink = gofer_symlink,
    .link = gofer_link,
    .unlink = gofer_unlink,
    .rmdir = gofer_rmdir,
    .rename = gofer_rename,
    .getattr = gofer_getattr,
    .setattr = gofer_setattr,
    .open = gofer_open,
    .getxattr = gofer_getxattr,
    .setxattr = gofer_setxattr,
    .listxattr = gofer_listxattr,
    .removexattr = gofer_removexattr,
    .destroy = gi_destroy,
};

const struct inode_ops gofer_file_ops_inode = {
    .getattr = gofer_getattr,
    .setattr = gofer_setattr,
    .open = gofer_open,
    .getxattr = gofer_getxattr,
    .setxattr = gofer_setxattr,
    .listxattr = gofer_listxattr,
    .removexattr = gofer_removexattr,
    .destroy = gi_destroy,
};

const struct inode_ops gofer_link_ops = {
    .readlink = gofer_readlink,
    .getattr = gofer_getattr,
    .setattr = gofer_setattr,
    .destroy = gi_destroy,
};

const struct inode_ops gofer_other_ops = {
    .getattr = gofer_getattr,
    .setattr = gofer_setattr,
    .destroy = gi_destroy,
};
