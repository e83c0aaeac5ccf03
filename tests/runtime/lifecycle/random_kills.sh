#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 of any process of a container at random moments: random_kills.py. The quick tier does a few, the full one 50.
exec python3 "${0%.sh}.py" "${1:-8}"
