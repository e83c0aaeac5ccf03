/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux.uidMappings and gidMappings as the guest sees them. The gofer has the same mappings (runsc-c/sandbox/idmap.h), so
 * ids inside are the sentry's own; what is to be done here is that there are no others, and that /proc/self/uid_map says what
 * they are outside. The user namespace is the sandbox's, so its first container's mappings count.
 */
#pragma once

#include <jansson.h>

/* Before the first task exists. 0 or -errno: -ENOMEM, -EINVAL. Nothing where the container has no user namespace of its own, or one
 * without id 0, whose files the gofer cannot tell apart. */
int boot_idmaps(const json_t *spec);
