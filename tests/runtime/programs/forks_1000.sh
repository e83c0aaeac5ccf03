#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# 1,000 forks from a shell: subshells, command substitutions and programs.
i=0
while [ $i -lt 400 ]; do (exit $((i % 7))) || n=$((${n:-0} + 1)); i=$((i + 1)); done
echo "$n"
i=0
while [ $i -lt 300 ]; do x=$(echo $i); i=$((i + 1)); done
echo "$x"
i=0
while [ $i -lt 300 ]; do /bin/true; i=$((i + 1)); done
echo done
