/* SPDX-License-Identifier: Apache-2.0 */
/* Connects layers whose needs point upwards: ops structs and the list of file systems. */
#pragma once

void wiring_init(void);
