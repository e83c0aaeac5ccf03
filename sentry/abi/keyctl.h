/* SPDX-License-Identifier: Apache-2.0 */
/* keyctl(2): operations, special ids, permissions. */
#pragma once

#include "sentry/abi/types.h"

#define LX_KEY_SPEC_THREAD       (-1)
#define LX_KEY_SPEC_PROCESS      (-2)
#define LX_KEY_SPEC_SESSION      (-3)
#define LX_KEY_SPEC_USER         (-4)
#define LX_KEY_SPEC_USER_SESSION (-5)
#define LX_KEY_SPEC_REQKEY_AUTH  (-7)

#define LX_KEYCTL_GET_KEYRING_ID   0
#define LX_KEYCTL_JOIN_SESSION     1
#define LX_KEYCTL_UPDATE           2
#define LX_KEYCTL_REVOKE           3
#define LX_KEYCTL_CHOWN            4
#define LX_KEYCTL_SETPERM          5
#define LX_KEYCTL_DESCRIBE         6
#define LX_KEYCTL_CLEAR            7
#define LX_KEYCTL_LINK             8
#define LX_KEYCTL_UNLINK           9
#define LX_KEYCTL_SEARCH           10
#define LX_KEYCTL_READ             11
#define LX_KEYCTL_INSTANTIATE      12
#define LX_KEYCTL_NEGATE           13
#define LX_KEYCTL_SET_REQKEY       14
#define LX_KEYCTL_SET_TIMEOUT      15
#define LX_KEYCTL_ASSUME_AUTHORITY 16
#define LX_KEYCTL_GET_SECURITY     17
#define LX_KEYCTL_REJECT           19
#define LX_KEYCTL_INSTANTIATE_IOV  20
#define LX_KEYCTL_INVALIDATE       21
#define LX_KEYCTL_MOVE             30
#define LX_KEYCTL_CAPABILITIES     31

#define LX_KEYCTL_MOVE_EXCL 1u

#define LX_KEY_VIEW    0x01u
#define LX_KEY_READ    0x02u
#define LX_KEY_WRITE   0x04u
#define LX_KEY_SEARCH  0x08u
#define LX_KEY_LINK    0x10u
#define LX_KEY_SETATTR 0x20u
#define LX_KEY_ALL     0x3fu

/* The same rights for possessor, owner, group and others. */
#define LX_KEY_POS(r)   ((uint32_t)(r) << 24)
#define LX_KEY_USR(r)   ((uint32_t)(r) << 16)
#define LX_KEY_PERM_ALL 0x3f3f3f3fu

#define LX_KEY_TYPE_MAX    32u   /* with its NUL */
#define LX_KEY_DESC_MAX    4096u /* with its NUL */
#define LX_KEY_PAYLOAD_MAX (1024u * 1024 - 1)
