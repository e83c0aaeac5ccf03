/* SPDX-License-Identifier: Apache-2.0 */
/* linux.resources of config.json as limits of the container's control group. */
#pragma once

#include <jansson.h>

#include "sentry/boot/container.h"

struct kcgroup;

/* The rules of linux.resources.devices, which may be NULL: then *out is. -ENOMEM. */
struct dev_rules;
int MUST_CHECK boot_devices(const json_t *list, struct dev_rules **out);
/* resources may be NULL. first: of the sandbox's first container, in whose host cgroup the sandbox itself
 * is: its memory limit bounds all guests together. Sets e and returns -errno when a value is refused. */
int MUST_CHECK boot_resources(const json_t *resources, struct kcgroup *cg, bool first,
                              struct boot_error *e);
/* A process of the container whose group is top into the group path below it. -ENOENT, -EBUSY. */
struct task;
int MUST_CHECK boot_enter_cgroup(struct kcgroup *top, const char *path, struct task *t);
