/* SPDX-License-Identifier: Apache-2.0 */
/* sock_diag(7): what ss asks. */
#pragma once

#include "sentry/abi/types.h"

#define LX_NETLINK_SOCK_DIAG   4
#define LX_SOCK_DIAG_BY_FAMILY 20

/* id of one inet socket; ports and addresses in network order. */
struct lx_inet_diag_sockid {
    uint16_t sport, dport;
    uint32_t src[4], dst[4];
    uint32_t ifindex;
    uint32_t cookie[2];
};
static_assert(sizeof(struct lx_inet_diag_sockid) == 48, "inet_diag_sockid");

struct lx_inet_diag_req_v2 {
    uint8_t family, protocol, ext, pad;
    uint32_t states;
    struct lx_inet_diag_sockid id;
};
static_assert(sizeof(struct lx_inet_diag_req_v2) == 56, "inet_diag_req_v2");

struct lx_inet_diag_msg {
    uint8_t family, state, timer, retrans;
    struct lx_inet_diag_sockid id;
    uint32_t expires, rqueue, wqueue, uid, inode;
};
static_assert(sizeof(struct lx_inet_diag_msg) == 72, "inet_diag_msg");

struct lx_unix_diag_req {
    uint8_t family, protocol;
    uint16_t pad;
    uint32_t states, ino, show;
    uint32_t cookie[2];
};
static_assert(sizeof(struct lx_unix_diag_req) == 24, "unix_diag_req");

struct lx_unix_diag_msg {
    uint8_t family, type, state, pad;
    uint32_t ino;
    uint32_t cookie[2];
};
static_assert(sizeof(struct lx_unix_diag_msg) == 16, "unix_diag_msg");

#define LX_UDIAG_SHOW_NAME  0x1
#define LX_UDIAG_SHOW_PEER  0x4
#define LX_UDIAG_SHOW_ICONS 0x8
#define LX_UDIAG_SHOW_RQLEN 0x10

struct lx_netlink_diag_req {
    uint8_t family, protocol;
    uint16_t pad;
    uint32_t ino, show;
    uint32_t cookie[2];
};

struct lx_netlink_diag_msg {
    uint8_t family, type, protocol, state;
    uint32_t portid, dst_portid, dst_group, ino;
    uint32_t cookie[2];
};
static_assert(sizeof(struct lx_netlink_diag_msg) == 28, "netlink_diag_msg");
