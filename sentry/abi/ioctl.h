/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl(2) commands that every file or more than one kind of file knows. */
#pragma once

#include "sentry/abi/types.h"

#define LX_FIOCLEX           0x5451u
#define LX_FIONCLEX          0x5450u
#define LX_FIONBIO           0x5421u
#define LX_FIOASYNC          0x5452u
#define LX_FIONREAD          0x541bu /* = TIOCINQ */
#define LX_FIOQSIZE          0x5460u
#define LX_FIBMAP            1u
#define LX_FIGETBSZ          2u
#define LX_FIFREEZE          0xc0045877u
#define LX_FITHAW            0xc0045878u
#define LX_FIDEDUPERANGE     0xc0189436u
#define LX_FICLONE           0x40049409u
#define LX_FICLONERANGE      0x4020940du
#define LX_IOC_SIZE_MASK     0x3fff0000u
#define LX_FS_IOC_FIEMAP     0xc020660bu
#define LX_FS_IOC_GETFLAGS   0x80086601u
#define LX_FS_IOC_SETFLAGS   0x40086602u
#define LX_FS_IOC_GETVERSION 0x80087601u
#define LX_FS_IOC_FSGETXATTR 0x801c581fu
#define LX_FS_IOC_FSSETXATTR 0x401c5820u

/* Inode flags, as FS_IOC_GETFLAGS shows them. */
#define LX_FS_SYNC_FL        0x8u
#define LX_FS_IMMUTABLE_FL   0x10u
#define LX_FS_APPEND_FL      0x20u
#define LX_FS_NODUMP_FL      0x40u
#define LX_FS_NOATIME_FL     0x80u
#define LX_FS_DAX_FL         0x2000000u
#define LX_FS_PROJINHERIT_FL 0x20000000u

/* The same and more as FS_IOC_FSGETXATTR and file_getattr(2) show them. */
#define LX_FS_XFLAG_IMMUTABLE    0x8u
#define LX_FS_XFLAG_APPEND       0x10u
#define LX_FS_XFLAG_SYNC         0x20u
#define LX_FS_XFLAG_NOATIME      0x40u
#define LX_FS_XFLAG_NODUMP       0x80u
#define LX_FS_XFLAG_PROJINHERIT  0x200u
#define LX_FS_XFLAG_EXTSIZE      0x800u
#define LX_FS_XFLAG_EXTSZINHERIT 0x1000u
#define LX_FS_XFLAG_DAX          0x8000u
#define LX_FS_XFLAG_COWEXTSIZE   0x10000u
#define LX_FS_XFLAG_VALUES       0x8001ffffu

struct lx_fsxattr {
    uint32_t xflags, extsize, nextents, projid, cowextsize;
    uint8_t pad[8];
};
static_assert(sizeof(struct lx_fsxattr) == 28, "struct fsxattr");

#define LX_RNDGETENTCNT   0x80045200u
#define LX_RNDADDTOENTCNT 0x40045201u
#define LX_RNDADDENTROPY  0x40085203u
#define LX_RNDZAPENTCNT   0x5204u
#define LX_RNDCLEARPOOL   0x5206u
#define LX_RNDRESEEDCRNG  0x5207u

/* ioctl_ns(2) */
#define LX_NS_GET_USERNS    0xb701u
#define LX_NS_GET_PARENT    0xb702u
#define LX_NS_GET_NSTYPE    0xb703u
#define LX_NS_GET_OWNER_UID 0xb704u
