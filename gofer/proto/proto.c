/* SPDX-License-Identifier: Apache-2.0 */
/* Encoders and decoders of the gofer protocol; used by both sides, trusts neither. */
#include "gofer/proto/proto.h"

static const char *const g_type_names[GP_TYPE_COUNT] = {
    [GP_HELLO] = "HELLO",       [GP_ATTACH] = "ATTACH",       [GP_WALK] = "WALK",
    [GP_GETATTR] = "GETATTR",   [GP_SETATTR] = "SETATTR",     [GP_OPEN] = "OPEN",
    [GP_READDIR] = "READDIR",   [GP_READLINK] = "READLINK",   [GP_CREATE] = "CREATE",
    [GP_MKDIR] = "MKDIR",       [GP_MKNOD] = "MKNOD",         [GP_SYMLINK] = "SYMLINK",
    [GP_LINK] = "LINK",         [GP_UNLINK] = "UNLINK",       [GP_RENAME] = "RENAME",
    [GP_STATFS] = "STATFS",     [GP_FSYNC] = "FSYNC",         [GP_GETXATTR] = "GETXATTR",
    [GP_SETXATTR] = "SETXATTR", [GP_LISTXATTR] = "LISTXATTR", [GP_REMOVEXATTR] = "REMOVEXATTR",
    [GP_CLUNK] = "CLUNK",       [GP_BATCH] = "BATCH",
};

bool gp_name_valid(const char *name, size_t len)
{
    if (len == 0 || len > GP_NAME_MAX)
        return false;
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return false;
    return !memchr(name, '/', len) && !memchr(name, '\0', len);
}

const char *gp_type_name(uint16_t type)
{
    uint16_t t = (uint16_t)(type & ~GP_REPLY);

    return t < GP_TYPE_COUNT && g_type_names[t] ? g_type_names[t] : "?";
}

void gp_begin(struct wbuf *b, uint16_t type, uint16_t tag)
{
    wbuf_u32(b, 0);
    wbuf_u16(b, type);
    wbuf_u16(b, tag);
    wbuf_u32(b, 0);
}

bool gp_finish(struct wbuf *b, size_t start, int32_t status)
{
    uint32_t size;

    if (b->bad)
        return false;
    size = (uint32_t)(b->off - start);
    memcpy(b->data + start, &size, sizeof(size));
    memcpy(b->data + start + 8, &status, sizeof(status));
    return true;
}

bool gp_get_header(struct rbuf *in, struct gp_header *out, struct rbuf *body)
{
    const void *p;

    out->size = rbuf_u32(in);
    out->type = rbuf_u16(in);
    out->tag = rbuf_u16(in);
    out->status = (int32_t)rbuf_u32(in);
    if (in->bad || out->size < GP_HEADER_SIZE) {
        in->bad = true;
        return false;
    }
    p = rbuf_bytes(in, out->size - GP_HEADER_SIZE);
    if (!p)
        return false;
    rbuf_init(body, p, out->size - GP_HEADER_SIZE);
    return true;
}

struct gp_str gp_get_string(struct rbuf *b, size_t max)
{
    struct gp_str s = {.data = NULL, .len = rbuf_u16(b)};

    if (s.len > max)
        b->bad = true;
    s.data = rbuf_bytes(b, s.len);
    if (s.data && memchr(s.data, '\0', s.len))
        b->bad = true;
    if (b->bad)
        s = (struct gp_str){.data = "", .len = 0};
    return s;
}

struct gp_str gp_get_name(struct rbuf *b)
{
    struct gp_str s = gp_get_string(b, GP_NAME_MAX);

    if (!b->bad && !gp_name_valid(s.data, s.len)) {
        b->bad = true;
        s = (struct gp_str){.data = "", .len = 0};
    }
    return s;
}

struct gp_time gp_get_time(struct rbuf *b)
{
    struct gp_time t = {.sec = (int64_t)rbuf_u64(b)};

    t.nsec = rbuf_u32(b);
    if (t.nsec >= 1000000000u)
        b->bad = true;
    return t;
}

static bool mode_has_type(uint32_t mode)
{
    switch (mode & 0170000u) {
    case 0010000u:
    case 0020000u:
    case 0040000u:
    case 0060000u:
    case 0100000u:
    case 0120000u:
    case 0140000u:
        return (mode & ~0177777u) == 0;
    default:
        return false;
    }
}

void gp_get_attr(struct rbuf *b, struct gp_attr *out)
{
    out->mode = rbuf_u32(b);
    out->nlink = rbuf_u32(b);
    out->uid = rbuf_u32(b);
    out->gid = rbuf_u32(b);
    out->blksize = rbuf_u32(b);
    out->flags = rbuf_u32(b);
    out->dev = rbuf_u64(b);
    out->rdev = rbuf_u64(b);
    out->ino = rbuf_u64(b);
    out->size = rbuf_u64(b);
    out->blocks = rbuf_u64(b);
    out->atime = gp_get_time(b);
    out->mtime = gp_get_time(b);
    out->ctime = gp_get_time(b);
    out->btime = gp_get_time(b);
    if (!mode_has_type(out->mode) || out->size > INT64_MAX || (out->flags & ~GP_ATTR_BTIME))
        b->bad = true;
    if (b->bad)
        memset(out, 0, sizeof(*out));
}

size_t gp_get_walk_parts(struct rbuf *b, struct gp_walk_part *parts, size_t max)
{
    size_t n = rbuf_u16(b);

    if (n == 0 || n > max)
        b->bad = true;
    for (size_t i = 0; i < n && !b->bad; i++) {
        parts[i].fid = rbuf_u32(b);
        parts[i].name = gp_get_name(b);
    }
    return b->bad ? 0 : n;
}

void gp_put_string(struct wbuf *b, const char *data, size_t len)
{
    if (len > UINT16_MAX) {
        b->bad = true;
        return;
    }
    wbuf_u16(b, (uint16_t)len);
    wbuf_put(b, data, len);
}

void gp_put_time(struct wbuf *b, struct gp_time t)
{
    wbuf_u64(b, (uint64_t)t.sec);
    wbuf_u32(b, t.nsec);
}

void gp_put_attr(struct wbuf *b, const struct gp_attr *a)
{
    wbuf_u32(b, a->mode);
    wbuf_u32(b, a->nlink);
    wbuf_u32(b, a->uid);
    wbuf_u32(b, a->gid);
    wbuf_u32(b, a->blksize);
    wbuf_u32(b, a->flags);
    wbuf_u64(b, a->dev);
    wbuf_u64(b, a->rdev);
    wbuf_u64(b, a->ino);
    wbuf_u64(b, a->size);
    wbuf_u64(b, a->blocks);
    gp_put_time(b, a->atime);
    gp_put_time(b, a->mtime);
    gp_put_time(b, a->ctime);
    gp_put_time(b, a->btime);
}
