#!/usr/bin/env bash
# mp dead show: how a command ended, what it said, and nothing that a terminal would obey.
. "$(dirname "$0")/lib.sh"

start_broker
export MP_BROKER=$url
start_worker one --procs 1 --allow-exec --load "$MP_FILESUM"

status 0 "$MP" map --detach --id failed -- sh -c 'echo "said $0" >&2; exit 7' <<<x
status 1 "$MP" job wait failed
status 0 "$MP" dead show 1
says out 'exit status 7'
says out '^said x$'
says out '^command, '
says out '^  echo \|^  echo "said'
says out '^  x$'
status 0 "$MP" dead show 1 --json
says out '"exit":7,"error_output":"said x\\u000a"'

status 0 "$MP" map --detach --id killed -- sh -c 'kill -9 $$' <<<x
status 1 "$MP" job wait killed
status 0 "$MP" dead show 2 --json
says out '"signal":9'

printf '\033[31m/no/such \303\274\n' >control
status 0 "$MP" map --detach --id control --task filesum <control
status 1 "$MP" job wait control
status 0 "$MP" dead show 3
says out '^input, '
says out '\\x1b\[31m/no/such '$'\303\274'
! grep -q $'\033' out || fail "a terminal would obey this: $(cat -v out)"
