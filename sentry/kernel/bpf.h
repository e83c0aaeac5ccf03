/* SPDX-License-Identifier: Apache-2.0 */
/* Classic BPF over struct seccomp_data: checker and interpreter. Programs are hostile. */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/abi/seccomp.h"

/* Is this a program that seccomp accepts (known codes, jumps inside, loads aligned and in bounds,
 * scratch memory written before it is read, ends in a return)? 0 or -EINVAL. */
int MUST_CHECK bpf_check(const struct lx_sock_filter *insns, uint32_t count);
/* Does a checked program allow call nr of arch whatever its arguments and address are? False also
 * when that cannot be told without running it. */
bool bpf_allows_always(const struct lx_sock_filter *insns, int32_t nr, uint32_t arch);
/* A checked program's verdict. Terminates: jumps go forward only. */
uint32_t bpf_run(const struct lx_sock_filter *insns, const struct lx_seccomp_data *data);
