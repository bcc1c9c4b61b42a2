"""docs/openapi.json as generators and a linter take it; the clients of docs/api.md run against the embedded stack."""

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from emulators import NODE, ROOT
from stack import RESOURCE, Stack, eventually

PAGE: Final = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
PYTHON: Final = ROOT / ".venv-openapi" / "bin"
MODULES: Final = ROOT / "requirements" / "openapi" / "node_modules"
LINT_SETTINGS: Final = ROOT / "requirements" / "openapi" / "redocly.yaml"


def run(command: Sequence[str | Path], folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a program that must not look for newer versions of itself, nor tell of its use."""
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true", "NO_COLOR": "1"}
    path = os.pathsep.join([str(PYTHON), str(MODULES / ".bin"), os.environ["PATH"]])
    inherited = {**os.environ, "PATH": path, **quiet, **environment}
    return subprocess.run(command, cwd=folder, env=inherited, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def modules() -> Path:
    if NODE is None or not (MODULES / ".ready").exists():
        pytest.skip("no generators in Node.js are installed: run `make generators` (needs Node.js 20)")
    return MODULES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page's lines are typed: it has docs/openapi.json."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "openapi.json", folder / "docs")
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


@pytest.fixture(scope="module")
def in_python(folder: Path) -> Path:
    """The folder with the page's Python client in it."""
    if not (PYTHON / "openapi-python-client").exists():
        pytest.skip("no generator in Python is installed: run `make generators`")
    generated(folder, "python", "--fail-on-warning")
    (folder / "stop.py").write_text(block("python").replace("limit=100", "limit=2"), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def in_typescript(folder: Path, modules: Path) -> Path:
    """The folder with the page's TypeScript client in it, and the packages that its user would install."""
    (folder / "node_modules").symlink_to(modules)
    generated(folder, "typescript")
    (folder / "client.ts").write_text(block("ts").replace("limit: 100", "limit: 2"), encoding="utf-8")
    return folder


def block(kind: str) -> str:
    (lines,) = re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(lines)


def generated(folder: Path, kind: str, *more: str) -> None:
    """Type the page's line that generates, with more arguments; nothing may be amiss."""
    ran = run([*block(f"sh {kind}").split(), *more], folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "warning" not in (ran.stdout + ran.stderr).lower()


def test_the_linter_has_nothing_to_say(modules: Path) -> None:
    ran = run(["redocly", "lint", "--config", str(LINT_SETTINGS), "--format", "json", "docs/openapi.json"], ROOT)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert json.loads(ran.stdout)["problems"] == []


def test_a_python_client_is_generated_whole_with_classes_for_people(in_python: Path) -> None:
    made = in_python / "ivr_client"
    models = {path.stem for path in (made / "models").glob("*.py")} - {"__init__"}
    assert models == {"runtime", "runtime_ext", "problem", "problem_place", "gateway_message"}
    operations = {path.stem: path.read_text() for path in (made / "api" / "runtimes").glob("*.py")}
    assert operations.keys() == {"__init__", "list_runtimes", "stop_runtime"}
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    for methods in document["paths"].values():
        for operation in methods.values():
            code = operations[operation["operationId"]]
            sent = re.findall(r'(?:params|headers)\["(.*?)"\] = ', code)
            assert set(sent) == {each["name"] for each in operation["parameters"] if each["in"] != "path"}


COMPILE: Final = ("tsc", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext")
MISTAKES: Final = {"number.ts": ("limit: 2", 'limit: "2"'), "member.ts": ("error.code", "error.kode")}


def test_types_and_a_client_in_typescript_compile_and_mistakes_do_not(in_typescript: Path) -> None:
    text = (in_typescript / "client.ts").read_text(encoding="utf-8")
    for name, (right, wrong) in MISTAKES.items():
        assert right in text
        (in_typescript / name).write_text(text.replace(right, wrong), encoding="utf-8")
    ran = run([*COMPILE, "--noEmit", "client.ts", *MISTAKES], in_typescript)
    assert set(re.findall(r"^(\w+\.ts)\(", ran.stdout, re.MULTILINE)) == MISTAKES.keys(), ran.stdout


def stopped_by(command: Sequence[str | Path], folder: Path, stack: Stack) -> None:
    """Run the page's client until it met several pages; what it stopped must leave the list or be at its end.

    How many run is up to the sample fleet, and any may end while the client runs: then there is another one to stop.
    """
    token = stack.token(stack.domains[0])

    def stops() -> str | None:
        """The client lists over two scripts, in pages of two, and stops the first."""
        ran = run(command, folder, API=f"http://127.0.0.1:{stack.port}", TOKEN=token)
        told = re.fullmatch(r"(\d+) scripts\n(\S+) 204 (ended|post_processing|pending)\n", ran.stdout)
        assert not ran.stderr or "IndexError" in ran.stderr, ran.stderr
        return told[2] if told and int(told[1]) > 2 else None

    wanted = json.dumps({"site": "SITE1", "code": ["player", "welcome"]})
    eventually(lambda: len(stack.rows(token, filter=wanted)) > 2, within_s=60)
    stopped = json.dumps({"id": eventually(stops, within_s=60, every_s=1)})

    def is_over() -> bool:
        """The stopped script runs no more, or runs its branch."""
        rows: list[dict[str, Any]] = stack.rows(token, filter=stopped, mask="ext.state")
        return not rows or rows[0]["ext"]["state"] == "post_processing"

    eventually(is_over, within_s=20)


@pytest.mark.e2e
def test_the_pages_python_client_lists_pages_and_stops(in_python: Path, stack: Stack) -> None:
    stopped_by([PYTHON / "python", "stop.py"], in_python, stack)


@pytest.mark.e2e
def test_the_pages_typescript_client_lists_pages_and_stops(in_typescript: Path, stack: Stack) -> None:
    ran = run([*COMPILE, "client.ts"], in_typescript)
    assert ran.returncode == 0, ran.stdout
    stopped_by(["node", "client.js"], in_typescript, stack)


REFUSED: Final = """
import os, sys
from ivr_client import AuthenticatedClient
from ivr_client.api.runtimes import list_runtimes
client = AuthenticatedClient(base_url=os.environ["API"], token=os.environ["TOKEN"])
told = list_runtimes.sync(client=client, mask="colour")
print(type(told).__name__, told.errors[0].place if hasattr(told, "errors") else told.message)
"""


@pytest.mark.e2e
def test_a_generated_client_reads_refusals_of_the_service_and_of_the_gateway(in_python: Path, stack: Stack) -> None:
    """With a type for the service's problems alone, a client fell over what API Gateway answers."""
    token = stack.token(stack.domains[0])
    for given, expected in [
        (token, "Problem mask[0]"),
        (stack.forge(token, scope="other"), "GatewayMessage Forbidden"),
        ("none", "GatewayMessage Unauthorized"),
    ]:
        ran = run([PYTHON / "python", "-c", REFUSED], in_python, API=f"http://127.0.0.1:{stack.port}", TOKEN=given)
        assert ran.stdout == expected + "\n", ran.stderr


TRANSPORT: Final = {"date", "server", "content-length", "content-type", "connection", "transfer-encoding"}
"""What HTTP itself needs."""

GATEWAYS: Final = {"apigw-requestid"}


@pytest.mark.e2e
def test_each_header_of_an_answer_is_described(stack: Stack) -> None:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    token = stack.token(stack.domains[0])
    asked = {"Authorization": f"Bearer {token}", "Prefer": "count=exact, wait=1", "Accept-Encoding": "gzip"}
    eventually(lambda: len(stack.rows(token)) > 1, within_s=40)
    newest = stack.rows(token, order="-starttime", limit="1")[0]["id"]
    for method, path, headers in [
        ("GET", f"{RESOURCE}?limit=1", asked),
        ("GET", f"{RESOURCE}?mask=colour", asked),
        ("GET", RESOURCE, {}),
        ("DELETE", f"{RESOURCE}/{newest}", asked),
        ("DELETE", f"{RESOURCE}/{uuid.uuid4()}", asked),
    ]:
        answer = stack.request(method, path, headers)
        (operation,) = [each[method.lower()] for each in document["paths"].values() if method.lower() in each]
        described = operation["responses"][str(answer.status)].get("headers", {})
        given = answer.headers.keys() - TRANSPORT - GATEWAYS
        assert given <= {name.lower() for name in described}, (method, path, answer.status)
