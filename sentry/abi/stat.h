/* SPDX-License-Identifier: Apache-2.0 */
/* stat(2), statx(2), statfs(2): structs, mode bits, file types. */
#pragma once

#include "sentry/abi/types.h"

#define LX_S_IFMT    0170000u
#define LX_S_IFSOCK  0140000u
#define LX_S_IFLNK   0120000u
#define LX_S_IFREG   0100000u
#define LX_S_IFBLK   0060000u
#define LX_S_IFDIR   0040000u
#define LX_S_IFCHR   0020000u
#define LX_S_IFIFO   0010000u
#define LX_S_ISUID   04000u
#define LX_S_ISGID   02000u
#define LX_S_ISVTX   01000u
#define LX_S_IRWXU   0700u
#define LX_S_IXGRP   0010u
#define LX_S_IALLUGO 07777u

#define LX_S_ISDIR(m)  (((m)&LX_S_IFMT) == LX_S_IFDIR)
#define LX_S_ISREG(m)  (((m)&LX_S_IFMT) == LX_S_IFREG)
#define LX_S_ISLNK(m)  (((m)&LX_S_IFMT) == LX_S_IFLNK)
#define LX_S_ISCHR(m)  (((m)&LX_S_IFMT) == LX_S_IFCHR)
#define LX_S_ISBLK(m)  (((m)&LX_S_IFMT) == LX_S_IFBLK)
#define LX_S_ISFIFO(m) (((m)&LX_S_IFMT) == LX_S_IFIFO)
#define LX_S_ISSOCK(m) (((m)&LX_S_IFMT) == LX_S_IFSOCK)

/* d_type of directory entries. */
#define LX_DT_UNKNOWN 0
#define LX_DT_FIFO    1
#define LX_DT_CHR     2
#define LX_DT_DIR     4
#define LX_DT_BLK     6
#define LX_DT_REG     8
#define LX_DT_LNK     10
#define LX_DT_SOCK    12
static inline uint8_t lx_mode_to_dt(uint32_t mode)
{
    return (uint8_t)((mode & LX_S_IFMT) >> 12);
}

struct lx_stat {
    uint64_t st_dev, st_ino, st_nlink;
    uint32_t st_mode, st_uid, st_gid, pad0;
    uint64_t st_rdev;
    int64_t st_size, st_blksize, st_blocks;
    uint64_t st_atime_sec, st_atime_nsec, st_mtime_sec, st_mtime_nsec, st_ctime_sec, st_ctime_nsec;
    int64_t unused[3];
};
static_assert(sizeof(struct lx_stat) == 144, "struct stat");

struct lx_statx_timestamp {
    int64_t tv_sec;
    uint32_t tv_nsec;
    int32_t pad;
};

struct lx_statx {
    uint32_t stx_mask, stx_blksize;
    uint64_t stx_attributes;
    uint32_t stx_nlink, stx_uid, stx_gid;
    uint16_t stx_mode, pad0;
    uint64_t stx_ino, stx_size, stx_blocks, stx_attributes_mask;
    struct lx_statx_timestamp stx_atime, stx_btime, stx_ctime, stx_mtime;
    uint32_t stx_rdev_major, stx_rdev_minor, stx_dev_major, stx_dev_minor;
    uint64_t stx_mnt_id;
    uint32_t stx_dio_mem_align, stx_dio_offset_align;
    uint64_t spare[12];
};
static_assert(sizeof(struct lx_statx) == 256, "struct statx");
#define LX_STATX_BASIC_STATS     0x7ffu
#define LX_STATX_BTIME           0x800u
#define LX_STATX_MNT_ID          0x1000u
#define LX_STATX_DIOALIGN        0x2000u
#define LX_STATX_MNT_ID_UNIQUE   0x4000u
#define LX_STATX__RESERVED       0x80000000u
#define LX_STATX_ATTR_IMMUTABLE  0x10u
#define LX_STATX_ATTR_APPEND     0x20u
#define LX_STATX_ATTR_NODUMP     0x40u
#define LX_STATX_ATTR_MOUNT_ROOT 0x2000u

struct lx_statfs {
    int64_t f_type, f_bsize;
    uint64_t f_blocks, f_bfree, f_bavail, f_files, f_ffree;
    int32_t f_fsid[2];
    int64_t f_namelen, f_frsize, f_flags, f_spare[4];
};
static_assert(sizeof(struct lx_statfs) == 120, "struct statfs");
/* f_flags. */
#define LX_ST_RDONLY     0x0001u
#define LX_ST_NOSUID     0x0002u
#define LX_ST_NODEV      0x0004u
#define LX_ST_NOEXEC     0x0008u
#define LX_ST_VALID      0x0020u
#define LX_ST_NOATIME    0x0400u
#define LX_ST_NODIRATIME 0x0800u
#define LX_ST_RELATIME   0x1000u

#define LX_TMPFS_MAGIC   0x01021994u
#define LX_ANON_MAGIC    0x09041934u
#define LX_PIPEFS_MAGIC  0x50495045u
#define LX_SOCKFS_MAGIC  0x534f434bu
#define LX_NSFS_MAGIC    0x6e736673u
#define LX_OVERLAY_MAGIC 0x794c7630u

struct lx_ustat {
    int32_t f_tfree, pad;
    uint64_t f_tinode;
    char f_fname[6], f_fpack[6], pad2[4];
};
static_assert(sizeof(struct lx_ustat) == 32, "struct ustat");

/* Device numbers: inside the kernel major << 20 | minor. */
static inline lx_dev_t lx_mkdev(uint32_t major, uint32_t minor)
{
    return (uint64_t)major << 20 | minor;
}
static inline uint32_t lx_dev_major(lx_dev_t dev)
{
    return (uint32_t)(dev >> 20) & 0xfffu;
}
static inline uint32_t lx_dev_minor(lx_dev_t dev)
{
    return (uint32_t)dev & 0xfffffu;
}
/* What user space sees (new_encode_dev). */
static inline uint64_t lx_dev_encode(lx_dev_t dev)
{
    uint32_t major = lx_dev_major(dev), minor = lx_dev_minor(dev);

    return (minor & 0xffu) | ((uint64_t)major << 8) | ((uint64_t)(minor & ~0xffu) << 12);
}
static inline lx_dev_t lx_dev_decode(uint64_t raw)
{
    return lx_mkdev((uint32_t)(raw >> 8) & 0xfffu,
                    (uint32_t)(raw & 0xffu) | ((uint32_t)(raw >> 12) & 0xfff00u));
}

#define LX_UTIME_NOW  0x3fffffff
#define LX_UTIME_OMIT 0x3ffffffe
