/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that change the tree, and attributes. They run under the locks of their directories;
 * gs->changes moves before the request goes out, so that nothing asked earlier is put into the
 * dcache later.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "platform/host/file.h"
#include "sentry/core/clock.h"
#include "sentry/fs/gofer/gofer_internal.h"

static void names_change(struct gofer_inode *dir)
{
    atomic_fetch_add(&dir->gs->changes, 1);
    gi_listing_drop(dir);
}

static void dir_changed(struct gofer_inode *dir)
{
    inode_touch(&dir->inode, /*atime=*/false, /*mtime=*/true, /*ctime=*/true);
}

/* What the creating requests share: a pinned directory, a fid for the child, a slot. */
struct creation {
    struct gofer_inode *dir;
    struct dentry *child; /* NULL: no name */
    struct gofer_slot *c;
    uint32_t fid;
    struct inode owner; /* only attr: mode, uid, gid of the new object */
};

static int creation_begin(struct creation *cr, struct inode *dir, struct dentry *child,
                          uint16_t type, uint32_t mode)
{
    uint32_t dir_fid;
    int ret;

    cr->dir = gofer_inode(dir);
    cr->child = child;
    memset(&cr->owner.attr, 0, sizeof(cr->owner.attr));
    inode_init_owner(&cr->owner, dir, mode);
    ret = gi_pin(cr->dir, &dir_fid);
    if (ret < 0)
        return ret;
    ret = gs_fid_alloc(cr->dir->gs, &cr->fid);
    if (ret < 0)
        goto out_unpin;
    ret = session_begin(cr->dir->gs->session, type, &cr->c);
    if (ret < 0)
        goto out_fid;
    if (child)
        names_change(cr->dir);
    wbuf_u32(&cr->c->out, dir_fid);
    wbuf_u32(&cr->c->out, cr->fid);
    return 0;
out_fid:
    session_fid_unused(cr->dir->gs->session, cr->fid);
out_unpin:
    gi_unpin(cr->dir);
    return ret;
}

static void put_owner(struct creation *cr)
{
    wbuf_u32(&cr->c->out, cr->owner.attr.uid);
    wbuf_u32(&cr->c->out, cr->owner.attr.gid);
}

static void put_name(struct gofer_slot *c, const struct dentry *d)
{
    gp_put_string(&c->out, d->name, d->name_len);
}

/* Calls; *out is the new object, +1. */
static int creation_call(struct creation *cr, uint32_t type, const char *target, bool donated,
                         struct gofer_inode **out)
{
    struct gofer_super *gs = cr->dir->gs;
    struct gp_str text = {.data = target, .len = target ? (uint16_t)strlen(target) : 0};
    struct gp_attr attr;
    int fd = -1, ret = session_call(cr->c);
    bool bound = ret == 0;

    if (ret == 0) {
        gp_get_attr(&cr->c->in, &attr);
        if ((attr.mode & LX_S_IFMT) != type)
            cr->c->in.bad = true;
        if (donated)
            fd = session_take_fd(cr->c);
    }
    ret = session_end(cr->c, ret);
    if (ret == 0)
        ret = gi_obtain(gs, cr->child ? cr->dir : NULL, cr->child ? cr->child->name : "",
                        cr->child ? cr->child->name_len : 0, &attr, target ? &text : NULL, cr->fid,
                        out);
    else if (!bound)
        session_fid_unused(gs->session, cr->fid);
    gi_unpin(cr->dir);
    if (ret < 0) {
        if (fd >= 0)
            host_close(fd);
        return ret;
    }
    if (fd >= 0)
        gi_data_take(*out, fd, /*writable=*/true);
    return 0;
}

/* Calls, and makes the child positive. */
static int creation_end(struct creation *cr, uint32_t type, const char *target, bool donated)
{
    struct gofer_inode *gi;
    int ret = creation_call(cr, type, target, donated, &gi);

    if (ret < 0)
        return ret;
    dir_changed(cr->dir);
    if (type == LX_S_IFDIR)
        cr->dir->inode.attr.nlink++;
    dentry_instantiate(cr->child, &gi->inode);
    return 0;
}

int gofer_create(struct inode *dir, struct dentry *child, uint32_t mode)
{
    struct creation cr;
    int ret = creation_begin(&cr, dir, child, GP_CREATE, LX_S_IFREG | (mode & 07777u));

    if (ret < 0)
        return ret;
    wbuf_u32(&cr.c->out, GP_OPEN_READ | GP_OPEN_WRITE);
    wbuf_u32(&cr.c->out, cr.owner.attr.mode & 07777u);
    put_owner(&cr);
    put_name(cr.c, child);
    return creation_end(&cr, LX_S_IFREG, NULL, /*donated=*/true);
}

