"""What init leaves out, seen in processes of the functions' own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import fleet

FUNCTIONS = Path(__file__).resolve().parents[3] / "functions"
DEFERRED = {"botocore.docs.service", "html.parser", "importlib.metadata"}
"""Modules that only what is deferred imports: if one is loaded, a library has moved what `start` defers."""


def run(function: str, code: str) -> dict:
    """Run code after a function's init; return what it prints."""
    own = {"STOP_QUEUE_URL_PREFIX": "https://sqs.eu-central-1.amazonaws.com/123456789012/stop-", "PATH": "/usr/bin"}
    ran = subprocess.run(
        [sys.executable, "-c", f"import gc, json, sys, app\n{code}"],
        cwd=FUNCTIONS / function,
        env={**fleet.environment("http://127.0.0.1:9"), **own},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize("function", ["list_runtimes", "stop_runtime"])
def test_init_loads_nothing_that_is_deferred_and_the_collector_works_again(function) -> None:
    seen = run(function, "print(json.dumps([sorted(sys.modules), gc.isenabled(), gc.get_freeze_count()]))")
    assert not DEFERRED & set(seen[0])
    assert {"botocore.docs", "urllib3.http2"} <= set(seen[0])
    assert seen[1] is True
    assert seen[2] > 10_000


def test_what_is_deferred_is_there_for_whoever_asks() -> None:
    """boto3 in the same process, say, builds its documentation on botocore's."""
    code = (
        "import botocore.docs, botocore.docs.docstring, urllib3.http2, boto3\n"
        "made = botocore.docs.docstring.ClientMethodDocstring\n"
        "late = botocore.docs.docstring.LazyLoadedDocstring\n"
        "documented = boto3.resource('dynamodb').Table('t').query.__doc__\n"
        "print(json.dumps([late.__name__, botocore.docs.generate_docs.__name__,"
        " urllib3.http2.inject_into_urllib3.__name__, urllib3.http2.probe.__name__, 'query' in str(documented)]))"
    )
    assert run("list_runtimes", code) == [
        "LazyLoadedDocstring",
        "generate_docs",
        "inject_into_urllib3",
        "urllib3.http2.probe",
        True,
    ]


def test_what_is_loaded_or_unknown_is_not_deferred() -> None:
    code = (
        "import json.tool\nfrom ivr_runtimes.start import defer\n"
        "print(json.dumps([defer(name) for name in ('json.tool', 'no.such', 'botocore.docs')]))"
    )
    assert run("stop_runtime", code) == [None, None, None]
