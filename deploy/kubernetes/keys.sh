#!/bin/sh
# Make keys in DIR, and print the Secrets that broker.yaml and workers.yaml mount:
#     deploy/kubernetes/keys.sh DIR | kubectl apply -f -
# Keep DIR: client.key there is for those who submit. Needs mp in PATH, or in $MP.
set -eu
[ $# = 1 ] || {
    echo "usage: $0 DIR" >&2
    exit 64
}
mp=${MP:-mp}
[ -e "$1/worker.key" ] || "$mp" keygen --name worker --role work "$1" >&2
[ -e "$1/client.key" ] || "$mp" keygen --name client --role submit,read,write "$1" >&2

# secret NAME FILE...
secret() {
    printf -- '---\napiVersion: v1\nkind: Secret\nmetadata:\n'
    printf '  name: %s\n  namespace: libmp\ntype: Opaque\ndata:\n' "$1"
    shift
    for file; do
        printf '  %s: %s\n' "$(basename "$file")" "$(base64 -w 0 "$file")"
    done
}
secret mp-broker-keys "$1/server.key" "$1/clients"
secret mp-worker-key "$1/worker.key"