int gofer_tmpfile(struct inode *dir, uint32_t mode, struct inode **out)
{
    struct gofer_inode *gi;
    struct creation cr;
    int ret = creation_begin(&cr, dir, NULL, GP_TMPFILE, LX_S_IFREG | (mode & 07777u));

    if (ret < 0)
        return ret;
    wbuf_u32(&cr.c->out, cr.owner.attr.mode & 07777u);
    put_owner(&cr);
    ret = creation_call(&cr, LX_S_IFREG, NULL, /*donated=*/true, &gi);
    if (ret == 0)
        *out = &gi->inode;
    return ret;
}

int gofer_mkdir(struct inode *dir, struct dentry *child, uint32_t mode)
{
    struct creation cr;
    int ret = creation_begin(&cr, dir, child, GP_MKDIR, LX_S_IFDIR | (mode & 07777u));

    if (ret < 0)
        return ret;
    wbuf_u32(&cr.c->out, cr.owner.attr.mode & 07777u);
    put_owner(&cr);
    put_name(cr.c, child);
    return creation_end(&cr, LX_S_IFDIR, NULL, /*donated=*/false);
}

int gofer_mknod(struct inode *dir, struct dentry *child, uint32_t mode, lx_dev_t rdev)
{
    struct creation cr;
    int ret = creation_begin(&cr, dir, child, GP_MKNOD, mode);

    if (ret < 0)
        return ret;
    wbuf_u32(&cr.c->out, cr.owner.attr.mode);
    put_owner(&cr);
    wbuf_u64(&cr.c->out, (uint64_t)lx_dev_major(rdev) << 32 | lx_dev_minor(rdev));
    put_name(cr.c, child);
    return creation_end(&cr, mode & LX_S_IFMT, NULL, /*donated=*/false);
}

int gofer_symlink(struct inode *dir, struct dentry *child, const char *target)
{
    struct creation cr;
    int ret;

    if (strlen(target) > GP_TARGET_MAX)
        return -ENAMETOOLONG;
    ret = creation_begin(&cr, dir, child, GP_SYMLINK, LX_S_IFLNK | 0777u);
    if (ret < 0)
        return ret;
    put_owner(&cr);
    put_name(cr.c, child);
    gp_put_string(&cr.c->out, target, strlen(target));
    return creation_end(&cr, LX_S_IFLNK, target, /*donated=*/false);
}

int gofer_link(struct inode *target, struct inode *dir, struct dentry *child)
{
    struct gofer_inode *gi = gofer_inode(target), *to = gofer_inode(dir);
    struct gofer_slot *c;
    struct gp_attr attr;
    uint32_t dir_fid, fid;
    int ret = gi_pin(to, &dir_fid);

    if (ret < 0)
        return ret;
    ret = gi_pin(gi, &fid);
    if (ret < 0)
        goto out_dir;
    ret = session_begin(to->gs->session, GP_LINK, &c);
    if (ret == 0) {
        names_change(to);
        wbuf_u32(&c->out, dir_fid);
        wbuf_u32(&c->out, fid);
        put_name(c, child);
        ret = session_call(c);
        if (ret == 0)
            gp_get_attr(&c->in, &attr);
        ret = session_end(c, ret);
    }
    if (ret == 0) {
        bool named;

        mutex_lock(&to->gs->lock);
        named = gi->name;
        mutex_unlock(&to->gs->lock);
        if (!named) /* an unnamed file (O_TMPFILE), or one whose last known name went */
            gi_renamed(gi, to, child->name, child->name_len);
        target->attr.nlink = attr.nlink;
        inode_touch(target, /*atime=*/false, /*mtime=*/false, /*ctime=*/true);
        dir_changed(to);
        dentry_instantiate(child, inode_get(target));
    }
    gi_unpin(gi);
out_dir:
    gi_unpin(to);
    return ret;
}

/* An object that loses its last name while others may use it must be held by a fid or a descriptor
 * first. With no name left nobody could walk to it again. */
static void hold_before_unlink(struct gofer_inode *gi, bool *out_pinned)
{
    uint32_t fid;

    *out_pinned = refs_read(&gi->inode.refs) > 1 && gi_pin(gi, &fid) == 0;
}

