/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Balanced trees and hash tables come from libbsd (RB_* of sys/tree.h) and uthash (HASH_*, UT_*),
 * header-only. This is the only place that includes them, so that their options are the same
 * everywhere. uthash's out-of-memory path is non-fatal: after HASH_ADD test uthash_oom(elt->hh).
 */
#pragma once

#include <bsd/sys/tree.h>

#include "platform/base/compiler.h"

/* libbsd's macro relies on a BSD-only spelling of the attribute. */
#undef RB_GENERATE_STATIC
#define RB_GENERATE_STATIC(name, type, field, cmp)                                                 \
    RB_GENERATE_INTERNAL(name, type, field, cmp, UNUSED static)

#define HASH_NONFATAL_OOM 1
/* One at a time: the default (Jenkins) falls through switch labels, which clang reports in every
 * file that uses it. */
#define HASH_FUNCTION(key, size, hash) HASH_OAT(key, size, hash)
#include <uthash.h>

/* True when the HASH_ADD that just ran for the element with handle hh ran out of memory. */
#define uthash_oom(hh) ((hh).tbl == NULL)
