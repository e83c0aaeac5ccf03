/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of the device lo, in a network namespace of the test's own. rtnetlink(7), netdevice(7). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Runs fn in a child with all capabilities over a fresh network namespace. */
static void in_netns(void (*fn)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
            _exit(77);
        g_test_failures = 0;
        fn();
        _exit(g_test_failures ? 1 : 0);
    }
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        SKIP("no network namespace can be made");
    CHECK_EQ(status, 0);
}

struct request {
    struct nlmsghdr h;
    union {
        struct ifaddrmsg addr;
        struct ifinfomsg link;
        struct rtmsg route;
    };
    char attrs[256];
};

static void attr(struct request *rq, uint16_t type, const void *data, size_t size)
{
    struct rtattr *a = (void *)((char *)rq + NLMSG_ALIGN(rq->h.nlmsg_len));

    a->rta_type = type;
    a->rta_len = (uint16_t)RTA_LENGTH(size);
    if (size)
        memcpy(RTA_DATA(a), data, size);
    rq->h.nlmsg_len = (uint32_t)(NLMSG_ALIGN(rq->h.nlmsg_len) + RTA_ALIGN(a->rta_len));
}

/* The error that the request is answered with, 0 for an acknowledgement. */
static int ask(struct request *rq)
{
    char buf[4096];
    struct nlmsghdr *h = (void *)buf;
    int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), ret = 1;

    rq->h.nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    CHECK_EQ(send(fd, rq, rq->h.nlmsg_len, 0), rq->h.nlmsg_len);
    if (CHECK(recv(fd, buf, sizeof(buf), 0) > 0) && CHECK_EQ(h->nlmsg_type, NLMSG_ERROR))
        ret = -((struct nlmsgerr *)NLMSG_DATA(h))->error;
    close(fd);
    return ret;
}

static struct request addr_request(int type, const char *address, int len, int index)
{
    struct request rq = {.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifaddrmsg)),
                               .nlmsg_type = (uint16_t)type,
                               .nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL},
                         .addr = {.ifa_family = strchr(address, ':') ? AF_INET6 : AF_INET,
                                  .ifa_prefixlen = (uint8_t)len,
                                  .ifa_index = (uint32_t)index}};
    uint8_t bytes[16];

    CHECK_EQ(inet_pton(rq.addr.ifa_family, address, bytes), 1);
    if (!strncmp(address, "127.", 4))
        rq.addr.ifa_scope = RT_SCOPE_HOST;
    attr(&rq, IFA_LOCAL, bytes, rq.addr.ifa_family == AF_INET ? 4 : 16);
    attr(&rq, IFA_ADDRESS, bytes, rq.addr.ifa_family == AF_INET ? 4 : 16);
    return rq;
}

static int change_addr(int type, const char *address, int len)
{
    struct request rq = addr_request(type, address, len, 1);

    if (type == RTM_DELADDR)
        rq.h.nlmsg_flags = 0;
    return ask(&rq);
}

static struct request link_request(int type, int index)
{
    return (struct request){
        .h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = (uint16_t)type},
        .link = {.ifi_index = index}};
}

static int set_up(bool up)
{
    struct request rq = link_request(RTM_NEWLINK, 1);

    rq.link.ifi_change = IFF_UP;
    rq.link.ifi_flags = up ? IFF_UP : 0;
    return ask(&rq);
}

/* All addresses of lo in the order of a dump, with a blank behind each. */
static const char *addresses(int family)
{
    static char text[1024];
    char one[64];
    struct ifaddrs *list, *i;

    text[0] = '\0';
    if (!CHECK_EQ(getifaddrs(&list), 0))
        return text;
    for (i = list; i; i = i->ifa_next) {
        if (!i->ifa_addr || i->ifa_addr->sa_family != family)
            continue;
        inet_ntop(family,
                  family == AF_INET ? (void *)&((struct sockaddr_in *)i->ifa_addr)->sin_addr
                                    : (void *)&((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr,
                  one, sizeof(one));
        strcat(strcat(text, one), " ");
    }
    freeifaddrs(list);
    return text;
}

static int bind_error(const char *address)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(address)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), ret;

    ret = bind(fd, (void *)&a, sizeof(a)) < 0 ? errno : 0;
    close(fd);
    return ret;
}

