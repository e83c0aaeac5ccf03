/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device lo of a network namespace: its settings and its addresses. What an address makes
 * reachable is what Linux's local table would have: on lo that is the whole prefix of an IPv4 address
 * and an IPv6 address alone.
 */
#pragma once

#include "sentry/net/inet/inet.h"

/* Lifetime: unique, on netns->lo_addrs. All immutable but node. */
struct lo_addr {
    struct list node; /* netns->lo_lock */
    struct inet_addr addr;
    struct inet_addr
        primary;    /* the first of its prefix, which packets come from; set by lo_addr_add */
    uint8_t len;    /* prefix length, of the address's own family */
    uint8_t scope;  /* RT_SCOPE_* */
    uint32_t flags; /* IFA_F_* */
    char label[16]; /* IPv4 */
};

void lo_init(struct netns *ns);
void lo_destroy(struct netns *ns);

/* netns_set_lo_up and netns_lo_up are in netns.h. Linux: coming up adds 127.0.0.1/8 and ::1, going down
 * removes the IPv6 addresses. */

/* DEVIATION: so many addresses; each is looked at for each packet. */
#define LO_ADDRS_MAX 4096

/* -ENOMEM, -EEXIST, -EINVAL: the prefix is there with another scope. A further address of a prefix is secondary. */
int MUST_CHECK lo_addr_add(struct netns *ns, const struct lo_addr *a);
/* The first address with this value, prefix length (-1: any) and label ("": any) goes; a primary one takes
 * its secondaries along. fn learns of each. -EADDRNOTAVAIL. */
int MUST_CHECK lo_addr_remove(struct netns *ns, const struct inet_addr *addr, int len,
                              const char *label, void (*fn)(const struct lo_addr *a, void *arg),
                              void *arg);
/* Calls fn for each address, under lo_lock, a leaf. */
void lo_each_addr(struct netns *ns, void (*fn)(const struct lo_addr *a, void *arg), void *arg);
/* Is addr this host's, be lo up or down? out_src: whom packets to it come from; may be NULL. */
bool lo_is_local(struct netns *ns, const struct inet_addr *addr, struct inet_addr *out_src);
/* Does the prefix a/len contain b? */
bool lo_prefix_has(const struct inet_addr *a, uint8_t len, const struct inet_addr *b);
