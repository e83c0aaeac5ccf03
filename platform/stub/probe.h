/* SPDX-License-Identifier: Apache-2.0 */
/* The probe of back ends that use stub processes: starts one in a child process and measures it. */
#pragma once

#include "platform/stub/space.h"

/* hint: appended when the host forbids something. */
int stub_probe(const struct platform_ops *ops, stub_start_fn *start, const char *hint,
               struct platform_probe *out);
