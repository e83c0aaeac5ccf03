/* SPDX-License-Identifier: Apache-2.0 */
/* What ps and top show of a process that executes nothing: the memory of its arguments. */
#pragma once

#include <jansson.h>

/* Once, at the start of main: environ is moved away, so that its place can be used too. */
void title_init(int argc, char **argv);
/* The command line becomes args (an array of strings), as far as they fit; the name its first. */
void title_set(const json_t *args);
