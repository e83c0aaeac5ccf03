/* SPDX-License-Identifier: Apache-2.0 */
/* Guest tests' own seccomp filters. */
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

#include "tests/support/guest_test.h"

/* seccomp(2) with a filter by which call nr gets action and all others are allowed. */
__attribute__((unused)) static long filter_one_call(int nr, uint32_t action, unsigned flags)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {4, code};

    return sysp(SYS_seccomp, (unsigned)SECCOMP_SET_MODE_FILTER, flags, &prog);
}
