#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# doctor: what was probed, what auto takes, and that auto takes it; both again on hosts that refuse something.
. "$(dirname "$0")/../lib.sh"
deny=${RUNSC_BUILD_DIR:?}/bin/deny_syscall

picked() {
    jq -r .auto "$work/d.json"
}
runsc doctor --format json >"$work/d.json" || fail "doctor: code $?"
jq -e '.platforms | map(.name) == ["seccomp", "ptrace"] and all(.reason | length > 0)' "$work/d.json" >/dev/null ||
    fail "platforms: $(cat "$work/d.json")"
jq -e '.platforms[] | select(.usable) | .nullCallNs > 100' "$work/d.json" >/dev/null || fail "no cost: $(cat "$work/d.json")"
runsc doctor >"$work/d.txt" || fail "doctor: code $?"
grep -q "^auto  *$(picked)" "$work/d.txt" || fail "text and json differ: $(cat "$work/d.txt")"

# A host without listeners: ptrace is taken, and says why not seccomp.
"$deny" seccomp:1=8 "$RUNSC" doctor --format json >"$work/d.json" || fail "doctor without listeners: code $?"
[ "$(picked)" = ptrace ] || fail "without listeners auto is $(picked)"
jq -e '.advice | any(contains("seccomp"))' "$work/d.json" >/dev/null || fail "no advice: $(cat "$work/d.json")"
[ "$("$deny" seccomp:1=8 "$RUNSC" do echo works)" = works ] || fail "auto without listeners"
expect 1 'seccomp' "$deny" seccomp:1=8 "$RUNSC" --platform=seccomp do true
# And one without ptrace.
[ "$("$deny" ptrace "$RUNSC" do echo works)" = works ] || fail "auto without ptrace"
[ "$("$RUNSC" --platform=systrap do echo works)" = works ] || fail "systrap is another name of seccomp"
"$deny" ptrace,seccomp:1=8 "$RUNSC" doctor >"$work/d.txt" && fail "doctor finds a platform where there is none"
grep -q '^auto  *none' "$work/d.txt" || fail "$(cat "$work/d.txt")"
expect 1 'ptrace' "$deny" ptrace,seccomp:1=8 "$RUNSC" do true
echo ok
