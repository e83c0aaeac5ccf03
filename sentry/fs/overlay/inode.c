/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay inodes: identity, attributes, the ops that are neither names nor data.
 *
 * One overlay inode per real inode (upper if there is one, else the topmost lower), so that hard
 * links of the upper layer are one file. A lower file with several links is the exception, as in
 * Linux without an index: each name gets its own inode, because copying one up breaks the link.
 *
 * The overlay's inode->attr is a copy of the real one's, made at lookup and after each change that
 * goes through here; ino and dev stay what they were when the object is copied up.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/overlay/overlay_internal.h"

/* ---- numbers and marks ----------------------------------------------------------------------- */

uint64_t ovl_guest_ino(uint32_t layer, uint64_t ino)
{
    /* Lower layer 1 keeps its numbers; the others are told apart by high bits. */
    uint64_t tag = layer == 0 ? 0x80 : layer - 1;

    return ino ^ (tag << 55);
}

uint64_t ovl_upper_ino(struct inode *upper)
{
    uint64_t ino;

    if (upper->ops->getxattr &&
        upper->ops->getxattr(upper, OVL_XATTR_ORIGIN, &ino, sizeof(ino)) == sizeof(ino))
        return ino;
    return ovl_guest_ino(0, upper->attr.ino);
}

bool ovl_is_whiteout(const struct inode *i)
{
    return LX_S_ISCHR(i->attr.mode) && i->attr.rdev == 0;
}

bool ovl_is_opaque(struct inode *i)
{
    char value;

    return i->ops->getxattr && i->ops->getxattr(i, OVL_XATTR_OPAQUE, &value, 1) == 1 &&
           value == 'y';
}

int ovl_mark_set(struct inode *real, const char *name, const void *value, size_t size)
{
    return real->ops->setxattr ? real->ops->setxattr(real, name, value, size, 0) : -EOPNOTSUPP;
}

/* ---- found ----------------------------------------------------------------------------------- */

void ovl_found_free(struct ovl_found *f)
{
    if (f->upper)
        dentry_put(f->upper);
    for (uint32_t i = 0; i < f->lower_count; i++)
        dentry_put(f->lowers[i]);
    free(f->lowers);
    free(f->layer_of);
    memset(f, 0, sizeof(*f));
}

int ovl_found_add(struct ovl_found *f, struct dentry *take, uint32_t layer)
{
    if (f->lower_count == f->room) {
        uint32_t room = f->room ? f->room * 2 : 1;
        struct dentry **lowers = realloc(f->lowers, room * sizeof(*lowers));
        uint32_t *layer_of;

        if (lowers)
            f->lowers = lowers;
        layer_of = realloc(f->layer_of, room * sizeof(*layer_of));
        if (layer_of)
            f->layer_of = layer_of;
        if (!lowers || !layer_of) {
            dentry_put(take);
            return -ENOMEM;
        }
        f->room = room;
    }
    f->lowers[f->lower_count] = take;
    f->layer_of[f->lower_count++] = layer;
    return 0;
}

/* ---- table ----------------------------------------------------------------------------------- */

static struct ovl_inode **bucket(struct ovl_super *os, const struct inode *key)
{
    uint64_t h = ((uintptr_t)key >> 6) * 0x9e3779b97f4a7c15ull;

    return &os->table[(h >> 40) & (OVL_BUCKETS - 1)];
}

static void hash_locked(struct ovl_super *os, struct ovl_inode *oi, const struct inode *key)
    REQUIRES(os->lock)
{
    struct ovl_inode **b = bucket(os, key);

    oi->key = key;
    oi->hash_next = *b;
    *b = oi;
}

static void unhash_locked(struct ovl_super *os, struct ovl_inode *oi) REQUIRES(os->lock)
{
    struct ovl_inode **p;

    if (!oi->key)
        return;
    for (p = bucket(os, oi->key); *p != oi;)
        p = &(*p)->hash_next;
    *p = oi->hash_next;
    oi->key = NULL;
}

void ovl_inode_rekey(struct ovl_inode *oi, const struct inode *key)
{
    struct ovl_super *os = oi->os;

    mutex_lock(&os->lock);
    unhash_locked(os, oi);
    hash_locked(os, oi, key);
    mutex_unlock(&os->lock);
}

