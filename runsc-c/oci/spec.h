/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The OCI runtime configuration (config.json, OCI runtime-spec 1.0.2/1.1): loading with exact error
 * positions, schema check, and building one for `do` and `spec`. The checked JSON object is what
 * the sentry gets; nothing is interpreted twice.
 */
#pragma once

#include <jansson.h>

#include "runsc-c/support/err.h"

/* Reads BUNDLE/config.json. The caller owns the result (json_decref). */
json_t *spec_load(const char *bundle, struct err *e);
/* The same for the directory called bundle, whose absolute path goes to absolute; looks also
 * whether the root file system is there. */
json_t *spec_load_bundle(const char *bundle, char *absolute, size_t size, struct err *e);
/* Reads and checks a process object (exec --process). */
json_t *spec_load_process(const char *path, struct err *e);
/* Types, required members, contradictions. The message names the member ("process.user.uid"). */
int spec_check(const json_t *spec, struct err *e);
int spec_check_process(const json_t *process, struct err *e);
/* What `runsc-c spec` writes: a complete example as runc's. */
json_t *spec_example(bool rootless);
/* For `do`: the given command on the host's root with an overlay. args: NULL-terminated. */
json_t *spec_for_do(char **args, const char *cwd, bool terminal);
/* OCI capability name to number, -1 when unknown. */
int spec_capability(const char *name);
/* All names, in the order of their numbers; new reference. */
json_t *spec_capability_names(void);
