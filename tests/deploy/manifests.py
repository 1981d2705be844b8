#!/usr/bin/python3
"""Checks manifests by the schema of the Kubernetes API, as Debian's python3-kubernetes has it, and
what a schema can't say: that what is named is there. There is no API server here to ask.

    manifests.py PROGRAM_FLAGS FILE...

PROGRAM_FLAGS has a line "PROGRAM WORD" for each environment variable that a program knows. What is
wrong with FILE is written to FILE.problems."""
import re
import sys

import yaml
from kubernetes import client

MODELS = {
    ("v1", "Namespace"): "V1Namespace",
    ("v1", "Secret"): "V1Secret",
    ("v1", "Service"): "V1Service",
    ("apps/v1", "Deployment"): "V1Deployment",
    ("apps/v1", "StatefulSet"): "V1StatefulSet",
    ("policy/v1", "PodDisruptionBudget"): "V1PodDisruptionBudget",
    ("networking.k8s.io/v1", "NetworkPolicy"): "V1NetworkPolicy",
}
SCALARS = {"str": str, "int": int, "bool": bool, "float": (int, float)}
QUANTITY = re.compile(r"^[0-9.]+(m|[kMGTP]i?)?$")
problems = []


def problem(where, what):
    problems.append(f"{where}: {what}")


def check_scalar(kind, value, where):
    if kind == "object":  # IntOrString
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            problem(where, f"is {value!r}, not a number or a text")
    elif kind == "datetime":
        pass
    elif not isinstance(value, SCALARS[kind]) or (kind == "int" and isinstance(value, bool)):
        problem(where, f"is {value!r}, not of type {kind}")


def check(kind, value, where):
    """The value against the type's name: list[X], dict(str, X), a scalar's or a model's."""
    inner = re.fullmatch(r"list\[(.*)\]", kind)
    pairs = re.fullmatch(r"dict\(str, (.*)\)", kind)
    if inner:
        if not isinstance(value, list):
            return problem(where, "is no list")
        for i, item in enumerate(value):
            check(inner[1], item, f"{where}[{i}]")
    elif pairs:
        if not isinstance(value, dict):
            return problem(where, "is no map")
        for key, item in value.items():
            check(pairs[1], item, f"{where}.{key}")
    elif kind in SCALARS or kind in ("object", "datetime"):
        check_scalar(kind, value, where)
    else:
        check_model(getattr(client, kind), value, where)


def check_model(model, value, where):
    if not isinstance(value, dict):
        return problem(where, f"is no {model.__name__}")
    names = {json: python for python, json in model.attribute_map.items()}
    arguments = {}
    for key, item in value.items():
        if key not in names:
            problem(where, f"{model.__name__} has no field {key!r}")
            continue
        check(model.openapi_types[names[key]], item, f"{where}.{key}")
        arguments[names[key]] = item
    try:
        model(**arguments)  # its setters know what is required, and what may be said
    except ValueError as error:
        problem(where, error)


def is_in(selector, labels):
    return bool(selector) and selector.items() <= labels.items()


def check_probe(probe, ports, where):
    if "httpGet" in probe:
        get = probe["httpGet"]
        if get.get("port") not in ports:
            problem(where, f"port {get.get('port')!r} is none of the container's")
        if get.get("path") not in ("/healthz", "/readyz"):
            problem(where, f"{get.get('path')!r} is not served")
    elif "exec" in probe:
        check_command(probe["exec"].get("command") or [], where)
    else:
        problem(where, "asks nothing")


def check_command(command, where):
    text = " ".join(command)
    programs = set(re.findall(r"\bmp(?:-[a-z]+)?\b(?=[ \"]|$)", text))
    for name in programs - {"mp", "mp-broker", "mp-worker"}:
        problem(where, f"there is no program {name}")
    if not programs and "worker.pid" not in text:
        problem(where, f"{text!r} runs nothing of ours")
    if command[:1] == ["mp"] and command[1:2] not in (["ping"], ["stat"]):
        problem(where, f"mp {command[1:2]} is no probe")


