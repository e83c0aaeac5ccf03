/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to the gofer: many sentry threads ask, each in a slot whose number is the tag. The
 * thread that finds nobody reading reads the socket itself and hands replies of others over, so the
 * usual case (one asker) costs one send and one receive.
 *
 *     struct gofer_slot *c;
 *     ret = session_begin(s, GP_GETATTR, &c);      // waits for a free slot
 *     wbuf_u32(&c->out, fid);
 *     ret = session_call(c);                       // 0 or the gofer's -errno; c->in is the body
 *     gp_get_attr(&c->in, &attr);
 *     ret = session_end(c, ret);                   // -EIO and end of session when c->in went bad
 *
 * The wait for a reply is not interruptible by guest signals; the end of the session ends it
 * (-EIO).
 */
#pragma once

#include "gofer/proto/proto.h"
#include "platform/base/lock.h"

#define SESSION_SLOTS 64u

struct gofer_session;

/* Lifetime: embedded in the session. Owned by one thread between begin and end.
 * Keys: s session lock; o owner thread */
struct gofer_slot {
    struct gofer_session *session;
    struct wbuf out;     /* o: request body goes here */
    struct rbuf in;      /* o: reply body, after session_call */
    uint8_t *buf;        /* o: request, then reply; GP_MSG_MAX bytes */
    uint32_t size;       /* s: bytes of the reply */
    uint16_t type;       /* o */
    int fds[GP_FDS_MAX]; /* o after the call: received; session_end closes those not -1 */
    uint32_t fd_count;
    bool waiting, done; /* s */
    struct cond cond;
    uint32_t next_free; /* s */
};

/* Lifetime: unique, owned by the gofer super. Keys: I immutable; s ->lock */
struct gofer_session {
    int sock;                              /* I */
    uint32_t max_size, max_fids, features; /* I after hello */
    struct mutex lock;                     /* rank GOFER */
    struct gofer_slot slots[SESSION_SLOTS];
    uint32_t free_slot; /* s: list through next_free, SESSION_SLOTS: none */
    struct cond slot_freed;
    bool reading;                      /* s: somebody is in recvmsg */
    bool dead;                         /* s */
    uint32_t *free_fids;               /* s: stack */
    uint32_t free_fid_count, next_fid; /* s */
    uint32_t clunks[64];               /* s: released by us, not told to the gofer yet */
    uint32_t clunk_count;              /* s */
    uint64_t round_trips;              /* s: statistics */
};

/* Takes sock over, also on failure. */
int MUST_CHECK session_new(int sock, struct gofer_session **out);
/* No call in progress. */
void session_free(struct gofer_session *s);

/* -EIO when the session is dead. */
int MUST_CHECK session_begin(struct gofer_session *s, uint16_t type, struct gofer_slot **out);
int MUST_CHECK session_call(struct gofer_slot *c);
/* Gives the slot back. Returns ret, or -EIO when ret was fine but the reply is not exactly what was
 * read from it: the session ends then. */
int session_end(struct gofer_slot *c, int ret);
/* The first received descriptor, or -1; the caller's then. */
int session_take_fd(struct gofer_slot *c);
/* The peer broke protocol (or died). */
void session_kill(struct gofer_session *s, const char *reason);

/* A free fid, or -EMFILE. */
int MUST_CHECK session_fid_alloc(struct gofer_session *s, uint32_t *out);
/* A fid that was never bound. */
void session_fid_unused(struct gofer_session *s, uint32_t fid);
/* A bound fid; told to the gofer soon, at once when now. */
void session_fid_clunk(struct gofer_session *s, uint32_t fid, bool now);
