#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 100 containers at once: crowd.py. A few of a build with sanitizers, which need their memory. Passes with RUNTIME=runc.
. "$(dirname "$0")/../lib.sh"
if sanitized; then count=10; else count=100; fi
python3 "$(dirname "$0")/crowd.py" "${1:-$count}"
