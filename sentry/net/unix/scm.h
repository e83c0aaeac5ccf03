/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What travels beside the bytes of an AF_UNIX message: open files (SCM_RIGHTS) and the sender's
 * identity (SCM_CREDENTIALS).
 */
#pragma once

#include "sentry/net/sock.h"

struct unix_sock;

/* Lifetime: unique, owned by its nbuf (or by the call that is about to send or has received it).
 * Keys: I immutable; g the in-flight lock of scm.c */
struct scm {
    struct pid *pid; /* I, +1: thread group of the sender */
    lx_uid_t uid;    /* I: kernel ids */
    lx_gid_t gid;
    bool explicit_cred;       /* I: the sender gave SCM_CREDENTIALS itself */
    struct file **files;      /* g, each +1; emptied by the garbage collector */
    size_t file_count;        /* g */
    struct list holder_node;  /* g: on holder->scm_list while queued */
    struct unix_sock *holder; /* g, borrowed: whose queue it waits in */
};

/* Parses the guest's control messages and takes references on the files. *out is never NULL on
 * success: credentials are always known. */
int MUST_CHECK scm_from_msg(struct net_msg *m, struct scm **out);
/* The same identity without files, for the second and later pieces of a stream message. */
struct scm *scm_copy_cred(const struct scm *scm);
/* Drops everything. Holds no lock. */
void scm_free(struct scm *scm);
static inline bool scm_has_files(const struct scm *scm)
{
    return scm && scm->file_count > 0;
}
static inline bool scm_same_cred(const struct scm *a, const struct scm *b)
{
    return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}
/* Counts the files as in flight towards holder. holder's lock may be held. -ETOOMANYREFS. */
int MUST_CHECK scm_enqueue(struct scm *scm, struct unix_sock *holder);
/* Ends the flight: the caller owns the files again. */
void scm_dequeue(struct scm *scm);
/* Gives src's files to dst, which has none: shared when peeking, else moved out of flight. src's
 * queue is locked by the caller. */
void scm_take_files(struct scm *dst, struct scm *src, bool peek);
/* Hands credentials and files over as control messages; installs descriptors. Consumes scm's files.
 * Holds no lock. */
void scm_to_msg(struct sock *sk, struct net_msg *m, struct scm *scm);
/* An accepted connection leaves its listener: what waits for it now waits in its own name. */
void scm_move_holder(struct unix_sock *listener, struct unix_sock *conn);
/* Frees files that only sit in queues which nobody can read any more. Holds no lock. */
void scm_collect_garbage(void);
