/* SPDX-License-Identifier: Apache-2.0 */
/* What only mm/ needs of the memory file. */
#pragma once

#include "sentry/mm/memfile.h"

/* As memfile_alloc, preferably starting at page hint (MEMFILE_NONE: anywhere), so that runs that
 * follow each other in an address space do so in the file and merge in the host. 1: the host has the
 * pages already, to map them costs a tenth of what it costs to touch them one by one. */
int MUST_CHECK memfile_alloc_near(enum memfile_kind kind, uint32_t count, mfpage_t hint,
                                  mfpage_t *out_first);
/* The pages hold old bytes of anybody: the caller overwrites all of them before the guest can see
 * one. */
int MUST_CHECK memfile_alloc_uninit(enum memfile_kind kind, uint32_t count, mfpage_t *out_first);
/* Gives every free page back to the host. */
void memfile_trim(void);
