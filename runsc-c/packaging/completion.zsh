#compdef runsc-c
# SPDX-License-Identifier: Apache-2.0
# Completion of runsc-c for zsh. Commands and options are asked from the program.
local program=$words[1] command i
for ((i = 2; i < CURRENT; i++)); do
    case $words[i] in
    --root|--log|--log-format|--platform|--lanes|--network|--overlay|--strace-format) ((i++)) ;;
    -*) ;;
    *) command=$words[i]; break ;;
    esac
done
case $words[CURRENT-1] in
--root|--bundle|-b) _files -/; return ;;
--log|--pid-file|--process|--resources) _files; return ;;
--log-format|--strace-format) compadd text json; return ;;
--lanes) compadd auto off eager; return ;;
--platform) compadd auto ptrace seccomp kvm; return ;;
--network) compadd none host; return ;;
--overlay) compadd root:memory none; return ;;
esac
if [[ -z $command ]]; then
    if [[ $words[CURRENT] == -* ]]; then
        compadd -- ${(f)"$($program help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)"}
    else
        compadd -- ${(f)"$($program help 2>/dev/null | sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p')"}
    fi
elif [[ $command == (do|compat) ]]; then
    _normal
elif [[ $words[CURRENT] == -* ]]; then
    compadd -- ${(f)"$($program $command --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u)"}
else
    compadd -- ${(f)"$($program list -q 2>/dev/null)"}
fi
