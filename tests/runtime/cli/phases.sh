#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# --debug tells when each phase of the start was over, in the times of one clock.
. "$(dirname "$0")/../lib.sh"

runsc --debug --log "$work/log" do true || fail "true"
for phase in "configuration" "sentry forked" "gofer forked" "sentry jailed" "gofer jailed" "kernel started" \
    "filter installed" "program loaded" "container created"; do
    grep -qE "phase $phase +at +[0-9]+\.[0-9]{3} ms, took +[0-9]+\.[0-9]{3} ms" "$work/log" ||
        fail "no phase \"$phase\": $(grep phase "$work/log")"
done
awk '/phase (sentry forked|sentry jailed|program loaded|container created)/ {
    for (i = 1; i < NF; i++) if ($i == "at") { if ($(i + 1) < last) exit 1; last = $(i + 1) } }' "$work/log" ||
    fail "phases are out of order: $(grep phase "$work/log")"
runsc do true 2>&1 | grep -q phase && fail "phases without --debug"
exit 0
