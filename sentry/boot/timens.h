/* SPDX-License-Identifier: Apache-2.0 */
/* The time namespace of a container: linux.namespaces "time" and linux.timeOffsets. */
#pragma once

#include "sentry/boot/container.h"

struct timens;
/* *out is +1, or NULL when the container has none. -EINVAL with *e set. */
int MUST_CHECK boot_time_namespace(const json_t *spec, struct timens **out, struct boot_error *e);
