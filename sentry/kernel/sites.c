/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Call sites and answers (platform.h): what the platform may do to make a thread's calls cheaper,
 * and when it may not.
 *
 * A site is offered when its thread is watched by nobody: not by --strace, which would see less; by
 * a tracer, which would see more; by a filter or user dispatch, which ask for every call. Those that
 * begin to watch later take the answers back; a tracer the changed sites too.
 *
 * Answers are results that only the thread itself changes: ids. Whoever takes them back holds the
 * group lock, and so does the thread when it gives them, after looking whether it is watched.
 */
#include "sentry/core/userns.h"
#include "sentry/kernel/kernel_internal.h"
#include "sentry/mm/mm.h"

enum {
    NR_GETPID = 39,
    NR_GETUID = 102,
    NR_GETGID = 104,
    NR_GETEUID = 107,
    NR_GETEGID = 108,
    NR_GETTID = 186,
};

static bool is_watched(const struct task *t)
{
    return g_syscall_trace_ops || ptrace_flags(t) || t->k->seccomp_mode || t->k->user_dispatch.on;
}

static void give_answers(struct task *t)
{
    const struct cred *c = t->curr.cred;
    const struct platform_answer answers[] = {
        {NR_GETPID, (uint32_t)pid_nr(t->curr.tgid)},
        {NR_GETTID, (uint32_t)pid_nr(t->curr.tid)},
        {NR_GETUID, userns_from_kuid(c->userns, c->ruid)},
        {NR_GETEUID, userns_from_kuid(c->userns, c->euid)},
        {NR_GETGID, userns_from_kgid(c->userns, c->rgid)},
        {NR_GETEGID, userns_from_kgid(c->userns, c->egid)},
    };

    mutex_lock(&t->tg->lock);
    t->k->has_answers = !is_watched(t);
    g_platform_ops->ctx_answers(t->ctx, answers, t->k->has_answers ? ARRAY_COUNT(answers) : 0);
    mutex_unlock(&t->tg->lock);
}

void task_site_hot(struct task *t)
{
    if (is_watched(t) || mm_offer_site(t->curr.mm, t->regs.rip, (uint32_t)t->regs.orig_rax) < 0)
        return;
    if (g_platform_ops->ctx_answers)
        give_answers(t);
}

void task_answers_changed(struct task *t)
{
    if (t->k->has_answers)
        give_answers(t);
}

void task_answers_revoke_locked(struct task *t)
{
    ASSERT_HELD(&t->tg->lock);
    if (t->ctx && !t->k->exiting && g_platform_ops->ctx_answers)
        g_platform_ops->ctx_answers(t->ctx, NULL, 0);
}
