# SPDX-License-Identifier: Apache-2.0
# Completion of runsc-c for bash. Commands and options are asked from the program, so they are always its own.
_runsc_c_options() { "$@" 2>/dev/null | grep -oE -- '--[a-z][a-z-]*' | sort -u; }

_runsc_c() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} program=${COMP_WORDS[0]} command='' i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --root | --log | --log-format | --platform | --lanes | --network | --overlay | --strace-format) ((i++)) ;;
        -*) ;;
        *)
            command=${COMP_WORDS[i]}
            break
            ;;
        esac
    done
    case $prev in
    --root | --bundle | -b) mapfile -t COMPREPLY < <(compgen -d -- "$cur"); return ;;
    --log | --pid-file | --process | --resources) mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
    --log-format | --strace-format) mapfile -t COMPREPLY < <(compgen -W 'text json' -- "$cur"); return ;;
    --lanes) mapfile -t COMPREPLY < <(compgen -W 'auto off eager' -- "$cur"); return ;;
    --platform) mapfile -t COMPREPLY < <(compgen -W 'auto ptrace seccomp kvm' -- "$cur"); return ;;
    --network) mapfile -t COMPREPLY < <(compgen -W 'none host' -- "$cur"); return ;;
    --overlay) mapfile -t COMPREPLY < <(compgen -W 'root:memory none' -- "$cur"); return ;;
    esac
    case $command in
    '')
        if [[ $cur == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_runsc_c_options "$program" help)" -- "$cur")
        else
            mapfile -t COMPREPLY < <(compgen -W "$("$program" help 2>/dev/null |
                sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p')" -- "$cur")
        fi
        ;;
    do | compat) compopt -o bashdefault -o default; COMPREPLY=() ;;
    *)
        if [[ $cur == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W "$(_runsc_c_options "$program" "$command" --help)" -- "$cur")
        else
            mapfile -t COMPREPLY < <(compgen -W "$("$program" list -q 2>/dev/null)" -- "$cur")
        fi
        ;;
    esac
}
complete -F _runsc_c runsc-c
