/* SPDX-License-Identifier: Apache-2.0 */
/* landlock(7): rights, rules, flags. */
#pragma once

#include "sentry/abi/types.h"

#define LX_LANDLOCK_ABI 7
#define LX_LANDLOCK_ERRATA                                                                         \
    3 /* fixes of Linux that hold here: TCP only, signals within a process  \
                              */

#define LX_LANDLOCK_CREATE_RULESET_VERSION 1u
#define LX_LANDLOCK_CREATE_RULESET_ERRATA  2u

#define LX_LANDLOCK_RESTRICT_LOG_SUBDOMAINS_OFF 4u
#define LX_LANDLOCK_RESTRICT_MASK               7u

#define LX_LANDLOCK_RULE_PATH_BENEATH 1
#define LX_LANDLOCK_RULE_NET_PORT     2

#define LX_LL_FS_EXECUTE     0x0001u
#define LX_LL_FS_WRITE_FILE  0x0002u
#define LX_LL_FS_READ_FILE   0x0004u
#define LX_LL_FS_READ_DIR    0x0008u
#define LX_LL_FS_REMOVE_DIR  0x0010u
#define LX_LL_FS_REMOVE_FILE 0x0020u
#define LX_LL_FS_MAKE_CHAR   0x0040u
#define LX_LL_FS_MAKE_DIR    0x0080u
#define LX_LL_FS_MAKE_REG    0x0100u
#define LX_LL_FS_MAKE_SOCK   0x0200u
#define LX_LL_FS_MAKE_FIFO   0x0400u
#define LX_LL_FS_MAKE_BLOCK  0x0800u
#define LX_LL_FS_MAKE_SYM    0x1000u
#define LX_LL_FS_REFER       0x2000u
#define LX_LL_FS_TRUNCATE    0x4000u
#define LX_LL_FS_IOCTL_DEV   0x8000u
#define LX_LL_FS_ALL         0xffffu
/* Rights that mean something for a file; the others are about a directory's entries. */
#define LX_LL_FS_OF_FILES                                                                          \
    (LX_LL_FS_EXECUTE | LX_LL_FS_WRITE_FILE | LX_LL_FS_READ_FILE | LX_LL_FS_TRUNCATE |             \
     LX_LL_FS_IOCTL_DEV)

#define LX_LL_NET_BIND_TCP    1u
#define LX_LL_NET_CONNECT_TCP 2u
#define LX_LL_NET_ALL         3u

#define LX_LL_SCOPE_ABSTRACT_UNIX 1u
#define LX_LL_SCOPE_SIGNAL        2u
#define LX_LL_SCOPE_ALL           3u

struct lx_landlock_ruleset_attr {
    uint64_t handled_fs, handled_net, scoped;
};
static_assert(sizeof(struct lx_landlock_ruleset_attr) == 24, "landlock_ruleset_attr");

struct lx_landlock_path_beneath_attr {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));
static_assert(sizeof(struct lx_landlock_path_beneath_attr) == 12, "landlock_path_beneath_attr");

struct lx_landlock_net_port_attr {
    uint64_t allowed, port;
};
static_assert(sizeof(struct lx_landlock_net_port_attr) == 16, "landlock_net_port_attr");
