/* SPDX-License-Identifier: Apache-2.0 */
/* Names of host users. */
#pragma once

#include <stddef.h>

/* The name of uid in /etc/passwd, or its number. */
void user_name(unsigned uid, char *buf, size_t size);
