#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# doctor: what was probed, what auto takes, and that auto takes it; both again on hosts that refuse something.
. "$(dirname "$0")/../lib.sh"
deny=${RUNSC_BUILD_DIR:?}/bin/deny_syscall

picked() {
    jq -r .auto "$work/d.json"
}
runsc doctor --format json >"$work/d.json" || fail "doctor: code $?"
jq -e '.platforms | map(.name) == ["kvm", "seccomp", "ptrace"] and all(.reason | length > 0)' "$work/d.json" >/dev/null ||
    fail "platforms: $(cat "$work/d.json")"
jq -e '.platforms[] | select(.usable) | .nullCallNs > 100' "$work/d.json" >/dev/null || fail "no cost: $(cat "$work/d.json")"
runsc doctor >"$work/d.txt" || fail "doctor: code $?"
# kvm is for real hardware only; where it is software it works when it is asked for.
if grep -qwE 'vmx|svm' /proc/cpuinfo; then
    echo "hardware virtualization: auto is $(picked)"
else
    [ "$(picked)" != kvm ] || fail "auto takes a kvm that is software"
    jq -e '.platforms[0].forAuto == false' "$work/d.json" >/dev/null || fail "forAuto: $(cat "$work/d.json")"
fi
if [ -w /dev/kvm ]; then
    [ "$("$RUNSC" --platform=kvm do echo works)" = works ] || fail "--platform=kvm"
fi
# A device that is no KVM (KVM_GET_API_VERSION), or none at all.
expect 1 'kvm: cannot' "$deny" ioctl:1=44544 "$RUNSC" --platform=kvm do true
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
