/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes of the host's generator, for guests and for our own hashes and ids. */
#pragma once

#include <stddef.h>

/* Fills buf; never fails. */
void random_bytes(void *buf, size_t size);
