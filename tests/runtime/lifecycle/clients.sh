#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Clients that do things to one container at the same moment: each call succeeds or says what was against it, one of two starts
# and one of two creates wins, the state file is whole whenever somebody looks, and nothing is left. (Of two creates
# at once by runc both may fail.)
. "$(dirname "$0")/../lib.sh"
b=$work/b
make_bundle "$b" '.process.args=["sleep","1000"]'
rounds=8

# at_once NAME ARGS...: remembers the exit code and the words of one client.
at_once() {
    local name=$1
    shift
    (
        runsc "$@" >"$work/$name.out" 2>"$work/$name.err" </dev/null
        echo $? >"$work/$name.rc"
    ) &
    clients+=($!)
}
rc() { cat "$work/$1.rc"; }
said() { echo "$1: $(rc "$1"), $(cat "$work/$1.err")"; }

for round in $(seq $rounds); do
    id=clients-$$-$round
    clients=()
    at_once create1 create --bundle "$b" "$id"
    at_once create2 create --bundle "$b" "$id"
    wait "${clients[@]}"
    [ $(($(rc create1) == 0)) -ne $(($(rc create2) == 0)) ] || fail "round $round: $(said create1); $(said create2)"
    [ "$(runsc state "$id" | jq -r .status)" = created ] || fail "round $round: not created"

    clients=()
    at_once start1 start "$id"
    at_once state1 state "$id"
    at_once start2 start "$id"
    at_once list1 list
    at_once state2 state "$id"
    wait "${clients[@]}"
    [ $(($(rc start1) == 0)) -ne $(($(rc start2) == 0)) ] || fail "round $round: $(said start1); $(said start2)"
    for client in state1 state2; do
        [ "$(rc $client)" = 0 ] && [[ $(jq -r .status "$work/$client.out") =~ ^(created|running)$ ]] || fail "round $round: $(said $client)"
    done
    [ "$(rc list1)" = 0 ] || fail "round $round: $(said list1)"

    # Ends while others look, run something in it, pause it or delete it.
    clients=()
    at_once exec1 exec "$id" true
    at_once kill1 kill "$id" KILL
    at_once state1 state "$id"
    at_once delete1 delete --force "$id"
    at_once kill2 kill "$id" KILL
    at_once delete2 delete --force "$id"
    at_once list1 list
    wait "${clients[@]}"
    [ "$(rc list1)" = 0 ] || fail "round $round: $(said list1)"
    [ "$(rc delete1)" = 0 ] || [ "$(rc delete2)" = 0 ] || fail "round $round: $(said delete1); $(said delete2)"
    for client in exec1 kill1 kill2 state1 delete1 delete2; do
        # 137: exec's own program was killed with the container.
        [ "$(rc $client)" = 0 ] || [ -s "$work/$client.err" ] || [ "$client $(rc $client)" = "exec1 137" ] ||
            fail "round $round: $client failed without a word"
    done
    runsc delete --force "$id" || fail "round $round: delete --force of what is gone"
    expect 1 'does not exist' runsc state "$id"
done
[ -z "$(runsc list -q)" ] || fail "left: $(runsc list -q)"
echo ok
