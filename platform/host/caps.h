/* SPDX-License-Identifier: Apache-2.0 */
/* The capability sets of the calling thread. */
#pragma once

#include <stdint.h>

#include "platform/base/compiler.h"

/* Bit n is capability n. */
struct host_caps {
    uint64_t effective, permitted, inheritable;
};

int MUST_CHECK host_caps_get(struct host_caps *out);
int MUST_CHECK host_caps_set(const struct host_caps *caps);
/* Empties the bounding set; needs CAP_SETPCAP (-EPERM). */
int MUST_CHECK host_caps_drop_bounding(void);