static struct ovl_inode *find_locked(struct ovl_super *os, const struct inode *key)
    REQUIRES(os->lock)
{
    for (struct ovl_inode *oi = *bucket(os, key); oi; oi = oi->hash_next) {
        if (oi->key == key && refs_get_not_zero(&oi->inode.refs))
            return oi;
    }
    return NULL;
}

/* ---- attributes ------------------------------------------------------------------------------ */

static bool newer(struct fs_time a, struct fs_time b)
{
    return a.sec != b.sec ? a.sec > b.sec : a.nsec > b.nsec;
}

/*
 * Directories with lower parts. The link count of a merged one is the lower one's plus what the
 * upper part counts beyond 2: it counts changes (copying a subdirectory up takes one away, see
 * copyup.c), so find(1), which trusts link counts, sees the truth. Size and blocks stay those of
 * the lower part.
 */
static void merged_attr(const struct ovl_inode *oi, struct fs_attr *to)
{
    const struct fs_attr *lower = &oi->lowers[0]->inode->attr;
    struct dentry *upper = oi->upper;

    to->nlink = upper ? upper->inode->attr.nlink - 2 : 0;
    for (uint32_t i = 0; i < oi->lower_count; i++)
        to->nlink += oi->lowers[i]->inode->attr.nlink - (i > 0 ? 2 : 0);
    to->size = lower->size;
    to->blocks = lower->blocks;
    to->blksize = lower->blksize;
}

/* Stores what differs: others read these fields without a lock, and mostly nothing does. */
#define TAKE(field)                                                                                \
    do {                                                                                           \
        if (to->field != now.field)                                                                \
            to->field = now.field;                                                                 \
    } while (0)

/* What a write changes: a copy from before one may not stay in *to after it, for appends and copies go by it. The writer
 * changes *from first, then *to; whoever stored an old value here sees that *from is another one by now. */
static void take_written(uint64_t *to, const uint64_t *from)
{
    uint64_t value;

    do {
        value = __atomic_load_n(from, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(to, __ATOMIC_SEQ_CST) == value)
            break;
        __atomic_store_n(to, value, __ATOMIC_SEQ_CST);
    } while (__atomic_load_n(from, __ATOMIC_SEQ_CST) != value);
}

void ovl_attr_sync(struct ovl_inode *oi)
{
    const struct inode *source = ovl_real_inode(oi);
    const struct fs_attr *real = &source->attr;
    struct fs_attr *to = &oi->inode.attr;
    struct fs_attr now;

    inode_times_lock(source);
    now = *real;
    inode_times_unlock(source);

    if (!oi->upper && !oi->name && oi->parent && now.nlink > 0)
        now.nlink--; /* unlinked here, not below */
    if (LX_S_ISDIR(now.mode) && oi->lower_count > 0)
        merged_attr(oi, &now);
    TAKE(mask);
    TAKE(mode);
    TAKE(nlink);
    TAKE(uid);
    TAKE(gid);
    TAKE(rdev);
    if (LX_S_ISREG(now.mode)) {
        do { /* again after a copy up, for the copy's own */
            real = &ovl_real_inode(oi)->attr;
            take_written(&to->size, &real->size);
            take_written(&to->blocks, &real->blocks);
        } while (real != &ovl_real_inode(oi)->attr);
    } else {
        TAKE(size);
        TAKE(blocks);
    }
    TAKE(blksize);
    inode_times_lock(&oi->inode);
    /* Reads move only our atime. */
    if (newer(now.atime, to->atime))
        to->atime = now.atime;
    TAKE(mtime.sec);
    TAKE(mtime.nsec);
    TAKE(ctime.sec);
    TAKE(ctime.nsec);
    TAKE(btime.sec);
    TAKE(btime.nsec);
    inode_times_unlock(&oi->inode);
    if (oi->inode.fsflags != ovl_real_inode(oi)->fsflags)
        oi->inode.fsflags = ovl_real_inode(oi)->fsflags;
}

