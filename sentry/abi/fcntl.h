/* SPDX-License-Identifier: Apache-2.0 */
/* open(2), fcntl(2), *at(2), file locking, memfd and directory entries: constants and structs. */
#pragma once

#include "sentry/abi/types.h"

#define LX_O_ACCMODE   00000003u
#define LX_O_RDONLY    00000000u
#define LX_O_WRONLY    00000001u
#define LX_O_RDWR      00000002u
#define LX_O_CREAT     00000100u
#define LX_O_EXCL      00000200u
#define LX_O_NOCTTY    00000400u
#define LX_O_TRUNC     00001000u
#define LX_O_APPEND    00002000u
#define LX_O_NONBLOCK  00004000u
#define LX_O_DSYNC     00010000u
#define LX_O_ASYNC     00020000u
#define LX_O_DIRECT    00040000u
#define LX_O_LARGEFILE 00100000u
#define LX_O_DIRECTORY 00200000u
#define LX_O_NOFOLLOW  00400000u
#define LX_O_NOATIME   01000000u
#define LX_O_CLOEXEC   02000000u
#define LX___O_SYNC    04000000u
#define LX_O_SYNC      (LX___O_SYNC | LX_O_DSYNC)
#define LX_O_PATH      010000000u
#define LX___O_TMPFILE 020000000u
#define LX_O_TMPFILE   (LX___O_TMPFILE | LX_O_DIRECTORY)
/* Every flag open(2) knows; openat2 refuses others. */
#define LX_O_VALID                                                                                 \
    (LX_O_ACCMODE | LX_O_CREAT | LX_O_EXCL | LX_O_NOCTTY | LX_O_TRUNC | LX_O_APPEND |              \
     LX_O_NONBLOCK | LX_O_SYNC | LX_O_ASYNC | LX_O_DIRECT | LX_O_LARGEFILE | LX_O_DIRECTORY |      \
     LX_O_NOFOLLOW | LX_O_NOATIME | LX_O_CLOEXEC | LX_O_PATH | LX___O_TMPFILE)
/* What F_SETFL may change. */
#define LX_O_SETFL (LX_O_APPEND | LX_O_NONBLOCK | LX_O_ASYNC | LX_O_DIRECT | LX_O_NOATIME)

#define LX_AT_SYMLINK_NOFOLLOW     0x100
#define LX_AT_EACCESS              0x200
#define LX_AT_REMOVEDIR            0x200
#define LX_AT_SYMLINK_FOLLOW       0x400
#define LX_AT_NO_AUTOMOUNT         0x800
#define LX_AT_EMPTY_PATH           0x1000
#define LX_AT_STATX_SYNC_TYPE      0x6000
#define LX_AT_STATX_FORCE_SYNC     0x2000
#define LX_AT_STATX_DONT_SYNC      0x4000
#define LX_AT_RECURSIVE            0x8000
#define LX_AT_HANDLE_FID           0x200
#define LX_AT_HANDLE_MNT_ID_UNIQUE 0x001

#define LX_F_DUPFD            0
#define LX_F_GETFD            1
#define LX_F_SETFD            2
#define LX_F_GETFL            3
#define LX_F_SETFL            4
#define LX_F_GETLK            5
#define LX_F_SETLK            6
#define LX_F_SETLKW           7
#define LX_F_SETOWN           8
#define LX_F_GETOWN           9
#define LX_F_SETSIG           10
#define LX_F_GETSIG           11
#define LX_F_SETOWN_EX        15
#define LX_F_GETOWN_EX        16
#define LX_F_GETOWNER_UIDS    17
#define LX_F_OFD_GETLK        36
#define LX_F_OFD_SETLK        37
#define LX_F_OFD_SETLKW       38
#define LX_F_SETLEASE         1024
#define LX_F_GETLEASE         1025
#define LX_F_NOTIFY           1026
#define LX_F_DUPFD_QUERY      1027
#define LX_F_DUPFD_CLOEXEC    1030
#define LX_F_SETPIPE_SZ       1031
#define LX_F_GETPIPE_SZ       1032
#define LX_F_ADD_SEALS        1033
#define LX_F_GET_SEALS        1034
#define LX_F_GET_RW_HINT      1035
#define LX_F_SET_RW_HINT      1036
#define LX_F_GET_FILE_RW_HINT 1037
#define LX_F_SET_FILE_RW_HINT 1038
#define LX_FD_CLOEXEC         1

