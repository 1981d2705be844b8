#!/usr/bin/env bash
# The manifests of deploy/kubernetes: by the API's schema, and what they name is there. No API server
# is packaged for Debian, so none has seen them.
. "$MP_SOURCE/tests/deploy/lib.sh"
packages python3-kubernetes python3-yaml yamllint
check() { /usr/bin/python3 "$MP_SOURCE/tests/deploy/manifests.py" variables "$@"; }
manifests=$MP_SOURCE/deploy/kubernetes

ok yamllint -d '{extends: relaxed, rules: {line-length: {max: 180}}}' "$manifests" "$MP_SOURCE"/deploy/compose*.yaml
for program in mp-broker mp-worker; do
    sed -n "s/.*\"\(MP_[A-Z_]*\)\".*/$program \1/p" "$MP_SOURCE/${program#mp-}/main.c"
    echo "$program MP_KEY_FILE" # the library's own
done >variables

# -- all of them, with Secrets as keys.sh makes them
MP=$MP "$manifests/keys.sh" "$work/keys" >secrets.yaml 2>keys.log
[ "$(grep -c '^kind: Secret' secrets.yaml)" = 2 ] || fail "keys.sh: $(cat secrets.yaml)"
sed -n 's/^  server.key: //p' secrets.yaml | base64 -d >server.key
same server.key keys/server.key
{
    for file in "$manifests"/{namespace,broker,workers}.yaml; do
        cat "$file"
        echo "---"
    done
    cat secrets.yaml
} >all.yaml
check all.yaml >out
says out '^all.yaml: 9 things, 0 problems'
if command -v kubectl >/dev/null && kubectl kustomize "$manifests" >kustomized.yaml 2>kustomize.err; then
    { cat kustomized.yaml; echo ---; cat secrets.yaml; } >both.yaml
    check both.yaml >out
    says out '^both.yaml: 9 things, 0 problems'
    says kustomized.yaml 'namespace: libmp'
    echo "also by kubectl kustomize"
else
    echo "no kubectl: kustomization.yaml was not built"
fi

[ ! -s all.yaml.problems ] || fail "$(cat all.yaml.problems)"

# -- each of these is found
patterns=()
broken() {
    sed "$2" all.yaml >"broken${#patterns[@]}.yaml"
    ! cmp -s all.yaml "broken${#patterns[@]}.yaml" || fail "no edit: $2"
    patterns+=("$1")
}
broken 'replicas: is .four., not of type int' 's/replicas: 4/replicas: four/'
broken "has no field 'containerPorts'" 's/containerPort: 9100/containerPorts: 9100/'
broken 'Invalid value for .container_port.' 's/containerPort: 9100/hostPort: 9100/'
broken 'no such kind' 's|apiVersion: policy/v1|apiVersion: policy/v1beta1|'
broken 'no such kind' 's/kind: Deployment/kind: Deploymint/'
broken "selector doesn't match" '/matchLabels/,/name:/s/name: mp-worker/name: mp-walker/'
broken 'selects no pod' '/^  selector:$/,/name:/s/name: mp-broker/name: mp-brokers/'
broken 'no pod has a port' 's/targetPort: mp/targetPort: pm/'
broken "port 'https' is none" 's/port: http$/port: https/'
broken "is not served" 's|path: /healthz|path: /health|'
broken "mp .'pong'. is no probe" 's/"mp", "ping"/"mp", "pong"/'
broken 'there is no volume' 's/- name: data/- name: dada/'
broken 'there is no Secret' 's/secretName: mp-worker-key/secretName: mp-worker-keys/'
broken 'there is no Service mp-broke' 's|tcp://mp-broker:|tcp://mp-broke:|'
broken "doesn't know MP_PROCESSES" 's/name: MP_PROCS/name: MP_PROCESSES/'
broken 'has port 9101' 's/value: 0.0.0.0:9100/value: 0.0.0.0:9101/'
broken 'killed before it has drained' 's/terminationGracePeriodSeconds: 45/terminationGracePeriodSeconds: 30/'
broken 'readOnlyRootFilesystem is not True' 's/readOnlyRootFilesystem: true/readOnlyRootFilesystem: false/'
broken 'is no quantity' 's/memory: 512Mi/memory: 512MB/'
check broken*.yaml >out
for i in "${!patterns[@]}"; do says "broken$i.yaml.problems" "${patterns[i]}"; done
