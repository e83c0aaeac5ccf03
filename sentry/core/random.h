/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes of the host's kernel, for guests and hash seeds. */
#pragma once

#include "platform/base/compiler.h"

/* Bytes filled in (all of them up to 256), or -errno. Never blocks: the host's pool is ready. */
int64_t random_bytes(void *buf, size_t size);