static int remove_name(struct inode *dir, struct dentry *child, uint32_t flags)
{
    struct gofer_inode *from = gofer_inode(dir), *gi = gofer_inode(child->inode);
    struct gofer_slot *c;
    bool pinned = false;
    uint32_t dir_fid;
    int ret = gi_pin(from, &dir_fid);

    if (ret < 0)
        return ret;
    hold_before_unlink(gi, &pinned);
    ret = session_begin(from->gs->session, GP_UNLINK, &c);
    if (ret == 0) {
        names_change(from);
        wbuf_u32(&c->out, dir_fid);
        wbuf_u32(&c->out, flags);
        put_name(c, child);
        ret = session_end(c, session_call(c));
    }
    if (ret == 0) {
        gi_unnamed(gi, from, child->name, child->name_len);
        dir_changed(from);
        if (flags & GP_UNLINK_DIR) {
            gi->inode.attr.nlink = 0;
            if (dir->attr.nlink > 2)
                dir->attr.nlink--;
        } else if (gi->inode.attr.nlink > 0) {
            gi->inode.attr.nlink--;
        }
        inode_touch(&gi->inode, /*atime=*/false, /*mtime=*/false, /*ctime=*/true);
    }
    if (pinned)
        gi_unpin(gi);
    gi_unpin(from);
    return ret;
}

int gofer_unlink(struct inode *dir, struct dentry *child)
{
    return remove_name(dir, child, 0);
}

int gofer_rmdir(struct inode *dir, struct dentry *child)
{
    return remove_name(dir, child, GP_UNLINK_DIR);
}

/* Names, link counts and times after a rename that succeeded. */
static void rename_done(struct gofer_inode *from, struct dentry *old, struct gofer_inode *to,
                        struct dentry *new_child, bool exchange)
{
    struct gofer_inode *gi = gofer_inode(old->inode);
    struct gofer_inode *victim = new_child->inode ? gofer_inode(new_child->inode) : NULL;
    bool is_dir = LX_S_ISDIR(gi->inode.attr.mode);

    if (victim)
        gi_unnamed(victim, to, new_child->name, new_child->name_len);
    gi_renamed(gi, to, new_child->name, new_child->name_len);
    if (exchange && victim) {
        gi_renamed(victim, from, old->name, old->name_len);
    } else if (victim) {
        bool victim_dir = LX_S_ISDIR(victim->inode.attr.mode);

        victim->inode.attr.nlink = victim_dir ? 0 : victim->inode.attr.nlink - 1;
        inode_touch(&victim->inode, false, false, /*ctime=*/true);
        if (victim_dir)
            to->inode.attr.nlink--;
    }
    if (is_dir && from != to && !exchange) {
        from->inode.attr.nlink--;
        to->inode.attr.nlink++;
    }
    inode_touch(&gi->inode, false, false, /*ctime=*/true);
    dir_changed(from);
    if (to != from)
        dir_changed(to);
}

int gofer_rename(struct inode *old_dir, struct dentry *old, struct inode *new_dir,
                 struct dentry *new_child, uint32_t flags)
{
    struct gofer_inode *from = gofer_inode(old_dir), *to = gofer_inode(new_dir);
    struct gofer_slot *c;
    uint32_t from_fid, to_fid;
    bool exchange = flags & LX_RENAME_EXCHANGE, pinned = false;
    int ret;

    if (flags & LX_RENAME_WHITEOUT)
        return -EINVAL;
    ret = gi_pin(from, &from_fid);
    if (ret < 0)
        return ret;
    ret = gi_pin(to, &to_fid);
    if (ret < 0)
        goto out_from;
    if (new_child->inode && !exchange)
        hold_before_unlink(gofer_inode(new_child->inode), &pinned);
    ret = session_begin(from->gs->session, GP_RENAME, &c);
    if (ret == 0) {
        names_change(from);
        names_change(to);
        wbuf_u32(&c->out, from_fid);
        wbuf_u32(&c->out, to_fid);
        wbuf_u32(&c->out, exchange                      ? GP_RENAME_EXCHANGE
                          : flags & LX_RENAME_NOREPLACE ? GP_RENAME_NOREPLACE
                                                        : 0);
        put_name(c, old);
        put_name(c, new_child);
        ret = session_end(c, session_call(c));
    }
    if (ret == 0)
        rename_done(from, old, to, new_child, exchange);
    if (pinned)
        gi_unpin(gofer_inode(new_child->inode));
    gi_unpin(to);
out_from:
    gi_unpin(from);
    return ret;
}