static int ovl_set_fsflags(struct inode *inode, uint32_t flags)
{
    struct ovl_inode *oi = ovl_inode(inode);
    int ret = ovl_copy_up(oi, OVL_ALL_DATA);
    struct inode *real;

    if (ret < 0)
        return ret;
    real = ovl_real_inode(oi);
    mutex_lock(&real->lock);
    ret = real->ops->set_fsflags ? real->ops->set_fsflags(real, flags) : -ENOTTY;
    mutex_unlock(&real->lock);
    if (ret == 0)
        ovl_attr_sync(oi);
    return ret;
}

static int ovl_getattr(struct inode *inode)
{
    struct ovl_inode *oi = ovl_inode(inode);
    struct inode *real = ovl_real_inode(oi);
    int ret = real->ops->getattr ? real->ops->getattr(real) : 0;

    if (ret == 0)
        ovl_attr_sync(oi);
    return ret;
}

static int ovl_setattr(struct inode *inode, const struct fs_attr *attr)
{
    struct ovl_inode *oi = ovl_inode(inode);
    int ret = ovl_copy_up(oi, attr->mask & ATTR_SIZE ? attr->size : OVL_ALL_DATA);
    struct fs_time atime;

    if (ret < 0)
        return ret;
    ret = inode_setattr(ovl_real_inode(oi), attr);
    inode_times_lock(ovl_real_inode(oi));
    atime = ovl_real_inode(oi)->attr.atime;
    inode_times_unlock(ovl_real_inode(oi));
    inode_times_lock(inode);
    inode->attr.atime = atime;
    inode_times_unlock(inode);
    ovl_attr_sync(oi);
    return ret;
}

static int ovl_readlink(struct inode *inode, char **out)
{
    struct inode *real = ovl_real_inode(ovl_inode(inode));
    const char *text = real->link;

    if (!text)
        return real->ops->readlink ? real->ops->readlink(real, out) : -EINVAL;
    *out = strdup(text);
    return *out ? 0 : -ENOMEM;
}

/* ---- life ------------------------------------------------------------------------------------ */

void ovl_set_name(struct ovl_inode *oi, struct ovl_inode *parent, const char *name, size_t len)
{
    char *copy = strndup(name, len), *old_name;
    struct ovl_inode *old_parent;

    inode_get(&parent->inode);
    mutex_lock(&oi->os->lock);
    old_name = oi->name;
    old_parent = oi->parent;
    oi->name = copy; /* NULL (no memory): copied up as if it were unlinked */
    oi->parent = parent;
    mutex_unlock(&oi->os->lock);
    free(old_name);
    if (old_parent)
        inode_put(&old_parent->inode);
}

void ovl_clear_name(struct ovl_inode *oi, struct ovl_inode *parent, const char *name, size_t len)
{
    char *old = NULL;

    mutex_lock(&oi->os->lock);
    if (oi->parent == parent && oi->name && strlen(oi->name) == len &&
        memcmp(oi->name, name, len) == 0) {
        old = oi->name;
        oi->name = NULL;
    }
    mutex_unlock(&oi->os->lock);
    free(old);
}

static struct ovl_inode *ovl_inode_new(struct ovl_super *os, struct ovl_inode *parent,
                                       const char *name, size_t len, struct ovl_found *f)
{
    struct ovl_inode *oi = calloc(1, sizeof(*oi));
    struct inode *real = f->upper ? f->upper->inode : f->lowers[0]->inode;
    bool is_dir = LX_S_ISDIR(real->attr.mode);
    const char *text = real->link;

    if (!oi)
        return NULL;
    oi->name = parent ? strndup(name, len) : NULL;
    if (parent && !oi->name) {
        free(oi);
        return NULL;
    }
    inode_init(&oi->inode, &os->super, is_dir ? &ovl_dir_ops : &ovl_node_ops, real->attr.mode);
    mutex_init(&oi->copyup,
               os->super.flags & SUPER_STACKED ? RANK_OVL_TOP_COPYUP : RANK_OVL_COPYUP);
    oi->os = os;
    oi->upper = f->upper;
    oi->lowers = f->lowers;
    oi->layer_of = f->layer_of;
    oi->lower_count = f->lower_count;
    memset(f, 0, sizeof(*f));
    if (parent) {
        oi->parent = parent;
        inode_get(&parent->inode);
    }
    ovl_attr_sync(oi);
    oi->inode.attr.dev = os->super.dev;
    /* A directory is known by its lowest part that stays: the first lower one. */
    if (oi->lower_count > 0 && (is_dir || !oi->upper))
        oi->inode.attr.ino = ovl_guest_ino(oi->layer_of[0], oi->lowers[0]->inode->attr.ino);
    else
        oi->inode.attr.ino = ovl_upper_ino(real);
    if (LX_S_ISLNK(real->attr.mode)) {
        oi->inode.flags |= INODE_CACHE_LINK;
        if (text)
            atomic_store(&oi->inode.link, strdup(text));
    }
    return oi;
}

