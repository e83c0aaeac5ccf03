/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal for a foreground program whose caller has none on its standard descriptors: a host pty,
 * between whose master and our stdin and stdout this process copies.
 */
#pragma once

#include <jansson.h>

#include "runsc-c/support/err.h"

/* Lifetime: embedded; relay_open, relay_close. */
struct relay {
    int master;      /* -1: there is none */
    bool input_open; /* stdin has not ended */
};

/* The slave, raw, or -1. size: process.consoleSize or NULL. */
int relay_open(struct relay *r, const json_t *size, struct err *e);
/* Copies what is there, both ways. Called when stdin or the master is readable. */
void relay_copy(struct relay *r, bool input_ready);
void relay_close(struct relay *r);
