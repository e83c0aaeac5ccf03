/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wire format between the sentry (client) and the gofer (server): 9P in shape, over a
 * SOCK_SEQPACKET pair, so one packet is one message and descriptors travel with their message.
 *
 *   message  u32 size (whole packet), u16 type, u16 tag, i32 status, body
 *   request  status is the CPU that the asker runs on, plus 1, or 0: a hint, see server.c
 *   reply    type | GP_REPLY, the request's tag, status 0 or -errno; a failed reply has no body
 *            unless its type says so (WALK)
 *   name     u16 length, bytes; 1..255, no '/', no NUL, not "." or ".."
 *   string   u16 length, bytes without NUL
 *   fid      u32 below the limit that HELLO told; chosen by the client, bound by ATTACH, WALK and
 *            the creating requests, freed by CLUNK (a notice: it has no reply)
 *
 * Bodies, request -> reply:
 *   HELLO       u32 version, u32 max size
 *               -> u32 version, u32 max size, u32 max fids, u32 GP_FEATURE_*
 *   ATTACH      fid -> attr
 *   WALK        fid, u16 GP_WALK_* flags, u16 n, n x {fid new, name}
 *               -> u16 done, u16 enum gp_stop, i32 error,
 *                  done x {attr, [string target when symlink]}
 *               new fids 0..done-1 are bound; a symlink may only be the last of them. With
 *               GP_WALK_DONATE and a regular file at the end, a read-only descriptor may come
 *               along.
 *   GETATTR     fid -> attr
 *   SETATTR     fid, u32 GP_SET_* mask, u32 mode, uid, gid, u64 size, time atime, time mtime
 *               -> attr
 *   OPEN        fid, u32 GP_OPEN_* -> attr, descriptor
 *   READDIR     fid, u64 cookie (0: start), u32 flags
 *               -> u8 eof, u32 n, n x {u64 cookie, u8 has_attr, u64 ino, u8 type, name, [attr]}
 *   READLINK    fid -> string
 *   CREATE      dir, fid new, u32 GP_OPEN_*, mode, uid, gid, name -> attr, descriptor (exclusive)
 *   TMPFILE     dir, fid new, u32 mode, uid, gid -> attr, descriptor (O_TMPFILE, can be linked)
 *   MKDIR       dir, fid new, u32 mode, uid, gid, name -> attr
 *   MKNOD       dir, fid new, u32 mode, uid, gid, u64 rdev, name -> attr
 *   SYMLINK     dir, fid new, u32 uid, gid, name, string target -> attr
 *   LINK        dir, fid target, name -> attr
 *   UNLINK      dir, u32 GP_UNLINK_*, name -> nothing
 *   RENAME      dir, dir new, u32 GP_RENAME_*, name, name -> nothing
 *   STATFS      fid -> u64 type, bsize, blocks, bfree, bavail, files, ffree, namelen, frsize
 *   FSYNC       fid, u32 data only -> nothing
 *   GETXATTR    fid, string name, u32 size -> u32 size, bytes (size 0 asks for the size)
 *   SETXATTR    fid, u32 flags, string name, u32 size, bytes -> nothing
 *   LISTXATTR   fid, u32 size -> u32 size, bytes
 *   REMOVEXATTR fid, string name -> nothing
 *   CLUNK       u16 n, n x fid; no reply
 *   BATCH       u16 n, n x whole request message -> u16 n, n x whole reply message, in order;
 *               no BATCH, HELLO or ATTACH inside; descriptors of all parts, in order
 *
 * Nothing here is trusted by either side: all bytes are reached through rbuf, and every decoder
 * validates what it returns.
 */
#pragma once

#include "platform/base/rbuf.h"

#define GP_VERSION     1u
#define GP_MSG_MAX     73728u /* an extended attribute of 64 KiB and its header fit */
#define GP_MSG_MIN     4096u  /* the smallest maximum that HELLO accepts */
#define GP_HEADER_SIZE 12u
#define GP_REPLY       0x8000u
#define GP_NAME_MAX    255u
#define GP_TARGET_MAX  4095u
#define GP_WALK_MAX    32u /* components of one WALK */
#define GP_BATCH_MAX   32u
#define GP_CLUNK_MAX   256u
#define GP_FDS_MAX     8u /* descriptors of one message */
#define GP_XATTR_MAX   65536u
#define GP_FID_NONE    0xffffffffu
#define GP_CPU_MAX     8192 /* largest hint */

