/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing what two runs left in their directories. Both trees are hostile. */
#pragma once

#include "runsc-c/compat/compat.h"

/* Appends {"what": "file", "name", "text"} for each entry that differs in kind, permissions, target
 * or content; at most TREE_DIFFERENCES. only: array of patterns (fnmatch) or NULL for all. */
int tree_compare(const char *native, const char *sandbox, const json_t *only, json_t *differences);

#define TREE_DIFFERENCES 50
#define TREE_ENTRIES     20000 /* looked at */

/* Removes what is below and the directory itself, as far as it can be. */
void tree_remove(const char *path);
