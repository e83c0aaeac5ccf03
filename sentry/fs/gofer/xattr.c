/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes: one request each; cached is only that a file has no capabilities. */
#include <errno.h>
#include <string.h>

#include "sentry/fs/gofer/gofer_internal.h"

/* Pins, begins, and puts the fid. */
static int begin(struct inode *inode, uint16_t type, struct gofer_slot **out)
{
    struct gofer_inode *gi = gofer_inode(inode);
    uint32_t fid;
    int ret = gi_pin(gi, &fid);

    if (ret < 0)
        return ret;
    ret = session_begin(gi->gs->session, type, out);
    if (ret < 0)
        gi_unpin(gi);
    else
        wbuf_u32(&(*out)->out, fid);
    return ret;
}

/* Takes "u32 size, bytes" out of the reply. Returns the size or -errno. */
static ssize_t finish_value(struct inode *inode, struct gofer_slot *c, void *buf, size_t size)
{
    uint32_t got = 0;
    int ret = session_call(c);

    if (ret == 0) {
        got = rbuf_u32(&c->in);
        if (got > GP_XATTR_MAX || (size > 0 && got > size))
            c->in.bad = true;
        else if (size > 0)
            rbuf_copy(&c->in, buf, got);
    }
    ret = session_end(c, ret);
    gi_unpin(gofer_inode(inode));
    return ret < 0 ? ret : (ssize_t)got;
}

ssize_t gofer_getxattr(struct inode *inode, const char *name, void *buf, size_t size)
{
    struct gofer_inode *gi = gofer_inode(inode);
    bool caps = strcmp(name, "security.capability") == 0;
    struct gofer_slot *c;
    ssize_t ret;

    if (caps && gi->no_caps)
        return -ENODATA;
    /* What the gofer hides (gofer/attr.c) need not be asked for. */
    if (strncmp(name, "user.", 5) != 0 && !caps)
        return strncmp(name, "system.", 7) == 0 ? -EOPNOTSUPP : -ENODATA;
    ret = begin(inode, GP_GETXATTR, &c);
    if (ret < 0)
        return ret;
    gp_put_string(&c->out, name, strlen(name));
    size = MIN(size, (size_t)GP_XATTR_MAX);
    wbuf_u32(&c->out, (uint32_t)size);
    ret = finish_value(inode, c, buf, size);
    /* The gofer refuses to set it, so in an exclusive tree it stays absent. */
    if (caps && (ret == -ENODATA || ret == -EOPNOTSUPP) && gi->gs->exclusive)
        gi->no_caps = true;
    return ret;
}

ssize_t gofer_listxattr(struct inode *inode, char *buf, size_t size)
{
    struct gofer_slot *c;
    int ret = begin(inode, GP_LISTXATTR, &c);

    if (ret < 0)
        return ret;
    size = MIN(size, (size_t)GP_XATTR_MAX);
    wbuf_u32(&c->out, (uint32_t)size);
    return finish_value(inode, c, buf, size);
}

static int finish_plain(struct inode *inode, struct gofer_slot *c)
{
    int ret = session_end(c, session_call(c));

    gi_unpin(gofer_inode(inode));
    if (ret == 0)
        inode_touch(inode, /*atime=*/false, /*mtime=*/false, /*ctime=*/true);
    return ret;
}

int gofer_setxattr(struct inode *inode, const char *name, const void *value, size_t size,
                   uint32_t flags)
{
    struct gofer_slot *c;
    int ret;

    if (size > GP_XATTR_MAX)
        return -E2BIG;
    ret = begin(inode, GP_SETXATTR, &c);
    if (ret < 0)
        return ret;
    wbuf_u32(&c->out, flags);
    gp_put_string(&c->out, name, strlen(name));
    wbuf_u32(&c->out, (uint32_t)size);
    wbuf_put(&c->out, value, size);
    return finish_plain(inode, c);
}

int gofer_removexattr(struct inode *inode, const char *name)
{
    struct gofer_slot *c;
    int ret = begin(inode, GP_REMOVEXATTR, &c);

    if (ret < 0)
        return ret;
    gp_put_string(&c->out, name, strlen(name));
    return finish_plain(inode, c);
}
