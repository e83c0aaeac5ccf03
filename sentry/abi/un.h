/* SPDX-License-Identifier: Apache-2.0 */
/* unix(7) addresses. */
#pragma once

#include "sentry/abi/types.h"

#define LX_UNIX_PATH_MAX 108

struct lx_sockaddr_un {
    uint16_t family;
    char path[LX_UNIX_PATH_MAX];
};
static_assert(sizeof(struct lx_sockaddr_un) == 110, "sockaddr_un");

#define LX_SIOCUNIXFILE 0x89e0
