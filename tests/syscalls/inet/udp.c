/* SPDX-License-Identifier: Apache-2.0 */
/* UDP on the loopback. udp(7), ip(7). */
#define _GNU_SOURCE
#include "tests/support/guest_test.h"

#ifndef IPV6_RECVORIGDSTADDR
#define IPV6_ORIGDSTADDR     74
#define IPV6_RECVORIGDSTADDR IPV6_ORIGDSTADDR
#endif

#include <linux/errqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int bound(struct sockaddr_in *out)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(*out);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    CHECK_EQ(bind(fd, (void *)&a, sizeof(a)), 0);
    CHECK_EQ(getsockname(fd, (void *)out, &len), 0);
    return fd;
}

TEST(send_and_receive)
{
    struct sockaddr_in a, b, from;
    int x = bound(&a), y = bound(&b), n;
    socklen_t len = sizeof(from);
    char buf[8];

    CHECK_ERR(send(x, "q", 1, 0), EDESTADDRREQ);
    CHECK_EQ(sendto(x, "hello", 5, 0, (void *)&b, sizeof(b)), 5);
    CHECK_EQ(ioctl(y, FIONREAD, &n), 0);
    CHECK_EQ(n, 5);
    CHECK_EQ(recvfrom(y, buf, 3, MSG_TRUNC, (void *)&from, &len), 5);
    CHECK_EQ(from.sin_port, a.sin_port);
    CHECK_EQ(sendto(x, "", 0, 0, (void *)&b, sizeof(b)), 0);
    CHECK_EQ(recv(y, buf, 3, 0), 0);
    CHECK_ERR(recv(y, buf, 3, MSG_DONTWAIT), EAGAIN);
    b.sin_port = 0;
    CHECK_ERR(sendto(x, "q", 1, 0, (void *)&b, sizeof(b)), EINVAL);
    b.sin_family = AF_UNIX;
    CHECK_ERR(sendto(x, "q", 1, 0, (void *)&b, sizeof(b)), EAFNOSUPPORT);
    close(x);
    close(y);
}