/* F_NOTIFY */
#define LX_DN_ACCESS    0x00000001u
#define LX_DN_MODIFY    0x00000002u
#define LX_DN_CREATE    0x00000004u
#define LX_DN_DELETE    0x00000008u
#define LX_DN_RENAME    0x00000010u
#define LX_DN_ATTRIB    0x00000020u
#define LX_DN_MULTISHOT 0x80000000u

#define LX_F_RDLCK 0
#define LX_F_WRLCK 1
#define LX_F_UNLCK 2
#define LX_LOCK_SH 1
#define LX_LOCK_EX 2
#define LX_LOCK_NB 4
#define LX_LOCK_UN 8

#define LX_F_OWNER_TID  0
#define LX_F_OWNER_PID  1
#define LX_F_OWNER_PGRP 2

#define LX_F_SEAL_SEAL         0x01u
#define LX_F_SEAL_SHRINK       0x02u
#define LX_F_SEAL_GROW         0x04u
#define LX_F_SEAL_WRITE        0x08u
#define LX_F_SEAL_FUTURE_WRITE 0x10u
#define LX_F_SEAL_EXEC         0x20u
#define LX_F_SEAL_ALL          0x3fu

#define LX_MFD_CLOEXEC       0x01u
#define LX_MFD_ALLOW_SEALING 0x02u
#define LX_MFD_HUGETLB       0x04u
#define LX_MFD_NOEXEC_SEAL   0x08u
#define LX_MFD_EXEC          0x10u

struct lx_flock {
    int16_t l_type, l_whence;
    int32_t pad;
    int64_t l_start, l_len;
    int32_t l_pid;
    int32_t pad2;
};
static_assert(sizeof(struct lx_flock) == 32, "struct flock");

struct lx_f_owner_ex {
    int32_t type;
    lx_pid_t pid;
};
static_assert(sizeof(struct lx_f_owner_ex) == 8, "struct f_owner_ex");

#define LX_SEEK_SET  0
#define LX_SEEK_CUR  1
#define LX_SEEK_END  2
#define LX_SEEK_DATA 3
#define LX_SEEK_HOLE 4

#define LX_FALLOC_FL_KEEP_SIZE      0x01
#define LX_FALLOC_FL_PUNCH_HOLE     0x02
#define LX_FALLOC_FL_COLLAPSE_RANGE 0x08
#define LX_FALLOC_FL_ZERO_RANGE     0x10
#define LX_FALLOC_FL_INSERT_RANGE   0x20
#define LX_FALLOC_FL_UNSHARE_RANGE  0x40

#define LX_RENAME_NOREPLACE 1u
#define LX_RENAME_EXCHANGE  2u
#define LX_RENAME_WHITEOUT  4u

#define LX_RWF_HIPRI    0x01
#define LX_RWF_DSYNC    0x02
#define LX_RWF_SYNC     0x04
#define LX_RWF_NOWAIT   0x08
#define LX_RWF_APPEND   0x10
#define LX_RWF_NOAPPEND 0x20
#define LX_RWF_SUPPORTED                                                                           \
    (LX_RWF_HIPRI | LX_RWF_DSYNC | LX_RWF_SYNC | LX_RWF_NOWAIT | LX_RWF_APPEND | LX_RWF_NOAPPEND)

#define LX_CLOSE_RANGE_UNSHARE 2u
#define LX_CLOSE_RANGE_CLOEXEC 4u

#define LX_RESOLVE_NO_XDEV       0x01u
#define LX_RESOLVE_NO_MAGICLINKS 0x02u
#define LX_RESOLVE_NO_SYMLINKS   0x04u
#define LX_RESOLVE_BENEATH       0x08u
#define LX_RESOLVE_IN_ROOT       0x10u
#define LX_RESOLVE_CACHED        0x20u

struct lx_open_how {
    uint64_t flags, mode, resolve;
};
static_assert(sizeof(struct lx_open_how) == 24, "struct open_how");

#define LX_XATTR_CREATE   1
#define LX_XATTR_REPLACE  2
#define LX_XATTR_NAME_MAX 255
#define LX_XATTR_SIZE_MAX 65536
#define LX_XATTR_LIST_MAX 65536

struct lx_dirent64 {
    uint64_t d_ino;
    int64_t d_off;
    uint16_t d_reclen;
    uint8_t d_type;
    char d_name[];
} __attribute__((packed));
static_assert(offsetof(struct lx_dirent64, d_name) == 19, "linux_dirent64");

struct lx_file_handle {
    uint32_t handle_bytes;
    int32_t handle_type;
};
static_assert(sizeof(struct lx_file_handle) == 8, "struct file_handle");
#define LX_MAX_HANDLE_SZ 128