static void up_and_down(void)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = 9, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    CHECK_STR(addresses(AF_INET), "");
    CHECK_ERR(connect(fd, (void *)&a, sizeof(a)), ENETUNREACH);
    close(fd);
    CHECK_EQ(set_up(true), 0);
    CHECK_STR(addresses(AF_INET), "127.0.0.1 ");
    CHECK_STR(addresses(AF_INET6), "::1 ");
    CHECK_EQ(bind_error("127.0.0.1"), 0);
    CHECK_EQ(set_up(false), 0);
    CHECK_STR(addresses(AF_INET), "127.0.0.1 ");
    CHECK_STR(addresses(AF_INET6), "");
    CHECK_EQ(bind_error("127.0.0.1"), 0);
    CHECK_EQ(bind_error("10.1.2.3"), EADDRNOTAVAIL);
}

TEST(link_goes_up_and_down)
{
    in_netns(up_and_down);
}

static void add_and_remove(void)
{
    CHECK_EQ(set_up(true), 0);
    CHECK_EQ(change_addr(RTM_NEWADDR, "127.0.0.5", 8), 0);
    CHECK_EQ(change_addr(RTM_NEWADDR, "127.0.0.5", 8), EEXIST);
    CHECK_EQ(change_addr(RTM_NEWADDR, "10.1.2.3", 24), 0);
    CHECK_EQ(change_addr(RTM_NEWADDR, "10.1.2.4", 24), 0);
    CHECK_EQ(change_addr(RTM_NEWADDR, "2001:db8::7", 64), 0);
    CHECK_EQ(change_addr(RTM_NEWADDR, "2001:db8::7", 64), EEXIST);
    CHECK_STR(addresses(AF_INET), "127.0.0.1 10.1.2.3 127.0.0.5 10.1.2.4 ");
    CHECK_STR(addresses(AF_INET6), "2001:db8::7 ::1 ");
    /* The whole prefix is this host's. */
    CHECK_EQ(bind_error("10.1.2.99"), 0);
    CHECK_EQ(bind_error("10.1.3.1"), EADDRNOTAVAIL);
    CHECK_EQ(change_addr(RTM_DELADDR, "10.1.2.9", 24), EADDRNOTAVAIL);
    CHECK_EQ(change_addr(RTM_DELADDR, "10.1.2.3", 16), EADDRNOTAVAIL);
    /* The primary takes the secondary along. */
    CHECK_EQ(change_addr(RTM_DELADDR, "10.1.2.3", 24), 0);
    CHECK_STR(addresses(AF_INET), "127.0.0.1 127.0.0.5 ");
    CHECK_EQ(bind_error("10.1.2.99"), EADDRNOTAVAIL);
    CHECK_EQ(change_addr(RTM_DELADDR, "2001:db8::7", 64), 0);
    CHECK_EQ(change_addr(RTM_DELADDR, "2001:db8::7", 64), EADDRNOTAVAIL);
    CHECK_EQ(change_addr(RTM_DELADDR, "127.0.0.5", 8), 0);
    CHECK_STR(addresses(AF_INET), "127.0.0.1 ");
}

TEST(addresses_come_and_go)
{
    in_netns(add_and_remove);
}