enum gp_type {
    GP_HELLO = 1,
    GP_ATTACH,
    GP_WALK,
    GP_GETATTR,
    GP_SETATTR,
    GP_OPEN,
    GP_READDIR,
    GP_READLINK,
    GP_CREATE,
    GP_MKDIR,
    GP_MKNOD,
    GP_SYMLINK,
    GP_LINK,
    GP_UNLINK,
    GP_RENAME,
    GP_STATFS,
    GP_FSYNC,
    GP_GETXATTR,
    GP_SETXATTR,
    GP_LISTXATTR,
    GP_REMOVEXATTR,
    GP_CLUNK,
    GP_BATCH,
    GP_TMPFILE,
    GP_TYPE_COUNT,
};

#define GP_FEATURE_WRITE    1u /* the tree may be changed */
#define GP_FEATURE_IO_URING 2u /* the server runs on io_uring */

#define GP_WALK_DONATE 1u
#define GP_WALK_LIST   2u /* as READDIR without flags */
#define GP_WALK_FLAGS  3u

enum gp_stop {
    GP_STOP_ALL,     /* every component was found */
    GP_STOP_SYMLINK, /* the last one found is a symlink and more components were asked for */
    GP_STOP_NOTDIR,  /* the last one found is no directory and more components were asked for */
    GP_STOP_MISSING, /* component number `done` does not exist */
    GP_STOP_ERROR,   /* component number `done` failed with `error` */
    GP_STOP_COUNT,
};

#define GP_OPEN_READ  1u
#define GP_OPEN_WRITE 2u
#define GP_OPEN_TRUNC 4u

#define GP_SET_MODE      0x01u
#define GP_SET_UID       0x02u
#define GP_SET_GID       0x04u
#define GP_SET_SIZE      0x08u
#define GP_SET_ATIME     0x10u
#define GP_SET_MTIME     0x20u
#define GP_SET_ATIME_NOW 0x40u
#define GP_SET_MTIME_NOW 0x80u
#define GP_SET_ALL       0xffu

#define GP_READDIR_ATTR 1u /* entries carry attributes */

#define GP_UNLINK_DIR 1u

#define GP_RENAME_NOREPLACE 1u
#define GP_RENAME_EXCHANGE  2u

struct gp_header {
    uint32_t size;
    uint16_t type, tag;
    int32_t status;
};

struct gp_time {
    int64_t sec;
    uint32_t nsec;
};

#define GP_ATTR_BTIME 1u

struct gp_attr {
    uint32_t mode, nlink, uid, gid, blksize, flags;
    uint64_t dev, rdev, ino, size, blocks; /* device numbers: major << 32 | minor */
    struct gp_time atime, mtime, ctime, btime;
};

/* A name or string inside a message: borrowed, not terminated. */
struct gp_str {
    const char *data;
    uint16_t len;
};

struct gp_walk_part {
    uint32_t fid;
    struct gp_str name;
};

struct gp_statfs {
    uint64_t type, bsize, blocks, bfree, bavail, files, ffree, namelen, frsize;
};

/* 1..255 bytes, no '/' and no NUL, neither "." nor "..". */
bool gp_name_valid(const char *name, size_t len);
/* "GETATTR", or "?" for an unknown type; the reply bit is ignored. */
const char *gp_type_name(uint16_t type);

/* Starts a message; gp_finish fills in its size and status. */
void gp_begin(struct wbuf *b, uint16_t type, uint16_t tag);
/* false when the body did not fit; `start` is where the message begins in b. */
bool MUST_CHECK gp_finish(struct wbuf *b, size_t start, int32_t status);

/* Reads the header of a packet of exactly `size` bytes (or the next message of a batch). false:
 * short, or its size field lies. body covers what follows the header. */
bool MUST_CHECK gp_get_header(struct rbuf *in, struct gp_header *out, struct rbuf *body);

/* All getters set b->bad when the bytes are missing or not acceptable. */
struct gp_str gp_get_name(struct rbuf *b);
/* At most max bytes, without NUL. */
struct gp_str gp_get_string(struct rbuf *b, size_t max);
struct gp_time gp_get_time(struct rbuf *b);
void gp_get_attr(struct rbuf *b, struct gp_attr *out);
/* Number of parts, 0 when b went bad. */
size_t gp_get_walk_parts(struct rbuf *b, struct gp_walk_part *parts, size_t max);

void gp_put_string(struct wbuf *b, const char *data, size_t len);
void gp_put_time(struct wbuf *b, struct gp_time t);
void gp_put_attr(struct wbuf *b, const struct gp_attr *a);

/* Size of an encoded gp_attr: what readdir must have left for an entry. */
#define GP_ATTR_SIZE 112u
