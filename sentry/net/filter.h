/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SO_ATTACH_FILTER: a classic BPF program that is asked about every datagram on its way into an
 * endpoint's queue, and takes all, a part or nothing of it. socket(7).
 *
 * TCP asks about the segments that there would be: inet/tcp_filter.c. DEVIATION: a program for a
 * group of SO_REUSEPORT is checked and not asked: the load stays shared.
 */
#pragma once

#include "sentry/core/bpf.h"
#include "sentry/net/sock.h"

/* The names of SOL_SOCKET that end in FILTER or BPF. -ENOPROTOOPT: not one of them. val is a sentry
 * copy of len bytes; the program it points to is copied in. */
int filter_setsockopt(struct sock *sk, int name, const void *val, uint32_t len);
/* SO_GET_FILTER: copies the program out if count instructions hold it, or if count is 0 nothing.
 * Returns its length, 0 without one, or -errno. */
int filter_get(struct sock *sk, uaddr_t to, uint32_t count);
void filter_destroy(struct sock *sk);

static inline bool sock_has_filter(struct sock *sk)
{
    return sk->flags & SOCK_F_FILTER;
}
/* Does sk take the packet? *size: how many bytes of it from packet->start on, at least `cap` of them. Holds
 * no lock. */
bool sock_filter_packet(struct sock *sk, const struct bpf_packet *packet, size_t cap, size_t *size);
/* The same with sk->lock held. */
bool sock_filter_packet_locked(struct sock *sk, const struct bpf_packet *packet, size_t cap,
                               size_t *size);
/* child, which nobody knows yet, has the program of its listener (locked), and its lock. */
void filter_inherit_locked(struct sock *listener, struct sock *child);
/* As sock_filter_packet, for a message of *size bytes without headers, which *size is cut to. */
bool sock_filter_bytes(struct sock *sk, const void *bytes, size_t *size);
