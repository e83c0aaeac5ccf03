/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host cgroup of a container: made before its first process exists, entered by the proxy, the
 * gofer and the sentry before they are let go, remembered in state.json. A pod's members have
 * cgroups of their own for proxy and gofer; the sentry is in the one of the sandbox.
 */
#pragma once

#include <jansson.h>

#include "runsc-c/cgroup/cgroup.h"
#include "runsc-c/container/state.h"
#include "runsc-c/support/err.h"

/* Makes the cgroup with the limits of spec and notes it in c, which is saved. *out is freed with cgroup_free. */
int limits_make(struct container *c, const json_t *spec, struct cgroup **out, struct err *e);
/* Sets what resources says, as it is to be for a sandbox (cgroup_sandbox_resources). */
int limits_apply(struct cgroup *cg, const json_t *resources, struct err *e);
/* What somebody froze cannot be killed. */
void limits_thaw(const struct container *c);
/* SIGKILL to everybody in it, frozen or not. */
int limits_kill(const struct container *c, struct err *e);
/* Removes it. Nobody may be in it any more. */
int limits_remove(const struct container *c, struct err *e);
