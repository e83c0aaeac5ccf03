#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bash: arrays, process substitution, coprocesses, traps, job control off and on.
trap 'echo bye' EXIT
declare -A m=([one]=1 [two]=2); echo "${m[two]}" "${#m[@]}"
a=(x y z); echo "${a[@]:1}"
diff <(printf 'a\nb\n') <(printf 'a\nc\n')
while read -r line; do echo "got $line"; done < <(seq 3)
coproc C { while read -r x; do echo "co $x"; done; }
echo hi >&"${C[1]}"; read -r -u "${C[0]}" y; echo "$y"
eval "exec ${C[1]}>&-"; wait
printf '%(%Y)T\n' 0
[[ abc =~ ^a(.)c$ ]] && echo "${BASH_REMATCH[1]}"
trap 'echo INT' INT; kill -INT $$
set -m; sleep 0.1 & wait %1; echo "job $?"; set +m
(trap 'echo sub' EXIT; exit 4); echo $?
mapfile -t lines </etc/shells; echo "${#lines[@]}"
cat <<<"here string"
{ time true; } 2>/dev/null
timeout 0.3 sleep 5; echo "timeout $?"
for i in {1..20}; do echo "$i" & done | sort -n | paste -s -d' '
echo $((2**40)) "$(printf '%x' 255)"
exec 9<>fd9; echo nine >&9; cat fd9
shopt -s nullglob globstar; echo /usr/share/common-licenses/**/GPL*
kill -l 9; echo "$PPID" | grep -c '^[0-9]*$'
