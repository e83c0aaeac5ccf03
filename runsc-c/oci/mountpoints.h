/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mount points of a container whose root is read-only and served as it is: those that are missing
 * are made here, because neither the gofer nor the sentry may write to that tree.
 */
#pragma once

#include <jansson.h>

#include "runsc-c/support/err.h"

/* Makes the destinations of spec.mounts, and process.cwd, that lie directly in the root file system
 * (not below another mount). Every path is resolved inside rootfs, symbolic links included. */
int mountpoints_make(const json_t *spec, const char *rootfs, struct err *e);
