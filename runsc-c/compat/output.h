/* SPDX-License-Identifier: Apache-2.0 */
/* Comparing what two runs wrote to a stream. */
#pragma once

#include "runsc-c/compat/side.h"

/* Appends {"what": which, "line", "native", "sandbox", "text"} when the streams differ after the
 * rules
 * ("normalise" of the program, or NULL). -ENOMEM. */
int MUST_CHECK output_compare(const char *which, const struct side_stream *native,
                              const struct side_stream *sandbox, const json_t *rules,
                              json_t *differences);
