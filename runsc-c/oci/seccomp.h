/* SPDX-License-Identifier: Apache-2.0 */
/* linux.seccomp: the profile as a BPF program, which the sentry runs for every guest system call. */
#pragma once

#include <jansson.h>

#include "runsc-c/support/err.h"

/* The program's instructions in hexadecimal, a new reference; JSON null when spec has no profile.
 * NULL with *e set, which names the member that is wrong. Names that libseccomp does not know are
 * left out, as runc does. */
json_t *seccomp_compile(const json_t *spec, struct err *e);
