/* SPDX-License-Identifier: Apache-2.0 */
/* Classic BPF: checker and interpreter, for seccomp (over struct seccomp_data) and for sockets (over
 * packets). Programs are hostile. */
#pragma once

#include <stddef.h>

#include "platform/base/compiler.h"
#include "sentry/abi/seccomp.h"

enum bpf_kind { BPF_KIND_SECCOMP, BPF_KIND_SOCKET };

/* Is this a program of the kind (known codes, jumps inside, loads aligned and in bounds or of a known
 * ancillary word, scratch memory written before it is read, ends in a return)? 0 or -EINVAL. */
int MUST_CHECK bpf_check(enum bpf_kind kind, const struct lx_sock_filter *insns, uint32_t count);
/* Does a checked program allow call nr of arch whatever its arguments and address are? False also
 * when that cannot be told without running it. */
bool bpf_allows_always(const struct lx_sock_filter *insns, int32_t nr, uint32_t arch);
/* A checked program's verdict. Terminates: jumps go forward only. */
uint32_t bpf_run(const struct lx_sock_filter *insns, const struct lx_seccomp_data *data);

#define BPF_NO_HEADER ((size_t)-1)

/* What a socket's program sees: bytes[start..size) from offset 0 on, and the headers before that with
 * SKF_LL_OFF and SKF_NET_OFF, if there are any. Borrows all. */
struct bpf_packet {
    const uint8_t *bytes;
    size_t size, start;
    size_t link, net;  /* where the headers begin, or BPF_NO_HEADER */
    uint16_t protocol; /* ETH_P_*, 0 unknown */
    uint16_t hatype;   /* ARPHRD_* */
    uint8_t type;      /* PACKET_* */
    uint32_t ifindex;  /* 0: none */
    uint32_t mark;
};

/* How many bytes of the packet the socket takes, counted from start. A load outside of the packet ends a
 * program with 0. */
uint32_t bpf_run_packet(const struct lx_sock_filter *insns, const struct bpf_packet *packet);
