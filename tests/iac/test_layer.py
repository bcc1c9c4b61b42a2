"""layers/core/requirements.txt: what runs in Lambda is what the tests ran with, pinned to the byte."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)(?: ;[^\\\n]*)?((?: \\\n +--hash=sha256:[0-9a-f]{64})+)", re.MULTILINE)


def pins(path: str) -> dict[str, tuple[str, int]]:
    """Each pinned package's version and number of hashes."""
    text = (ROOT / path).read_text(encoding="utf-8")
    found = {name: (version, hashes.count("sha256:")) for name, version, hashes in PIN.findall(text)}
    assert found.keys() == set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)), "a pin without a hash"
    return found


def test_the_layer_has_what_the_core_depends_on_and_nothing_of_the_agents() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[<>=\[]", dependency)[0] for dependency in project["dependencies"]}
    layer = pins("layers/core/requirements.txt").keys()
    assert wanted <= layer
    assert not layer & {"aiohttp", "prometheus-client", "pydantic-settings", "pyjwt", "pyyaml", "moto", "pytest"}


def test_the_layer_has_only_what_a_function_imports() -> None:
    """It shipped boto3, s3transfer and pydantic, which no function imports: 4 MB that every cold start had to fetch."""
    code = "import json, sys, app; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    settings = {"SITES": "SITE1", "RUNTIMES_TABLE": "runtimes", "NODES_TABLE": "nodes", "DOMAIN_CLAIM": "domain"}
    settings |= {"STOP_QUEUE_URL_PREFIX": "http://127.0.0.1:9/stop-", "AWS_DEFAULT_REGION": "eu-central-1"}
    settings |= {"POWERTOOLS_METRICS_NAMESPACE": "Ivr", "POWERTOOLS_SERVICE_NAME": "ivr"}
    imported: set[str] = set()
    distributions = packages_distributions()
    for function in ("list_runtimes", "stop_runtime"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT / "functions" / function,
            env=settings,
            capture_output=True,
            text=True,
            check=True,
        )
        imported |= {
            distribution.lower().replace("_", "-")
            for module in json.loads(done.stdout)
            for distribution in distributions.get(module, [])
        }
    imported.discard("certifi")  # botocore takes it where it is; in the layer, its own list of authorities
    assert imported & pins("requirements/dev.txt").keys() == pins("layers/core/requirements.txt").keys()


def test_the_layer_has_the_versions_that_the_tests_run_with() -> None:
    tested = pins("requirements/dev.txt")
    assert {name: tested[name][0] for name in pins("layers/core/requirements.txt")} == {
        name: version for name, (version, _) in pins("layers/core/requirements.txt").items()
    }


def test_compiled_parts_are_pinned_for_every_processor() -> None:
    """A lock made for one platform would hold that platform's wheel alone; the layer is built for two."""
    assert pins("layers/core/requirements.txt")["msgspec"][1] > 20


def test_sam_may_take_no_package_that_was_not_fetched_by_its_hash() -> None:
    """For another processor it asks pip by name and version alone."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (fetch,) = re.findall(r"^FETCH = (.*\\\n.*)$", makefile, re.MULTILINE)
    assert {"--require-hashes", "--only-binary", "$(WHEELS)", "layers/core/requirements.txt"} <= set(fetch.split())
    (build,) = re.findall(r"^\t@(.*\$\(SAM\) build .*)$", makefile, re.MULTILINE)
    assert "PIP_NO_INDEX=1 PIP_FIND_LINKS=$(CURDIR)/$(WHEELS) " in build


def test_sams_own_environment_is_pinned_too() -> None:
    assert pins("requirements/sam.txt")["aws-sam-cli"][0] == "1.170.0"
