/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON helpers on jansson. Unix strings are bytes, JSON strings are UTF-8: a string that is not
 * valid UTF-8 travels as {"hex": "..."} between the command and the sentry (sentry/boot/config.c
 * reads it).
 */
#pragma once

#include <jansson.h>

#include "runsc-c/support/err.h"

/* New reference: string or hex object. */
json_t *json_bytes(const char *s);
/* json_object_get(...) as string, or fallback when absent. */
const char *json_get_string(const json_t *obj, const char *name, const char *fallback);
/* Writes JSON to path.tmp and renames it over path: readers see the old or the new file. */
int json_save(const json_t *v, const char *path, struct err *e);
