/* SPDX-License-Identifier: Apache-2.0 */
/* netlink(7), rtnetlink(7) and struct ifreq of netdevice(7). */
#pragma once

#include "sentry/abi/types.h"

#define LX_NETLINK_ROUTE          0
#define LX_NETLINK_KOBJECT_UEVENT 15

struct lx_sockaddr_nl {
    uint16_t family, pad;
    uint32_t pid, groups;
};
static_assert(sizeof(struct lx_sockaddr_nl) == 12, "sockaddr_nl");

struct lx_nlmsghdr {
    uint32_t len;
    uint16_t type, flags;
    uint32_t seq, pid;
};
static_assert(sizeof(struct lx_nlmsghdr) == 16, "nlmsghdr");

#define LX_NLM_F_REQUEST            0x1
#define LX_NLM_F_MULTI              0x2
#define LX_NLM_F_ACK                0x4
#define LX_NLM_F_DUMP               0x300
#define LX_NLM_F_CAPPED             0x100
#define LX_NLMSG_ERROR              2
#define LX_NLMSG_DONE               3
#define LX_NLMSG_MIN_TYPE           16
#define LX_NLMSG_ALIGN(n)           (((n) + 3u) & ~3u)
#define LX_NETLINK_ADD_MEMBERSHIP   1
#define LX_NETLINK_DROP_MEMBERSHIP  2
#define LX_NETLINK_PKTINFO          3
#define LX_NETLINK_LIST_MEMBERSHIPS 9
#define LX_NETLINK_CAP_ACK          10
#define LX_NETLINK_EXT_ACK          11
#define LX_NETLINK_GET_STRICT_CHK   12

#define LX_RTM_NEWLINK  16
#define LX_RTM_DELLINK  17
#define LX_RTM_GETLINK  18
#define LX_RTM_SETLINK  19
#define LX_RTM_NEWADDR  20
#define LX_RTM_DELADDR  21
#define LX_RTM_GETADDR  22
#define LX_RTM_NEWROUTE 24
#define LX_RTM_GETROUTE 26
#define LX_RTM_DELROUTE 25
#define LX_RTM_GETNEIGH 30
#define LX_RTM_GETRULE  34
#define LX_RTM_GETQDISC 38
#define LX_RTM_MAX      121

#define LX_NLM_F_REPLACE 0x100
#define LX_NLM_F_EXCL    0x200
#define LX_NLM_F_CREATE  0x400

#define LX_IFLA_IFNAME   3
#define LX_IFLA_MTU      4
#define LX_IFLA_TXQLEN   13
#define LX_IFLA_LINKINFO 18
#define LX_IFA_ADDRESS   1
#define LX_IFA_LOCAL     2
#define LX_IFA_LABEL     3
#define LX_IFA_FLAGS     8
#define LX_RTA_DST       1
#define LX_RTA_OIF       4
#define LX_RTA_GATEWAY   5

#define LX_IFA_F_SECONDARY 0x01u
#define LX_IFA_F_PERMANENT 0x80u
#define LX_RT_SCOPE_LINK   253
#define LX_RT_SCOPE_HOST   254

/* Bits of netlink groups. */
#define LX_RTMGRP_LINK        0x1u
#define LX_RTMGRP_IPV4_IFADDR 0x10u
#define LX_RTMGRP_IPV6_IFADDR 0x100u

struct lx_rtattr {
    uint16_t len, type;
};

struct lx_ifinfomsg {
    uint8_t family, pad;
    uint16_t type;
    int32_t index;
    uint32_t flags, change;
};
struct lx_ifaddrmsg {
    uint8_t family, prefixlen, flags, scope;
    uint32_t index;
};
struct lx_rtmsg {
    uint8_t family, dst_len, src_len, tos, table, protocol, scope, type;
    uint32_t flags;
};

#define LX_IFF_UP          0x1
#define LX_IFF_LOOPBACK    0x8
#define LX_IFF_RUNNING     0x40
#define LX_IFF_LOWER_UP    0x10000
#define LX_ARPHRD_LOOPBACK 772

struct lx_ifreq {
    char name[16];
    union {
        uint8_t bytes[24];
        int32_t ival;
        int16_t flags;
    };
};
static_assert(sizeof(struct lx_ifreq) == 40, "ifreq");

struct lx_ifconf {
    int32_t len;
    int32_t pad;
    uint64_t buf;
};
static_assert(sizeof(struct lx_ifconf) == 16, "ifconf");

#define LX_SIOCGIFNAME    0x8910
#define LX_SIOCGIFCONF    0x8912
#define LX_SIOCGIFFLAGS   0x8913
#define LX_SIOCSIFFLAGS   0x8914
#define LX_SIOCGIFADDR    0x8915
#define LX_SIOCSIFADDR    0x8916
#define LX_SIOCGIFDSTADDR 0x8917
#define LX_SIOCGIFBRDADDR 0x8919
#define LX_SIOCGIFNETMASK 0x891b
#define LX_SIOCSIFNETMASK 0x891c
#define LX_SIOCGIFMETRIC  0x891d
#define LX_SIOCGIFMTU     0x8921
#define LX_SIOCSIFMTU     0x8922
#define LX_SIOCGIFHWADDR  0x8927
#define LX_SIOCGIFINDEX   0x8933
#define LX_SIOCGIFTXQLEN  0x8942
#define LX_SIOCETHTOOL    0x8946
#define LX_SIOCGIFMAP     0x8970
