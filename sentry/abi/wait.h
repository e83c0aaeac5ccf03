/* SPDX-License-Identifier: Apache-2.0 */
/* wait(2) options and status words. */
#pragma once

#include "sentry/abi/types.h"

#define LX_WNOHANG     0x00000001
#define LX_WUNTRACED   0x00000002
#define LX_WSTOPPED    0x00000002
#define LX_WEXITED     0x00000004
#define LX_WCONTINUED  0x00000008
#define LX_WNOWAIT     0x01000000
#define LX___WNOTHREAD 0x20000000
#define LX___WALL      0x40000000
#define LX___WCLONE    ((int)0x80000000u)

#define LX_WCOREFLAG 0x80 /* of a status word: a core file was written */

#define LX_P_ALL   0
#define LX_P_PID   1
#define LX_P_PGID  2
#define LX_P_PIDFD 3
