/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is mounted below the source of a bind mount. Inside, a bind mount with all that lies below it is one mount, which is right as
 * long as all of it is alike. `rbind` with `ro` is not: on Linux only the top becomes read-only (`rro` is for all). Such a mount is
 * written out: the top without what lies below, then a bind mount for each of those.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "runsc-c/support/err.h"

/* spec.mounts, written out; new reference, NULL with e set. More than SUBMOUNTS_MAX stay one mount, read-only as a whole, which is
 * said in the log. */
enum { SUBMOUNTS_MAX = 32 };
json_t *submounts_write_out(const json_t *spec, struct err *e);
/* Does the mount's option list have it? */
bool submounts_option(const json_t *mount, const char *name);
