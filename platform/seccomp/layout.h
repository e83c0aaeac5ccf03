/* SPDX-License-Identifier: Apache-2.0 */
/* What stub code and sentry agree on. Included by assembly: constants only. */
#pragma once

/*
 * The fixed part of a stub, at the stub base:
 *   code       read-only, executable, sealed memory file
 *   data       read-only, the same file: constants of reports, filter programs
 *   request    read-only, one page per address space, written by the sentry
 * Above it, at STUB_SLOTS_OFF, one slot per guest thread that its space has: read-write, shared
 * with the sentry.
 */
#define STUB_PAGE        0x1000
#define STUB_CODE_SIZE   0x1000
#define STUB_DATA_OFF    0x1000
#define STUB_DATA_SIZE   0x3000
#define STUB_REQUEST_OFF 0x4000
#define STUB_FIXED_SIZE  0x5000
#define STUB_SLOTS_OFF   0x10000

/* Data pages: three tables of 256 words, digit << 0, 8, 16; the word that ends a report; the
 * programs of a guest thread's two filters (struct sock_fprog), then their code. */
#define DATA_TABLES      0x0
#define DATA_TABLE_SIZE  0x800
#define DATA_DONE        0x1800
#define DATA_PROG_THREAD 0x1810
#define DATA_PROG_LOCK   0x1820
#define DATA_CODE        0x1840

/* A report is a number below 2^24, sent in digits. */
#define REPORT_DONE       0x1000000 /* added last */
#define REPORT_ERROR      0x800000  /* errno below REPORT_DONE_SHIFT, requests done above it */
#define REPORT_DONE_SHIFT 12
#define REPORT_LIMIT      0x800000 /* process ids and descriptors are below */

/* Request page. */
#define REQ_SEQ       0  /* u32: futex; a change is a new request */
#define REQ_COMMAND   4  /* u32 */
#define REQ_BYTES     8  /* u32: size of the list of calls that comes first */
#define REQ_REPORT_FD 12 /* s32: eventfd of the space */
#define REQ_PAGES_FD  16 /* s32: for COMMAND_FORK: the child's request page */
#define REQ_PAGES_OFF 24 /* u64 */
#define REQ_SLOTS     32 /* u64: start and size of all slots */
#define REQ_SLOTS_LEN 40 /* u64 */
#define REQ_STACK     48 /* stack_t for COMMAND_THREAD */
#define REQ_CALLS     128
#define REQ_WAITERS   0xf00 /* u32[PLATFORM_WAIT_CLASSES], read by lane code */

#define COMMAND_CALLS  0 /* nothing else */
#define COMMAND_THREAD 1 /* a process for a guest thread in this address space */
#define COMMAND_FORK   2 /* a control stub with a copy of this address space */

/* One host call of the list: 40 bytes. */
#define CALL_NR    0  /* u32 */
#define CALL_PROT  4  /* u32: third argument */
#define CALL_FLAGS 8  /* u32: fourth argument */
#define CALL_FD    12 /* s32: fifth argument */
#define CALL_ADDR  16 /* u64: first argument */
#define CALL_LEN   24 /* u64: second argument */
#define CALL_OFF   32 /* u64: sixth argument */
#define CALL_SIZE  40
#define CALL_MAX   ((REQ_WAITERS - REQ_CALLS) / CALL_SIZE)

/* First words of a slot, read by the stub when it goes back to guest code. Then what the lanes use
 * (lane_code.S), a cache line each for requests and for answers. The rest of the slot is the
 * alternate signal stack, but for the last page: what the host's rseq uses while no guest's area is
 * mapped over it (stub/rseq.h). Behind each slot a page of addresses is left for its other alias. */
#define SLOT_FS       0   /* u64: segment bases */
#define SLOT_GS       8   /* u64 */
#define SLOT_SP       16  /* u64: where rt_sigreturn finds its frame */
#define SLOT_HOW      24  /* u32: SLOT_HOW_* */
#define SLOT_MAGIC    32  /* u32: LANE_MAGIC; tells that gs is a slot */
#define SLOT_SPINS    36  /* u32: how often the stub looks before it sleeps */
#define SLOT_RSEQ     40  /* u64: area to register with the host */
#define SLOT_OLD      48  /* u64: the one that was registered before */
#define SLOT_RSEQ_SIG 56  /* u32: their signatures */
#define SLOT_OLD_SIG  60  /* u32 */
#define SLOT_LANE     64  /* u32: LANE_* */
#define SLOT_NR       68  /* u32 */
#define SLOT_ARGS     72  /* u64[6]; the first becomes the result */
#define SLOT_RIP      120 /* u64: after the system call instruction */
#define SLOT_ANSWERS  128 /* u64[ANSWER_COUNT]: complements of results; 0: ask */
#define SLOT_WAITERS  192 /* u64: the address of REQ_WAITERS; 0: ask */
#define SLOT_STACK    256

#define LANE_MAGIC   0x656e616c
#define LANE_CLOSED  0 /* also: a request is being written */
#define LANE_OPEN    1 /* the sentry looks for a request */
#define LANE_REQUEST 2 /* the stub looks for the result */
#define LANE_SLEEP   4 /* the stub rings for it */

#define ANSWER_COUNT   8
#define ANSWER_NONE    7   /* is never told */
#define ANSWER_NUMBERS 187 /* calls with greater numbers have none */

/* Lane code about futex(2). */
#define LANE_FUTEX_NR   202
#define LANE_FUTEX_OP   129
#define WAIT_CLASS_MASK 0xfc

/* What a space has for its changed call sites ("room"): a page of lane code, then one of entries. */
#define ROOM_ENTRIES_OFF 0x1000
#define ENTRY_SIZE       64
#define ENTRY_COUNT      64

#define SLOT_HOW_WRBASE 1 /* bases by instruction */
#define SLOT_HOW_PRCTL  2 /* bases by arch_prctl */
#define SLOT_HOW_UNRSEQ 4 /* the old area goes */
#define SLOT_HOW_RSEQ   8 /* the new one comes */

/* Call numbers of the two places that ring the bell: any that Linux does not have. */
#define BELL_NR 0x7fff
