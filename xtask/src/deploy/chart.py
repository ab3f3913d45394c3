"""Renders the chart with Helm's engine and validates its objects with Kubernetes' schemas.

Reads {"chart": folder, "values": [...]} from standard input, and writes a list of as many answers: {"refused": why}, or
{"manifest": text, "complaints": [...]}. What is to be refused, and what else must hold, is not known here.
"""

import json
import sys

import helm_python as helm
import kubernetes_validate as kubernetes
import yaml

RELEASE = {"name": "mtlsnoop", "namespace": "mtlsnoop"}

# The oldest there is a schema for, the first that has every field the chart can write, one between, and the newest.
VERSIONS = ["1.25", "1.30", "1.34", kubernetes.latest_version()]

# A field, and the first version that has it.
SINCE = {"appArmorProfile": "1.30"}

# Kinds of the Prometheus operator have no schema here; promtool checks the rules.
WITHOUT_SCHEMA = "monitoring.coreos.com/"

WARNING = 2


def number(version):
    return [int(part) for part in version.split(".")[:2]]


def validate(name, text):
    versions = [
        version
        for version in VERSIONS
        if all(number(version) >= number(since) for field, since in SINCE.items() if f"{field}:" in text)
    ]
    for document in filter(None, yaml.safe_load_all(text)):
        if document["apiVersion"].startswith(WITHOUT_SCHEMA):
            continue
        for version in versions:
            try:
                kubernetes.validate(document, version, strict=True)
            except kubernetes.ValidationError as error:
                yield f"{name}: Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"
            except kubernetes.SchemaNotFoundError as error:
                yield f"{name}: {error.message}"


def lint(folder, values):
    report = helm.lint(folder, values, strict=True, namespace=RELEASE["namespace"])
    yield from report["errors"]
    for message in report["messages"]:
        if message["severity"] >= WARNING:
            yield f"{message['path']}: {message['error']}"


def answer(folder, chart, values):
    try:
        chart.validate_schema(chart.merge_values(values))
    except helm.HelmValuesError as error:
        return {"refused": str(error)}
    rendered = chart.render(values, **RELEASE)
    parts = []
    complaints = list(lint(folder, values))
    for name, text in sorted(rendered.items()):
        if not name.endswith(".yaml"):
            if "{{" in text or not text.strip():
                complaints.append(f"{name} is not filled in")
            continue
        if text.strip():
            parts.append(f"---\n# Source: {name}\n{text.strip()}\n")
            complaints.extend(validate(name, text))
    return {"manifest": "".join(parts), "complaints": sorted(set(complaints))}


def main():
    asked = json.load(sys.stdin)
    with helm.Chart.load(asked["chart"]) as chart:
        answers = [answer(asked["chart"], chart, values) for values in asked["values"]]
    json.dump(answers, sys.stdout)


main()