TEST(refused_when_connected)
{
    struct sockaddr_in a, b;
    int x = bound(&a), y = bound(&b);
    struct pollfd p;
    char c;

    close(y);
    CHECK_EQ(sendto(x, "q", 1, 0, (void *)&b, sizeof(b)), 1);
    CHECK_ERR(recv(x, &c, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(connect(x, (void *)&b, sizeof(b)), 0);
    CHECK_EQ(send(x, "q", 1, 0), 1);
    p = (struct pollfd){.fd = x, .events = POLLIN};
    CHECK_EQ(poll(&p, 1, 0), 1);
    CHECK_EQ(p.revents, POLLERR);
    CHECK_ERR(recv(x, &c, 1, 0), ECONNREFUSED);
    CHECK_EQ(send(x, "q", 1, 0), 1);
    CHECK_ERR(send(x, "q", 1, 0), ECONNREFUSED);
    close(x);
}

TEST(connected_filters)
{
    struct sockaddr_in a, b, c;
    int x = bound(&a), y = bound(&b), z = bound(&c);
    char buf;

    CHECK_EQ(connect(x, (void *)&b, sizeof(b)), 0);
    CHECK_EQ(sendto(z, "z", 1, 0, (void *)&a, sizeof(a)), 1);
    CHECK_ERR(recv(x, &buf, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(sendto(y, "y", 1, 0, (void *)&a, sizeof(a)), 1);
    CHECK_EQ(recv(x, &buf, 1, 0), 1);
    CHECK_EQ(buf, 'y');
    close(x);
    close(y);
    close(z);
}

TEST(packet_info)
{
    struct sockaddr_in a, b;
    int x = bound(&a), y = bound(&b), on = 1;
    char buf[8], ctl[256];
    struct iovec iov = {buf, sizeof(buf)};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)};
    struct cmsghdr *h;
    int seen = 0;

    CHECK_EQ(setsockopt(y, IPPROTO_IP, IP_PKTINFO, &on, 4), 0);
    CHECK_EQ(setsockopt(y, IPPROTO_IP, IP_RECVTTL, &on, 4), 0);
    CHECK_EQ(sendto(x, "q", 1, 0, (void *)&b, sizeof(b)), 1);
    CHECK_EQ(recvmsg(y, &m, 0), 1);
    for (h = CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
        if (h->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo pi;

            memcpy(&pi, CMSG_DATA(h), sizeof(pi));
            CHECK_EQ(pi.ipi_addr.s_addr, htonl(INADDR_LOOPBACK));
            CHECK_EQ(pi.ipi_ifindex, (int)if_nametoindex("lo"));
            seen |= 1;
        } else if (h->cmsg_type == IP_TTL) {
            int ttl;

            memcpy(&ttl, CMSG_DATA(h), sizeof(ttl));
            CHECK_EQ(ttl, 64);
            seen |= 2;
        }
    }
    CHECK_EQ(seen, 3);
    close(x);
    close(y);
}

TEST(original_destination)
{
    struct sockaddr_in a, b, seen;
    int x = bound(&a), y = bound(&b), on = 1;
    char buf[8], ctl[256];
    struct iovec iov = {buf, sizeof(buf)};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)};
    struct cmsghdr *h;

    CHECK_EQ(setsockopt(y, IPPROTO_IP, IP_RECVORIGDSTADDR, &on, 4), 0);
    CHECK_EQ(sendto(x, "q", 1, 0, (void *)&b, sizeof(b)), 1);
    CHECK_EQ(recvmsg(y, &m, 0), 1);
    h = CMSG_FIRSTHDR(&m);
    REQUIRE(h != NULL);
    CHECK_EQ(h->cmsg_level, IPPROTO_IP);
    CHECK_EQ(h->cmsg_type, IP_ORIGDSTADDR);
    CHECK_EQ(h->cmsg_len, CMSG_LEN(sizeof(seen)));
    memcpy(&seen, CMSG_DATA(h), sizeof(seen));
    CHECK_EQ(seen.sin_family, AF_INET);
    CHECK_EQ(seen.sin_port, b.sin_port);
    CHECK_EQ(seen.sin_addr.s_addr, b.sin_addr.s_addr);
    CHECK(CMSG_NXTHDR(&m, h) == NULL);
    close(x);
    close(y);
}

TEST(original_destination_ipv6)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT}, seen;
    int x = socket(AF_INET6, SOCK_DGRAM, 0), on = 1, value = 0;
    socklen_t len = sizeof(a), size = sizeof(value);
    char buf[8], ctl[256];
    struct iovec iov = {buf, sizeof(buf)};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl)};
    struct cmsghdr *h;

    if (x < 0 || bind(x, (void *)&a, sizeof(a)) < 0)
        SKIP("no IPv6");
    CHECK_EQ(getsockname(x, (void *)&a, &len), 0);
    CHECK_EQ(setsockopt(x, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, &on, 4), 0);
    CHECK_EQ(getsockopt(x, IPPROTO_IPV6, IPV6_RECVORIGDSTADDR, &value, &size), 0);
    CHECK_EQ(value, 1);
    CHECK_EQ(sendto(x, "q", 1, 0, (void *)&a, sizeof(a)), 1);
    CHECK_EQ(recvmsg(x, &m, 0), 1);
    h = CMSG_FIRSTHDR(&m);
    REQUIRE(h != NULL);
    CHECK_EQ(h->cmsg_level, IPPROTO_IPV6);
    CHECK_EQ(h->cmsg_type, IPV6_ORIGDSTADDR);
    CHECK_EQ(h->cmsg_len, CMSG_LEN(sizeof(seen)));
    memcpy(&seen, CMSG_DATA(h), sizeof(seen));
    CHECK_EQ(seen.sin6_port, a.sin6_port);
    CHECK(!memcmp(&seen.sin6_addr, &a.sin6_addr, sizeof(seen.sin6_addr)));
    close(x);
}