static void transfer(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("10.1.2.3")}, from;
    socklen_t len = sizeof(a);
    int x, y;
    char c;

    CHECK_EQ(set_up(true), 0);
    CHECK_EQ(change_addr(RTM_NEWADDR, "10.1.2.3", 24), 0);
    CHECK_EQ(change_addr(RTM_NEWADDR, "10.1.2.4", 24), 0);
    x = socket(AF_INET, SOCK_DGRAM, 0);
    y = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK_EQ(bind(x, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(getsockname(x, (void *)&a, &len), 0);
    CHECK_EQ(sendto(y, "x", 1, 0, (void *)&a, sizeof(a)), 1);
    CHECK_EQ(recvfrom(x, &c, 1, 0, (void *)&from, &len), 1);
    CHECK_EQ(from.sin_addr.s_addr, inet_addr("10.1.2.3"));
    close(y);
    /* A secondary address is reached from its primary. */
    y = socket(AF_INET, SOCK_DGRAM, 0);
    a.sin_addr.s_addr = inet_addr("10.1.2.4");
    CHECK_EQ(connect(y, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(getsockname(y, (void *)&from, &len), 0);
    CHECK_EQ(from.sin_addr.s_addr, inet_addr("10.1.2.3"));
    close(y);
    y = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = inet_addr("10.9.9.9");
    CHECK_ERR(connect(y, (void *)&a, sizeof(a)), ENETUNREACH);
    close(x);
    close(y);
}

TEST(datagrams_go_between_them)
{
    in_netns(transfer);
}

static void refusals(void)
{
    uint32_t v4 = inet_addr("192.0.2.1"), index = 77;
    struct request rq;

    CHECK_EQ(set_up(true), 0);
    CHECK_EQ(change_addr(RTM_NEWADDR, "10.0.0.1", 33), EINVAL);
    rq = addr_request(RTM_NEWADDR, "10.0.0.1", 8, 77);
    CHECK_EQ(ask(&rq), ENODEV);
    rq = addr_request(RTM_DELADDR, "10.0.0.1", 8, 77);
    CHECK_EQ(ask(&rq), EOPNOTSUPP); /* NLM_F_EXCL is NLM_F_BULK there */
    rq = addr_request(RTM_DELADDR, "10.0.0.1", 8, 77);
    rq.h.nlmsg_flags = 0;
    CHECK_EQ(ask(&rq), ENODEV);
    /* Another scope for the prefix that is there. */
    rq = addr_request(RTM_NEWADDR, "127.0.0.7", 8, 1);
    rq.addr.ifa_scope = RT_SCOPE_UNIVERSE;
    CHECK_EQ(ask(&rq), EINVAL);
    rq = link_request(RTM_NEWLINK, 77);
    CHECK_EQ(ask(&rq), ENODEV);
    rq = link_request(RTM_NEWLINK, 0);
    CHECK_EQ(ask(&rq), ENODEV);
    rq = link_request(RTM_SETLINK, 0);
    CHECK_EQ(ask(&rq), EINVAL);
    rq = link_request(RTM_NEWLINK, 0);
    attr(&rq, IFLA_IFNAME, "nosuch0", 8);
    CHECK_EQ(ask(&rq), ENODEV);
    rq = link_request(RTM_DELLINK, 1);
    CHECK_EQ(ask(&rq), EOPNOTSUPP);
    rq = link_request(RTM_DELLINK, 77);
    CHECK_EQ(ask(&rq), ENODEV);
    /* A gateway that is nobody's neighbour, a device that is none. */
    rq = (struct request){.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)),
                                .nlmsg_type = RTM_NEWROUTE,
                                .nlmsg_flags = NLM_F_CREATE | NLM_F_EXCL},
                          .route = {.rtm_family = AF_INET,
                                    .rtm_table = RT_TABLE_MAIN,
                                    .rtm_protocol = RTPROT_BOOT,
                                    .rtm_type = RTN_UNICAST}};
    attr(&rq, RTA_GATEWAY, &v4, sizeof(v4));
    CHECK_EQ(ask(&rq), ENETUNREACH);
    rq.h.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg));
    attr(&rq, RTA_OIF, &index, sizeof(index));
    CHECK_EQ(ask(&rq), ENODEV);
    rq.h.nlmsg_type = RTM_DELROUTE;
    rq.h.nlmsg_flags = 0;
    rq.h.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg));
    rq.route.rtm_dst_len = 32;
    attr(&rq, RTA_DST, &v4, sizeof(v4));
    CHECK_EQ(ask(&rq), ESRCH);
}

