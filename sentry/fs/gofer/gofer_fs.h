/* SPDX-License-Identifier: Apache-2.0 */
/* The file system of host trees that the gofer serves. See README.md. */
#pragma once

#include "platform/base/compiler.h"

struct super;

/* Nobody else changes the tree: names, absences and attributes are cached for ever. */
#define GOFER_EXCLUSIVE 1u
/* Others may change the tree: every use of a name asks the gofer. */
#define GOFER_SHARED   2u
#define GOFER_READONLY 4u
/* The super will be a layer of an overlay (SUPER_LOWER). */
#define GOFER_LOWER 8u

/* Says hello on sock_fd (taken over, also on failure) and attaches. -EPROTO when the other side
 * does not speak the protocol. One call per tree. */
int MUST_CHECK gofer_mount(int sock_fd, uint32_t flags, struct super **out);
