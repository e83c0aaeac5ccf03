/* SPDX-License-Identifier: Apache-2.0 */
/* What mm remembers of the calling host thread. */
#pragma once

/* It works for another task from here on: what the last one met means nothing any more. */
void mm_thread_reset(void);
