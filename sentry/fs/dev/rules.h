/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which devices the processes of a container may open: OCI linux.resources.devices. The rules belong to the fs_ctx
 * of the container's processes and never change. Making nodes is always allowed, and so are the devices that every
 * container has, as with other runtimes.
 */
#pragma once

#include "platform/base/compiler.h"
#include "sentry/fs/vfs.h"

#define DEV_MAY_READ  1u
#define DEV_MAY_WRITE 2u

struct dev_rule {
    bool allow;
    char type;            /* 'c', 'b' or 'a': both */
    int64_t major, minor; /* -1: any */
    uint32_t access;      /* DEV_MAY_* that it is about */
};

/* Lifetime: refcounted; dev_rules_new, dev_rules_get/put. */
struct dev_rules;

int MUST_CHECK dev_rules_new(const struct dev_rule *list, size_t count, struct dev_rules **out);
/* NULL is fine: everything is allowed. */
struct dev_rules *dev_rules_get(struct dev_rules *r);
void dev_rules_put(struct dev_rules *r);
/* The last rule that fits decides, for each kind of access. */
bool dev_rules_allow(const struct dev_rules *r, uint32_t mode, lx_dev_t dev, uint32_t access);
/* Those of the tasks that use c and of their children. Before the first of them runs. */
void fs_ctx_set_devices(struct fs_ctx *c, struct dev_rules *r);
