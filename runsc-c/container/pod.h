/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pods: the annotations by which containerd's and CRI-O's CRI say that a container belongs into the
 * sandbox of another one, and the same under org.runsc-c. What else annotations say: annotations.h.
 */
#pragma once

#include <jansson.h>

#include "platform/base/compiler.h"

/* The id of the sandbox that a container's annotations name; NULL when it is a sandbox itself or no
 * part of a pod. Borrowed from spec. */
const char *pod_sandbox_of(const json_t *spec);
/* Does a member join the sandbox's pid namespace? */
bool pod_shares_pid(const json_t *spec);