TEST(error_queue)
{
    struct sockaddr_in a, b, name;
    int x = bound(&a), y = bound(&b), on = 1;
    char buf[8], ctl[256];
    struct iovec iov = {buf, sizeof(buf)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_name = &name,
                       .msg_namelen = sizeof(name),
                       .msg_control = ctl,
                       .msg_controllen = sizeof(ctl)};
    struct cmsghdr *h;
    struct sock_extended_err ee;

    close(y);
    CHECK_EQ(setsockopt(x, IPPROTO_IP, IP_RECVERR, &on, 4), 0);
    CHECK_EQ(sendto(x, "gone", 4, 0, (void *)&b, sizeof(b)), 4);
    CHECK_EQ(recvmsg(x, &m, MSG_ERRQUEUE), 4);
    CHECK(m.msg_flags & MSG_ERRQUEUE);
    CHECK_EQ(name.sin_port, b.sin_port);
    h = CMSG_FIRSTHDR(&m);
    REQUIRE(h && h->cmsg_type == IP_RECVERR);
    memcpy(&ee, CMSG_DATA(h), sizeof(ee));
    CHECK_EQ(ee.ee_errno, ECONNREFUSED);
    CHECK_EQ(ee.ee_origin, SO_EE_ORIGIN_ICMP);
    CHECK_EQ(ee.ee_type, 3);
    CHECK_EQ(ee.ee_code, 3);
    close(x);
}

TEST(limits)
{
    static char big[70000];
    struct sockaddr_in a;
    int x = bound(&a);

    CHECK_ERR(sendto(x, big, 65508, 0, (void *)&a, sizeof(a)), EMSGSIZE);
    CHECK_EQ(sendto(x, big, 60000, 0, (void *)&a, sizeof(a)), 60000);
    CHECK_EQ(recv(x, big, sizeof(big), 0), 60000);
    a.sin_addr.s_addr = htonl(INADDR_BROADCAST);
    CHECK_ERR(sendto(x, big, 1, 0, (void *)&a, sizeof(a)), EACCES);
    CHECK_ERR(shutdown(x, SHUT_RDWR), ENOTCONN);
    close(x);
}

TEST(multicast_on_lo)
{
    struct sockaddr_in any = {.sin_family = AF_INET}, to;
    struct ip_mreqn mr = {.imr_ifindex = (int)if_nametoindex("lo")};
    int r = socket(AF_INET, SOCK_DGRAM, 0), w = socket(AF_INET, SOCK_DGRAM, 0);
    socklen_t len = sizeof(to);
    char c;

    CHECK_EQ(bind(r, (void *)&any, sizeof(any)), 0);
    CHECK_EQ(getsockname(r, (void *)&to, &len), 0);
    mr.imr_multiaddr.s_addr = htonl(0xe0010203);
    CHECK_EQ(setsockopt(r, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mr, sizeof(mr)), 0);
    CHECK_ERR(setsockopt(r, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mr, sizeof(mr)), EADDRINUSE);
    CHECK_EQ(setsockopt(w, IPPROTO_IP, IP_MULTICAST_IF, &mr, sizeof(mr)), 0);
    to.sin_addr = mr.imr_multiaddr;
    CHECK_EQ(sendto(w, "m", 1, 0, (void *)&to, sizeof(to)), 1);
    CHECK_EQ(recv(r, &c, 1, MSG_DONTWAIT), 1);
    CHECK_EQ(setsockopt(r, IPPROTO_IP, IP_DROP_MEMBERSHIP, &mr, sizeof(mr)), 0);
    CHECK_ERR(setsockopt(r, IPPROTO_IP, IP_DROP_MEMBERSHIP, &mr, sizeof(mr)), EADDRNOTAVAIL);
    close(r);
    close(w);
}

GUEST_TEST_MAIN
