/* SPDX-License-Identifier: Apache-2.0 */
/* Restart codes: what a system call returns when a signal cut its sleep. The task loop turns them
 * into a restart or -EINTR (kernel/signal); the dispatcher asserts that none reaches the guest. */
#pragma once

#define ERESTARTSYS           512 /* restart if SA_RESTART or no handler */
#define ERESTARTNOINTR        513 /* always restart */
#define ERESTARTNOHAND        514 /* restart only when no handler runs */
#define ERESTART_RESTARTBLOCK 516 /* restart through the task's restart block (deadline kept) */
