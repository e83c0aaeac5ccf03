/* SPDX-License-Identifier: Apache-2.0 */
/* The mount option tmpcopyup: a new tmpfs starts with what the image has in that directory. */
#pragma once

#include "sentry/fs/vfs.h"

/* Copies what is in the directory from (nothing that is mounted below it) into the directory called to: contents, owners, modes, times;
 * devices and sockets too. A path of the caller's root. -errno: -ENOSPC where it does not fit, -ENAMETOOLONG. */
int boot_copy_tree(const struct path *from, const char *to);