int ovl_inode_get(struct ovl_super *os, struct ovl_inode *parent, const char *name, size_t len,
                  struct ovl_found *f, struct inode **out)
{
    const struct inode *key = f->upper ? f->upper->inode : f->lowers[0]->inode;
    bool shared = f->upper || LX_S_ISDIR(key->attr.mode) || key->attr.nlink <= 1;
    struct ovl_inode *oi = NULL, *made;

    if (shared) {
        mutex_lock(&os->lock);
        oi = find_locked(os, key);
        mutex_unlock(&os->lock);
    }
    if (oi) {
        ovl_found_free(f);
        *out = &oi->inode;
        return 0;
    }
    made = ovl_inode_new(os, parent, name, len, f);
    if (!made) {
        ovl_found_free(f);
        return -ENOMEM;
    }
    if (shared) {
        mutex_lock(&os->lock);
        oi = find_locked(os, key);
        if (!oi)
            hash_locked(os, made, key);
        mutex_unlock(&os->lock);
    }
    if (oi)
        inode_put(&made->inode);
    else
        oi = made;
    *out = &oi->inode;
    return 0;
}

void ovl_inode_destroy(struct inode *inode)
{
    struct ovl_inode *oi = ovl_inode(inode);
    struct ovl_super *os = oi->os;
    struct ovl_inode *parent = oi->parent;
    struct dentry *upper = oi->upper;
    uint32_t count = oi->lower_count;
    struct dentry **lowers = oi->lowers;

    mutex_lock(&os->lock);
    unhash_locked(os, oi);
    mutex_unlock(&os->lock);
    mutex_destroy(&oi->copyup);
    inode_destroy_generic(inode);
    free(oi->name);
    free(oi->layer_of);
    free(oi);
    if (upper)
        dentry_put(upper);
    for (uint32_t i = 0; i < count; i++)
        dentry_put(lowers[i]);
    free(lowers);
    if (parent)
        inode_put(&parent->inode);
}

const struct inode_ops ovl_dir_ops = {
    .lookup = ovl_lookup,
    .prefetch = ovl_prefetch,
    .create = ovl_create,
    .mkdir = ovl_mkdir,
    .mknod = ovl_mknod,
    .symlink = ovl_symlink,
    .link = ovl_link,
    .unlink = ovl_unlink,
    .rmdir = ovl_rmdir,
    .rename = ovl_rename,
    .tmpfile = ovl_tmpfile,
    .getattr = ovl_getattr,
    .setattr = ovl_setattr,
    .open = ovl_open,
    .getxattr = ovl_getxattr,
    .setxattr = ovl_setxattr,
    .listxattr = ovl_listxattr,
    .removexattr = ovl_removexattr,
    .set_fsflags = ovl_set_fsflags,
    .destroy = ovl_inode_destroy,
};

/* Symlinks, files, and special nodes; the vfs opens the latter itself. */
const struct inode_ops ovl_node_ops = {
    .readlink = ovl_readlink,
    .getattr = ovl_getattr,
    .setattr = ovl_setattr,
    .open = ovl_open,
    .getxattr = ovl_getxattr,
    .setxattr = ovl_setxattr,
    .listxattr = ovl_listxattr,
    .removexattr = ovl_removexattr,
    .set_fsflags = ovl_set_fsflags,
    .destroy = ovl_inode_destroy,
};
