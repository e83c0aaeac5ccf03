/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "runsc-c/support/err.h"

/* "TERM", "SIGTERM", "term" or "15" to 15; error for anything else. */
int signal_parse(const char *text, struct err *e);
