/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define RUNSC_C_VERSION "0.1.0"