/* ---- attributes ------------------------------------------------------------------------------ */

int gofer_getattr(struct inode *inode)
{
    struct gofer_inode *gi = gofer_inode(inode);
    struct gofer_slot *c;
    struct gp_attr attr;
    uint32_t fid;
    int ret;

    if (gi->gs->exclusive) {
        if (!gi->dirty || gi_data_stat(gi))
            return 0;
    } else if (clock_monotonic() - gi->fresh < FRESH_NS) {
        return 0;
    }
    ret = gi_pin(gi, &fid);
    if (ret < 0)
        return ret;
    ret = session_begin(gi->gs->session, GP_GETATTR, &c);
    if (ret == 0) {
        wbuf_u32(&c->out, fid);
        ret = session_call(c);
        if (ret == 0)
            gp_get_attr(&c->in, &attr);
        ret = session_end(c, ret);
    }
    gi_unpin(gi);
    if (ret == 0) {
        if ((attr.mode ^ inode->attr.mode) & LX_S_IFMT)
            return -ESTALE;
        gi_set_attr(gi, &attr);
    }
    return ret;
}

static struct gp_time time_to_wire(struct fs_time t)
{
    return (struct gp_time){.sec = t.sec, .nsec = t.nsec};
}

static uint32_t mask_to_wire(uint32_t mask)
{
    static const struct {
        uint32_t fs, wire;
    } map[] = {
        {ATTR_MODE, GP_SET_MODE},
        {ATTR_UID, GP_SET_UID},
        {ATTR_GID, GP_SET_GID},
        {ATTR_SIZE, GP_SET_SIZE},
        {ATTR_ATIME, GP_SET_ATIME},
        {ATTR_MTIME, GP_SET_MTIME},
        {ATTR_ATIME_NOW, GP_SET_ATIME_NOW},
        {ATTR_MTIME_NOW, GP_SET_MTIME_NOW},
    };
    uint32_t wire = 0;

    for (size_t i = 0; i < ARRAY_COUNT(map); i++)
        wire |= mask & map[i].fs ? map[i].wire : 0;
    return wire;
}

int gofer_setattr(struct inode *inode, const struct fs_attr *set)
{
    struct gofer_inode *gi = gofer_inode(inode);
    uint32_t mask = set->mask, wire, fid, mode = set->mode & 07777u;
    uint64_t old_size = inode->attr.size;
    struct gofer_slot *c;
    struct gp_attr attr;
    int ret;

    if ((mask & ATTR_KILL_SUID) && !(mask & ATTR_MODE)) {
        mode = inode->attr.mode & 07777u & ~LX_S_ISUID;
        if (mode & LX_S_IXGRP)
            mode &= ~LX_S_ISGID;
        if (mode != (inode->attr.mode & 07777u))
            mask |= ATTR_MODE;
    }
    wire = mask_to_wire(mask);
    if (wire == 0)
        return 0;
    ret = gi_pin(gi, &fid);
    if (ret < 0)
        return ret;
    ret = session_begin(gi->gs->session, GP_SETATTR, &c);
    if (ret == 0) {
        wbuf_u32(&c->out, fid);
        wbuf_u32(&c->out, wire);
        wbuf_u32(&c->out, mode);
        wbuf_u32(&c->out, set->uid);
        wbuf_u32(&c->out, set->gid);
        wbuf_u64(&c->out, mask & ATTR_SIZE ? set->size : 0);
        gp_put_time(&c->out, mask & ATTR_ATIME ? time_to_wire(set->atime) : (struct gp_time){0});
        gp_put_time(&c->out, mask & ATTR_MTIME ? time_to_wire(set->mtime) : (struct gp_time){0});
        ret = session_call(c);
        if (ret == 0)
            gp_get_attr(&c->in, &attr);
        ret = session_end(c, ret);
    }
    gi_unpin(gi);
    if (ret < 0)
        return ret;
    if ((attr.mode ^ inode->attr.mode) & LX_S_IFMT)
        return -EIO;
    gi_set_attr(gi, &attr);
    if ((mask & ATTR_SIZE) && attr.size < old_size && inode->map.ops) {
        uint64_t first = align_up(attr.size, LX_PAGE_SIZE) >> LX_PAGE_SHIFT;

        mappable_invalidate(&inode->map, first, UINT64_MAX - first, /*private_too=*/true);
    }
    return 0;
}
