/* SPDX-License-Identifier: Apache-2.0 */
/* What only mm/ needs of host files: their number in page map entries, and windows to their bytes.
 */
#pragma once

#include "sentry/mm/hostmem.h"

/* Small number that names h while anybody holds a reference; fits in HOSTMEM_INDEX_BITS. */
#define HOSTMEM_INDEX_BITS 20
uint32_t hostmem_index(const struct hostmem *h);
/* Borrowed: the caller knows that a reference exists (a page map entry holds one). */
struct hostmem *hostmem_by_index(uint32_t index);
void hostmem_get_many(struct hostmem *h, uint32_t count);
void hostmem_put_many(struct hostmem *h, uint32_t count);

struct host_window;
/* Maps the byte range [off, off+size) of the file, which must not cross a page, into the sentry.
 * *out_ptr stays valid until hostmem_unpin; access through safecopy.h only. -ENOMEM. */
int MUST_CHECK hostmem_pin(struct hostmem *h, uint64_t off, void **out_ptr,
                           struct host_window **out_win);
void hostmem_unpin(struct host_window *w);
/* Bytes from off to the end of its window. */
size_t hostmem_window_left(uint64_t off);
/* Once, from mm_subsystem_init or earlier. */
void hostmem_subsystem_init(void);
