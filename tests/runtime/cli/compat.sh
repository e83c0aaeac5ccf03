#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# runsc-c compat: verdicts, bounds, the list of expected differences, manifests and their errors.
. "$(dirname "$0")/../lib.sh"
bash "$(dirname "$0")/compat_suite" "$work/suite"

verdict() { # PROGRAM WANTED
    local got
    got=$(jq -r --arg n "$1" '.programs[] | select(.name == $n) | .platforms.ptrace.verdict' "$work/r.json")
    [ "$got" = "$2" ] || fail "$1: verdict $got, wanted $2"
}
holds() { # JQ-CONDITION
    jq -e "$1" "$work/r.json" >/dev/null || fail "not so in the JSON: $1"
}
compat() {
    runsc compat --platforms ptrace --timeout 30 --jobs 2 --json "$work/r.json" --report "$work/r.html" "$@"
}

cat >"$work/known" <<'END'
# reasons
output_differs: the sandbox has a kernel release of its own
END
compat --expected "$work/known" "$work/suite" >"$work/out"
[ $? -eq 1 ] || fail "exit code with unexpected differences"
verdict same pass
verdict output_differs differ
verdict html_injection differ
verdict binary_output differ
verdict huge_output pass
verdict status_differs differ
verdict hangs_here timeout
verdict skips skip
verdict leaves_daemon pass
verdict leaves_links differ
holds '.totals.ptrace == {pass: 3, differ: 5, fail: 0, skip: 1, timeout: 1, expected: 1}'
holds '.totals.native.pass == 9 and .totals.native.skip == 1'
holds '[.programs[] | select(.name == "huge_output") | .native.stdout_size] == [30000000]'
holds 'any(.programs[] | select(.name == "leaves_links") | .platforms.ptrace.differences[]; .name == "link" and .text == "another link target")'
holds 'any(.programs[] | select(.name == "binary_output") | .platforms.ptrace.differences[]; .native | contains("\\x00\\xff\\xfe\\x1b[31m\\x01\\x80café €" | .[4:]))'
holds 'any(.programs[] | select(.name == "same") | .platforms.ptrace.calls[]; .name == "mkdir" and .count == 1 and .status == "impl") or
       any(.programs[] | select(.name == "same") | .platforms.ptrace.calls[]; .name == "mkdirat")'
if command -v strace >/dev/null; then
    # status_differs does no more than to ask for the name: the traces part where it is read.
    holds '.programs[] | select(.name == "status_differs") | .platforms.ptrace.divergence | (.native | length) > 0 and .at >= 0'
fi
[ "$(wc -c <"$work/r.html")" -lt 1000000 ] || fail "the page is not bounded"
grep -q '<script>document' "$work/r.html" && fail "a program's output is markup in the page"
grep -qE '(src|href)=' <(grep -oE '<[a-z][^>]*>' "$work/r.html") && fail "the page refers to something outside"
grep -q '^ptrace   3 of 10 pass, 5 differ, 0 fail, 1 skip, 1 timeout (1 expected)' "$work/out" || fail "summary: $(cat "$work/out")"
[ -z "$(pgrep -fx 'sleep 1000.25')" ] || fail "a program was left running"

# Everything on the list: clean; one entry too many: not.
mkdir "$work/small" && cp "$work/suite/same" "$work/suite/output_differs" "$work/small/"
compat --expected "$work/known" "$work/small" >/dev/null || fail "exit code when all is expected"
echo 'same@ptrace: it is not so' >>"$work/known"
compat --expected "$work/known" "$work/small" >"$work/out" && fail "an unexpected pass is clean"
grep -q 'take same@ptrace off' "$work/out" || fail "no word about the unexpected pass"

# A manifest with every member.
mkdir "$work/m" "$work/m/bin" && printf 'from a file\n' >"$work/m/input"
cat >"$work/m/bin/own" <<'END'
#!/bin/sh
echo "$MODE $1 $(basename "$PWD") $(cat) pid $$ 0x7f$$"
echo "noise $$" >&2
echo x >compared.out
hostname >ignored
exit 4
END
chmod +x "$work/m/bin/own"
cat >"$work/m/suite.json" <<'END'
{"name": "manifest", "programs": [
  {"name": "sort", "argv": ["sort", "-n"], "stdin": "10\n9\n"},
  {"name": "own", "argv": ["bin/own", "arg"], "env": {"MODE": "m"}, "cwd": "sub", "timeout": 10,
   "stdin": {"file": "input"}, "status": 4, "files": ["sub", "sub/*.out"], "stderr": false,
   "normalise": ["addresses", {"match": "pid [0-9]+", "with": "pid N"}]},
  {"name": "wrong status", "argv": ["true"], "status": 1},
  {"name": "missing", "argv": ["/no/such/program"]}]}
END
compat "$work/m/suite.json" >"$work/out" && fail "exit code with a failing program"
verdict sort pass
verdict own pass
verdict "wrong status" fail
verdict missing skip
holds '.suite == "manifest" and (.programs[3].native.verdict == "fail")'

runsc compat --native "$work/small" >/dev/null || fail "--native"
expect 1 'no executable file' runsc compat "$work/m"
expect 1 'No such file' runsc compat "$work/none"
expect 1 'no platform "vax"' runsc compat --platforms vax "$work/small"
expect 1 'not "NAME: reason"' runsc compat --expected "$work/m/input" "$work/small"
bad() { # TEXT MANIFEST
    printf '%s' "$2" >"$work/bad.json"
    expect 1 "$1" runsc compat "$work/bad.json"
}
bad 'not valid JSON' '{'
bad '"programs" is not an array' '{"programs": []}'
bad '"argv" is missing' '{"programs": [{"name": "x"}]}'
bad 'no member "args"' '{"programs": [{"name": "x", "argv": ["true"], "args": []}]}'
bad 'two named "x"' '{"programs": [{"name": "x", "argv": ["true"]}, {"name": "x", "argv": ["true"]}]}'
bad 'wrong type' '{"programs": [{"name": "x", "argv": "true"}]}'
bad 'below the scratch' '{"programs": [{"name": "x", "argv": ["true"], "cwd": "../.."}]}'
bad 'normalise[0]' '{"programs": [{"name": "x", "argv": ["true"], "normalise": ["all"]}]}'
exit 0
