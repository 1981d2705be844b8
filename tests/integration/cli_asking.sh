#!/usr/bin/env bash
# Whatever keeps a command from asking a broker: one line that names it, the broker and the cure,
# the exit status of its page, and in its time.
. "$(dirname "$0")/lib.sh"
unset MP_KEY_FILE

# asks STATUS COMMAND [OPTION]...: how it must end; an error is one line that begins with its name.
asks() {
    local wanted=$1 words
    read -ra words <<<"$2"
    shift 2
    status "$wanted" "$MP" "${words[@]}" "$@"
    [ "$wanted" = 0 ] || says err "^mp ${words[0]}: "
    [ "$(wc -l <err)" = $((wanted != 0)) ] || fail "mp ${words[*]}: $(cat err)"
}

# -- a broker that isn't there, and one that never answers
background mute python3 -c '
import socket
mute = socket.create_server(("127.0.0.1", 0))
print(mute.getsockname()[1], flush=True)
while True:
    mute.accept()
'
wait_for test -s mute.out
begun=$SECONDS
for url in tcp://127.0.0.1:1 "tcp://127.0.0.1:$(cat mute.out)"; do
    for command in ping stat why 'drain w' lock 'job list' 'job fetch x' 'dead list'; do
        unreached=1
        case $command in job* | dead*) unreached=3 ;; esac
        asks $unreached "$command" --broker "$url" --timeout-ms 300
        says err ": .*$url: .*?\$"
    done
done
[ $((SECONDS - begun)) -lt 70 ] || fail "16 commands of 300 ms took $((SECONDS - begun)) s"

# -- a name of no host: at once, whatever the time. A label has at most 63 letters, so nobody is asked.
nowhere=tcp://$(printf 'x%.0s' {1..64}).invalid:5555
for command in ping stat why 'drain w'; do
    asks 1 "$command" --broker "$nowhere" --timeout-ms 600000
    says err ": $nowhere: no address is found for its host's name"
done

# -- wrong words
for command in ping stat why 'drain w' lock 'job list' 'dead list'; do
    asks 2 "$command" --nonsense
    says err ": --nonsense is no option; see mp ${command%% *} --help\$"
    asks 2 "$command" --broker nonsense
    says err ': nonsense: an endpoint is tcp'
done

# -- answers, as JSON, and where they can't be written
start_broker
for command in ping stat why lock 'job list' 'dead list'; do
    asks 0 "$command" --broker "$url" --json
    ok python3 -c 'import json; [json.loads(line) for line in open("out")]'
done
for command in ping stat why 'shm reap'; do
    at=(--broker "$url")
    read -ra words <<<"$command"
    [ "${words[0]}" != shm ] || at=()
    status 4 bash -c 'exec "$@" >/dev/full' - "$MP" "${words[@]}" "${at[@]}"
    says err "^mp ${words[0]}: stdout: No space left on device\$"
    status 4 bash -c 'exec "$@" >&-' - "$MP" "${words[@]}" "${at[@]}"
    says err "^mp ${words[0]}: stdout: Bad file descriptor\$"
done

# -- what isn't there
asks 1 'job fetch nothing' --broker "$url"
says err ": $url: no job nothing .*; see mp job list\$"
asks 1 'dead show 7' --broker "$url"
says err ": $url: .*; see mp dead list\$"
asks 1 'why nothing' --broker "$url"
says err ": $url: there is no open job and no object 'nothing'; see mp stat\$"
asks 1 'drain nobody' --broker "$url"
says err ": $url: no worker is called 'nobody'"
for command in ping why lock; do
    asks 1 "$command" --broker "$url" --key-file nowhere
    says err ": $url: nowhere: there is no such file\$"
done
asks 3 'job list' --broker "$url" --key-file nowhere
asks 3 'dead list' --broker "$url" --key-file nowhere

# -- Ctrl-C
background watched env --default-signal=INT "$MP" stat --broker "$url" --watch
wait_for test -s watched.out
kill -INT "$pid"
exits "$pid" 130