def check_container(container, pod, volumes, variables, where):
    ports = {p.get("name"): p["containerPort"] for p in container.get("ports", [])}
    command = container.get("command") or []
    check_command(command, where)
    program = re.search(r"mp-(?:broker|worker)", " ".join(command))
    for variable in container.get("env", []):
        if f"{program and program[0]} {variable['name']}" not in variables:
            problem(where, f"{program and program[0]} doesn't know {variable['name']}")
        number = re.search(r"(?:HTTP|LISTEN)$", variable["name"]) and re.search(r":(\d+)(?:,|$)", variable["value"])
        if number and int(number[1]) not in ports.values():
            problem(where, f"{variable['name']} has port {number[1]}, which is not declared")
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        if kind in container:
            check_probe(container[kind], ports, f"{where}.{kind}")
        elif kind != "startupProbe":
            problem(where, f"no {kind}")
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            problem(where, f"there is no volume {mount['name']}")
    for values in container.get("resources", {}).values():
        for name, quantity in values.items():
            if not QUANTITY.match(str(quantity)):
                problem(where, f"{name}: {quantity!r} is no quantity")
    security = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    for key, wanted in (("runAsNonRoot", True), ("allowPrivilegeEscalation", False),
                        ("readOnlyRootFilesystem", True)):
        if security.get(key) is not wanted:
            problem(where, f"{key} is not {wanted}")


def check_workload(thing, secrets, variables, where):
    spec = thing["spec"]
    template = spec["template"]
    pod = template["spec"]
    labels = template["metadata"]["labels"]
    if not is_in(spec["selector"].get("matchLabels"), labels):
        problem(where, "its selector doesn't match its own pods")
    volumes = {v["name"]: v for v in pod.get("volumes", [])}
    for volume in volumes.values():
        if "secret" in volume and volume["secret"]["secretName"] not in secrets:
            problem(where, f"there is no Secret {volume['secret']['secretName']}")
    names = set(volumes) | {c["metadata"]["name"] for c in spec.get("volumeClaimTemplates", [])}
    for container in pod["containers"]:
        check_container(container, pod, names, variables, f"{where}/{container['name']}")
    drain = next((int(e["value"]) for c in pod["containers"] for e in c.get("env", [])
                  if e["name"] == "MP_DRAIN_MS"), 0)
    if pod.get("terminationGracePeriodSeconds", 30) * 1000 <= drain:
        problem(where, "is killed before it has drained")
    return labels, {p.get("name") for c in pod["containers"] for p in c.get("ports", [])}


def check_references(things, variables):
    def of(kind):
        return [t for t in things if t["kind"] == kind]
    secrets = {t["metadata"]["name"] for t in of("Secret")}
    pods = []
    for thing in of("Deployment") + of("StatefulSet"):
        where = f"{thing['kind']} {thing['metadata']['name']}"
        pods.append(check_workload(thing, secrets, variables, where))
    services = {t["metadata"]["name"] for t in of("Service")}
    for thing in of("StatefulSet"):
        if thing["spec"].get("serviceName") not in services:
            problem(thing["metadata"]["name"], "there is no such serviceName")
    for thing in of("Service"):
        matching = [ports for labels, ports in pods if is_in(thing["spec"].get("selector"), labels)]
        if not matching:
            problem(f"Service {thing['metadata']['name']}", "selects no pod")
        for port in thing["spec"]["ports"]:
            if matching and port["targetPort"] not in matching[0]:
                problem(f"Service {thing['metadata']['name']}", f"no pod has a port {port['targetPort']}")
    for thing in of("PodDisruptionBudget"):
        if not any(is_in(thing["spec"]["selector"].get("matchLabels"), labels) for labels, _ in pods):
            problem(f"PodDisruptionBudget {thing['metadata']['name']}", "selects no pod")
    for thing in things:
        for name in re.findall(r"tcp://([a-z-]+):5555", str(thing)):
            if name not in services:
                problem(thing["metadata"]["name"], f"there is no Service {name}")


def examine(things, variables):
    for thing in things:
        model = MODELS.get((thing.get("apiVersion"), thing.get("kind")))
        where = f"{thing.get('kind')} {thing.get('metadata', {}).get('name')}"
        if model:
            check_model(getattr(client, model), thing, where)
        else:
            problem(where, f"{thing.get('apiVersion')} has no such kind")
    if not problems:
        check_references(things, variables)


def main():
    with open(sys.argv[1]) as file:
        variables = set(file.read().split("\n"))
    for name in sys.argv[2:]:
        problems.clear()
        with open(name) as file:
            things = [thing for thing in yaml.safe_load_all(file) if thing]
        examine(things, variables)
        with open(f"{name}.problems", "w") as out:
            out.writelines(f"{line}\n" for line in problems)
        print(f"{name}: {len(things)} things, {len(problems)} problems")


main()
