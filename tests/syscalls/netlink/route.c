/* SPDX-License-Identifier: Apache-2.0 */
/* rtnetlink dumps of lo and the SIOCGIF* calls. rtnetlink(7), netdevice(7). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int open_route(void)
{
    struct sockaddr_nl a = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    CHECK(fd >= 0);
    CHECK_EQ(bind(fd, (void *)&a, sizeof(a)), 0);
    return fd;
}

TEST(interfaces)
{
    struct ifaddrs *list, *i;
    int v4 = 0;

    REQUIRE(getifaddrs(&list) == 0);
    for (i = list; i; i = i->ifa_next) {
        if (strcmp(i->ifa_name, "lo") == 0 && i->ifa_addr && i->ifa_addr->sa_family == AF_INET) {
            CHECK_EQ(((struct sockaddr_in *)i->ifa_addr)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
            CHECK(i->ifa_flags & IFF_LOOPBACK);
            v4++;
        }
    }
    CHECK_EQ(v4, 1);
    freeifaddrs(list);
    CHECK_EQ(if_nametoindex("lo"), 1);
    CHECK_ERR(if_nametoindex("nosuch0") ? 0 : -1, ENODEV);
}

TEST(link_dump_ends_with_done)
{
    struct {
        struct nlmsghdr h;
        struct ifinfomsg i;
    } rq = {.h = {.nlmsg_len = sizeof(rq),
                  .nlmsg_type = RTM_GETLINK,
                  .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                  .nlmsg_seq = 77}};
    static char buf[65536];
    int fd = open_route(), links = 0, done = 0;

    CHECK_EQ(send(fd, &rq, sizeof(rq), 0), sizeof(rq));
    while (!done) {
        ssize_t n = recv(fd, buf, sizeof(buf), 0);

        REQUIRE(n > 0);
        for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
            CHECK_EQ(h->nlmsg_seq, 77);
            if (h->nlmsg_type == NLMSG_DONE)
                done = 1;
            else if (h->nlmsg_type == RTM_NEWLINK)
                links++;
        }
    }
    CHECK(links >= 1);
    close(fd);
}

TEST(unknown_requests_are_refused)
{
    struct {
        struct nlmsghdr h;
        struct rtgenmsg g;
    } rq = {.h = {.nlmsg_len = NLMSG_LENGTH(1),
                  .nlmsg_type = 2000,
                  .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
                  .nlmsg_seq = 5}};
    char buf[4096];
    struct nlmsghdr *h = (void *)buf;
    int fd = open_route();

    CHECK_EQ(send(fd, &rq, NLMSG_LENGTH(1), 0), NLMSG_LENGTH(1));
    CHECK(recv(fd, buf, sizeof(buf), 0) > 0);
    CHECK_EQ(h->nlmsg_type, NLMSG_ERROR);
    CHECK_EQ(((struct nlmsgerr *)NLMSG_DATA(h))->error, -EOPNOTSUPP);
    close(fd);
}

TEST(ioctls)
{
    struct ifreq r = {.ifr_name = "lo"};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    CHECK_EQ(ioctl(fd, SIOCGIFINDEX, &r), 0);
    CHECK_EQ(r.ifr_ifindex, 1);
    CHECK_EQ(ioctl(fd, SIOCGIFFLAGS, &r), 0);
    CHECK_EQ(r.ifr_flags & (IFF_LOOPBACK | IFF_UP), IFF_LOOPBACK | IFF_UP);
    CHECK_EQ(ioctl(fd, SIOCGIFMTU, &r), 0);
    CHECK_EQ(r.ifr_mtu, 65536);
    CHECK_EQ(ioctl(fd, SIOCGIFADDR, &r), 0);
    CHECK_EQ(((struct sockaddr_in *)&r.ifr_addr)->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    strcpy(r.ifr_name, "nosuch0");
    CHECK_ERR(ioctl(fd, SIOCGIFINDEX, &r), ENODEV);
    close(fd);
}

GUEST_TEST_MAIN
