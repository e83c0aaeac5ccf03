/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring(7): what boot wants of it. */
#pragma once

/* Tells the kernel layer who cancels a task's requests. Once, before the first task runs. */
void uring_init(void);