TEST(what_is_refused)
{
    in_netns(refusals);
}

/* No capabilities over the namespace: EPERM, whatever is asked. */
static void unprivileged(void)
{
    struct request rq = link_request(RTM_NEWLINK, 77);

    if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
        return;
    CHECK_EQ(ask(&rq), EPERM);
    CHECK_EQ(set_up(true), EPERM);
    CHECK_EQ(change_addr(RTM_NEWADDR, "127.0.0.5", 8), EPERM);
    CHECK_EQ(change_addr(RTM_DELADDR, "127.0.0.1", 8), EPERM);
}

TEST(without_capabilities)
{
    if (geteuid() != 0)
        SKIP("needs root to give it up");
    CHECK_EQ(test_in_child(unprivileged), 0);
}

static void settings(void)
{
    struct ifreq r = {.ifr_name = "lo"};
    struct request rq = link_request(RTM_NEWLINK, 1);
    uint32_t mtu = 1500;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    attr(&rq, IFLA_MTU, &mtu, sizeof(mtu));
    CHECK_EQ(ask(&rq), 0);
    CHECK_EQ(ioctl(fd, SIOCGIFMTU, &r), 0);
    CHECK_EQ(r.ifr_mtu, 1500);
    r.ifr_mtu = 9000;
    CHECK_EQ(ioctl(fd, SIOCSIFMTU, &r), 0);
    CHECK_EQ(ioctl(fd, SIOCGIFMTU, &r), 0);
    CHECK_EQ(r.ifr_mtu, 9000);
    CHECK_ERR(ioctl(fd, SIOCGIFADDR, &r), EADDRNOTAVAIL);
    *(struct sockaddr_in *)&r.ifr_addr =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = inet_addr("127.0.0.9")};
    CHECK_EQ(ioctl(fd, SIOCSIFADDR, &r), 0);
    CHECK_STR(addresses(AF_INET), "127.0.0.9 ");
    r.ifr_flags = IFF_UP;
    CHECK_EQ(ioctl(fd, SIOCSIFFLAGS, &r), 0);
    CHECK_STR(addresses(AF_INET), "127.0.0.9 127.0.0.1 ");
    CHECK_EQ(ioctl(fd, SIOCGIFNETMASK, &r), 0);
    CHECK_EQ(((struct sockaddr_in *)&r.ifr_netmask)->sin_addr.s_addr, htonl(0xff000000));
    close(fd);
}

TEST(device_ioctls)
{
    in_netns(settings);
}

static void news(void)
{
    struct sockaddr_nl a = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR},
                       from;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE);
    struct nlmsghdr *h;
    socklen_t len;
    char buf[8192];
    bool link = false, added = false, removed = false;

    CHECK_EQ(bind(fd, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(set_up(true), 0);
    CHECK_EQ(change_addr(RTM_NEWADDR, "127.0.0.5", 8), 0);
    CHECK_EQ(change_addr(RTM_DELADDR, "127.0.0.5", 8), 0);
    for (;;) {
        len = sizeof(from);
        if (recvfrom(fd, buf, sizeof(buf), 0, (void *)&from, &len) <= 0)
            break;
        h = (void *)buf;
        CHECK_EQ(from.nl_pid, 0);
        link |= h->nlmsg_type == RTM_NEWLINK && from.nl_groups == RTMGRP_LINK;
        added |= h->nlmsg_type == RTM_NEWADDR && from.nl_groups == RTMGRP_IPV4_IFADDR;
        removed |= h->nlmsg_type == RTM_DELADDR && from.nl_groups == RTMGRP_IPV4_IFADDR;
    }
    CHECK(link);
    CHECK(added);
    CHECK(removed);
    close(fd);
}

TEST(members_of_groups_are_told)
{
    in_netns(news);
}

GUEST_TEST_MAIN
