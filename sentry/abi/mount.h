/* SPDX-License-Identifier: Apache-2.0 */
/* mount(2), umount2(2), open_tree(2), move_mount(2), fsopen(2) and friends: constants, structs. */
#pragma once

#include "sentry/abi/types.h"

#define LX_MS_RDONLY      0x1u
#define LX_MS_NOSUID      0x2u
#define LX_MS_NODEV       0x4u
#define LX_MS_NOEXEC      0x8u
#define LX_MS_SYNCHRONOUS 0x10u
#define LX_MS_REMOUNT     0x20u
#define LX_MS_MANDLOCK    0x40u
#define LX_MS_DIRSYNC     0x80u
#define LX_MS_NOSYMFOLLOW 0x100u
#define LX_MS_NOATIME     0x400u
#define LX_MS_NODIRATIME  0x800u
#define LX_MS_BIND        0x1000u
#define LX_MS_MOVE        0x2000u
#define LX_MS_REC         0x4000u
#define LX_MS_SILENT      0x8000u
#define LX_MS_UNBINDABLE  0x20000u
#define LX_MS_PRIVATE     0x40000u
#define LX_MS_SLAVE       0x80000u
#define LX_MS_SHARED      0x100000u
#define LX_MS_RELATIME    0x200000u
#define LX_MS_STRICTATIME 0x1000000u
#define LX_MS_LAZYTIME    0x2000000u
#define LX_MS_NOUSER      0x80000000u
#define LX_MS_MGC_VAL     0xc0ed0000u
#define LX_MS_MGC_MSK     0xffff0000u

#define LX_MNT_FORCE       1u
#define LX_MNT_DETACH      2u
#define LX_MNT_EXPIRE      4u
#define LX_UMOUNT_NOFOLLOW 8u

#define LX_OPEN_TREE_CLONE          1u
#define LX_OPEN_TREE_CLOEXEC        02000000u
#define LX_MOVE_MOUNT_F_SYMLINKS    0x01u
#define LX_MOVE_MOUNT_F_AUTOMOUNTS  0x02u
#define LX_MOVE_MOUNT_F_EMPTY_PATH  0x04u
#define LX_MOVE_MOUNT_T_SYMLINKS    0x10u
#define LX_MOVE_MOUNT_T_AUTOMOUNTS  0x20u
#define LX_MOVE_MOUNT_T_EMPTY_PATH  0x40u
#define LX_MOVE_MOUNT_SET_GROUP     0x100u
#define LX_MOVE_MOUNT_MASK          0x177u
#define LX_FSOPEN_CLOEXEC           1u
#define LX_FSPICK_CLOEXEC           1u
#define LX_FSPICK_SYMLINK_NOFOLLOW  2u
#define LX_FSPICK_NO_AUTOMOUNT      4u
#define LX_FSPICK_EMPTY_PATH        8u
#define LX_FSMOUNT_CLOEXEC          1u
#define LX_FSCONFIG_SET_FLAG        0u
#define LX_FSCONFIG_SET_STRING      1u
#define LX_FSCONFIG_SET_BINARY      2u
#define LX_FSCONFIG_SET_PATH        3u
#define LX_FSCONFIG_SET_PATH_EMPTY  4u
#define LX_FSCONFIG_SET_FD          5u
#define LX_FSCONFIG_CMD_CREATE      6u
#define LX_FSCONFIG_CMD_RECONFIGURE 7u
#define LX_MOUNT_ATTR_RDONLY        0x1u
#define LX_MOUNT_ATTR_NOSUID        0x2u
#define LX_MOUNT_ATTR_NODEV         0x4u
#define LX_MOUNT_ATTR_NOEXEC        0x8u
#define LX_MOUNT_ATTR__ATIME        0x70u
#define LX_MOUNT_ATTR_RELATIME      0x0u
#define LX_MOUNT_ATTR_NOATIME       0x10u
#define LX_MOUNT_ATTR_STRICTATIME   0x20u
#define LX_MOUNT_ATTR_NODIRATIME    0x80u
#define LX_MOUNT_ATTR_IDMAP         0x100000u
#define LX_MOUNT_ATTR_NOSYMFOLLOW   0x200000u

struct lx_mount_attr {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};
static_assert(sizeof(struct lx_mount_attr) == 32, "struct mount_attr");
