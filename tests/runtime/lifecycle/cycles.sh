#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Cycles of create, start, delete and of run, and what is left after them: cycles.py. The full tier does 1,000.
exec python3 "${0%.sh}.py" "${1:-30}"
