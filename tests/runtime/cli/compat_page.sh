#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The page of runsc-c compat in headless Chromium: counts, filter, sort, an opened row, the keyboard,
# hostile output, no request to anywhere. Package chromium, which ./tests/run --full installs.
. "$(dirname "$0")/../lib.sh"
command -v chromium >/dev/null || { echo "skipped: chromium is not installed (./tests/run --full installs it)"; exit 77; }
bash "$(dirname "$0")/compat_suite" "$work/suite"
rm "$work/suite/hangs_here"
runsc compat --platforms ptrace --jobs 2 --report "$work/page.html" "$work/suite" >/dev/null
[ -s "$work/page.html" ] || fail "no page"
timeout 120 python3 "$(dirname "$0")/compat_page.py" "$work/page.html" "${COMPAT_PICTURES:-}" || fail "the page"
