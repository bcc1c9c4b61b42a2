"""The running stack against its own description: Schemathesis makes requests of docs/openapi.json, right and wrong.

`SCHEMATHESIS=10000 make test ARGS="-k schemathesis"` asks for more of them. It is the local gateway that answers, not
AWS's.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from emulators import ROOT
from stack import Stack

REQUESTS: Final = int(os.environ.get("SCHEMATHESIS", "1000"))
PHASES: Final = "fuzzing" if REQUESTS <= 1000 else "coverage,fuzzing"
"""Trying every edge of every parameter takes 12,000 requests, two minutes, by itself: only where more is asked for."""

CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)


DEPTH: Final = 3
"""How many operators deep the generated filters go: Schemathesis cannot generate from a description of itself."""

HAR: Final = "requests.har"
ANSWERED: Final = 0.2
"""The least share of list requests that must have been answered with rows: refusals alone would show little."""

QUERY: Final = "#/components/x-query/"
MODELS: Final = "#/components/schemas/"


def strict(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document as a checker wants it. Some of it is written for those who generate clients.

    A parameter that holds JSON has its schema, and a problem the one of its media type, with no other codes.
    """
    told = json.loads(json.dumps(document).replace(QUERY, MODELS))
    told["components"]["schemas"] |= unrolled(told["components"].pop("x-query"))
    for methods in told["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if "contentSchema" in parameter["schema"]:
                    held = parameter.pop("schema")
                    parameter["content"] = {held["contentMediaType"]: {"schema": held["contentSchema"]}}
                    del parameter["examples"]
            for status, answer in operation["responses"].items():
                narrow(int(status), answer.get("content", {}))
    return told  # type: ignore[no-any-return]  # json


def narrow(status: int, content: dict[str, Any]) -> None:
    """Give each media type of a refusal the schema of who answers in it."""
    if status >= 400:
        content["application/json"]["schema"] = {"$ref": MODELS + "GatewayMessage"}
    if problem := content.get("application/problem+json"):
        codes = {"properties": {"code": {"enum": list(problem["examples"])}, "status": {"const": status}}}
        problem["schema"] = {"allOf": [{"$ref": MODELS + "Problem"}, codes]}


def unrolled(query: dict[str, Any]) -> dict[str, Any]:
    """Return the query's schemas with expressions in expressions to a certain depth, instead of any."""
    expression = MODELS + "Expression"
    forms = query.pop("Expression")["oneOf"]
    flat = [form for form in forms if expression not in json.dumps(form)]
    for level in range(DEPTH):
        inner = json.dumps({"oneOf": forms if level < DEPTH - 1 else flat})
        query[f"Expression{level}"] = json.loads(inner.replace(expression, f"{expression}{level + 1}"))
    query["Filter"] = json.loads(json.dumps(query["Filter"]).replace(expression, f"{expression}0"))
    return query


def schemathesis(stack: Stack, token: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run it. A stop has few parameters, so that the examples for it run out early: at most so many for either."""
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    (folder / "openapi.json").write_text(json.dumps(strict(document)), encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "run", "openapi.json"]
    command += ["--url", f"http://127.0.0.1:{stack.port}", "--header", f"Authorization: Bearer {token}"]
    command += ["--checks", ",".join(CHECKS), "--phases", PHASES, "--max-examples", str(REQUESTS)]
    command += ["--seed", "20261123", "--no-shrink", "--continue-on-failure", "--generation-database", "none"]
    command += ["--suppress-health-check", "all", "--no-color", "--report-har-path", str(folder / HAR)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)


@pytest.mark.e2e
@pytest.mark.timeout(960)
def test_schemathesis_finds_no_answer_that_breaks_the_schema(stack: Stack, tmp_path: Path) -> None:
    ran = schemathesis(stack, stack.token(stack.domains[0], numbers=True), tmp_path)
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2_000:]
    (generated,) = re.findall(r"(\d+) generated", ran.stdout)
    assert int(generated) >= REQUESTS
    statuses = answers_of_lists(tmp_path / HAR)
    assert statuses[200] >= ANSWERED * statuses.total(), statuses


def answers_of_lists(har: Path) -> Counter[int]:
    entries = json.loads(har.read_text(encoding="utf-8"))["log"]["entries"]
    return Counter(entry["response"]["status"] for entry in entries if entry["request"]["method"] == "GET")
