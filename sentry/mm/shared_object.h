/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Anonymous memory as an object that several address spaces share: MAP_SHARED|MAP_ANONYMOUS, SysV
 * shared memory. Pages of the memory file, allocated on first touch, zero until then.
 */
#pragma once

#include "sentry/mm/mappable.h"

/* An object of size bytes (rounded up to pages) with one reference for the caller, given back with
 * (*out)->ops->put(*out). Access past the size is SIGBUS. reserve: refuse what overcommit refuses.
 * -EINVAL (more than a file can have), -ENOMEM. */
int MUST_CHECK shared_object_new(uint64_t size, bool reserve, struct mappable **out);
/* Bytes of memory in use (shm_rss). */
uint64_t shared_object_resident(struct mappable *m);
/* Is m one of these? (its vmas show as /dev/zero) */
bool shared_object_is(const struct mappable *m);
