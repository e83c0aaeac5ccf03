/* SPDX-License-Identifier: Apache-2.0 */
/* What stub code and sentry agree on. Included by assembly: constants only. */
#pragma once

/* A stub owns STUB_SIZE bytes at the stub base: one page of code, one page of requests. */
#define STUB_PAGE        0x1000
#define STUB_REQUEST_OFF 0x1000
#define STUB_SIZE        0x2000

/* One request: 40 bytes. */
#define REQUEST_NR    0  /* u32 */
#define REQUEST_PROT  4  /* u32: third argument */
#define REQUEST_FLAGS 8  /* u32: fourth argument */
#define REQUEST_FD    12 /* s32: fifth argument */
#define REQUEST_ADDR  16 /* u64: first argument */
#define REQUEST_LEN   24 /* u64: second argument */
#define REQUEST_OFF   32 /* u64: sixth argument */
#define REQUEST_SIZE  40
