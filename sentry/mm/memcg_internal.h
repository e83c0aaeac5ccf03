/* SPDX-License-Identifier: Apache-2.0 */
/* Between the memory file and its groups. */
#pragma once

#include "sentry/mm/memcg.h"

/* Charges the calling thread's group, *out_id. False: above a maximum, nothing was charged. */
bool MUST_CHECK memcg_charge(enum memfile_kind kind, uint32_t pages, memcg_id_t *out_id);
void memcg_uncharge(memcg_id_t id, enum memfile_kind kind, uint32_t pages);
void memcg_subsystem_init(void);
/* Forgets what the calling host thread was told about charges. */
void memcg_thread_reset(void);
