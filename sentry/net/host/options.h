/* SPDX-License-Identifier: Apache-2.0 */
/* Which socket options reach the host. Inside net/host/ and its tests only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HOST_OPT_GET     1u
#define HOST_OPT_SET     2u
#define HOST_OPT_NET_RAW 4u /* setting needs the guest's CAP_NET_RAW or CAP_NET_ADMIN */

struct host_option {
    int level, first, last; /* names first to last */
    uint32_t flags;
};

extern const struct host_option g_host_options[];
extern const size_t g_host_option_count;
