"""What is released installs from its wheelhouse into a bare environment, without an index, and runs there."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path

import pytest
from delivery.distribution import Distribution
from delivery.locks import pins
from delivery.wheelhouse import fetch, pack

from emulators import ROOT, free_port
from ivr_agent.settings import load
from ivr_runtimes import __version__
from releases import DISTRIBUTIONS, bare, installed, released, wheelhouse
from small_engine import TOKEN, SmallEngine

pytestmark = pytest.mark.build

AGENT = Distribution.of(ROOT / "distributions" / "agent")
CTL = Distribution.of(ROOT / "distributions" / "ctl")
SAMPLES = ROOT / "agent" / "samples"

IMPORT_ALL = """
import importlib, json, pkgutil, sys
from importlib.metadata import packages_distributions
import ivr_agent
for module in pkgutil.walk_packages(ivr_agent.__path__, "ivr_agent."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
importlib.import_module("ivr_agent.__main__")
of = packages_distributions()
print(json.dumps(sorted({name for module in sys.modules for name in of.get(module.partition(".")[0], [])})))
"""


def names_in(venv: Path) -> set[str]:
    """The distributions in a virtual environment, pip and its kind aside."""
    told = bare(str(venv / "bin" / "python"), "-m", "pip", "list", "--format", "json")
    assert told.returncode == 0, told.stderr
    return {one["name"].lower().replace("_", "-") for one in json.loads(told.stdout)} - {"pip", "setuptools"}


def requires_of(folder: Path) -> set[str]:
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    return set(project["tool"]["hatch"]["metadata"]["hooks"]["custom"]["requires"])


@pytest.mark.e2e
def test_a_host_gets_what_is_locked_and_nothing_else() -> None:
    """The wheel of before brought the embedded stack, the sandbox, and a Powertools that the agent never imports."""
    there = names_in(installed(AGENT.name))
    assert there == {AGENT.name, *AGENT.siblings, *(pin.name for pin in pins(AGENT.lock))}
    assert not there & {"aws-lambda-powertools", "boto3", "s3transfer", "pyyaml", "ivr-runtimes"}
    packages = {path.name for path in installed(AGENT.name).glob("lib/python3.*/site-packages/ivr_*") if path.is_dir()}
    assert not packages & {"ivr_local", "ivr_sandbox"}


@pytest.mark.e2e
def test_every_module_of_the_agent_imports_and_everything_required_is_imported() -> None:
    told = bare(str(installed(AGENT.name) / "bin" / "python"), "-c", IMPORT_ALL)
    assert told.returncode == 0, told.stderr
    imported = {name.lower().replace("_", "-") for name in json.loads(told.stdout)}
    assert requires_of(ROOT / "distributions" / "agent") <= imported


@pytest.mark.e2e
def test_the_programs_tell_their_help_and_version() -> None:
    bin_folder = installed(AGENT.name) / "bin"
    version = bare(str(bin_folder / "ivr-agent"), "--version")
    assert (version.returncode, version.stdout.strip()) == (0, __version__)
    told = bare(str(bin_folder / "ivr-agent"), "--help")
    assert told.returncode == 0
    assert "--config FILE.toml" in told.stdout
    assert "lease_ttl_s" in told.stdout


@pytest.mark.e2e
def test_the_bridge_to_asterisk_is_in_its_wheel_with_unit_samples_and_page(tmp_path: Path) -> None:
    """Its packages are those of the engine kit, which the agent's wheelhouse has: what is its own is looked at."""
    folders = [ROOT / "distributions" / name for name in ("asterisk", "engine")]
    wheels = [str(Distribution.of(folder).wheel(released())) for folder in folders]
    done = bare(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(tmp_path), *wheels)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.glob("ivr_*") if "." not in path.name} == {"ivr_asterisk", "ivr_engine"}
    told = bare(sys.executable, "-m", "ivr_asterisk", "--help", PYTHONPATH=str(tmp_path))
    assert (told.returncode, "IVR_ASTERISK_SCRIPTS" in told.stdout) == (0, True), told.stderr
    for name in ("ivr-asterisk@.service", "samples/manager.conf", "samples/extensions.conf", "samples/h6.toml"):
        assert (tmp_path / "share" / "ivr-asterisk" / name).is_file()


@pytest.mark.e2e
async def test_the_conformance_kit_judges_an_engine(tmp_path: Path) -> None:
    """On a host there is no repository: the kit is what an integrator has."""
    kit = [str(installed(AGENT.name) / "bin" / "python"), "-m", "ivr_engine.conformance"]
    async with SmallEngine().served() as engine:
        where = ["--engine", f"http://{engine.host}:{engine.port}", "--token", TOKEN]
        judged = await asyncio.to_thread(bare, *kit, "--json", *where)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    told = json.loads(judged.stdout)
    assert (told["pass"] > 0, told.get("fail", 0)) == (True, 0), told
    nobody = await asyncio.to_thread(bare, *kit, "--engine", f"unix:{tmp_path}/nobody")
    assert (nobody.returncode, "Traceback" in nobody.stderr) == (3, False)


@pytest.mark.e2e
def test_the_agent_starts_with_the_sample_settings_and_ends_on_sigterm(tmp_path: Path) -> None:
    """Only the addresses of the sample are replaced by this machine's."""
    sample = (SAMPLES / "h6.toml").read_text(encoding="utf-8")
    sample = sample.replace("/run/ivr/", f"{tmp_path}/").replace("/run/ivr-agent/h6/", f"{tmp_path}/")
    sample = sample.replace("10.20.0.6", "127.0.0.1").replace("10.20.0.0/24", "127.0.0.0/8")
    sample = sample.replace("9470", str(free_port()))
    (tmp_path / "h6.toml").write_text(sample, encoding="utf-8")
    process = subprocess.Popen(
        [str(installed(AGENT.name) / "bin" / "ivr-agent"), "--config", str(tmp_path / "h6.toml")],
        cwd="/",
        env={
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "IVR_AGENT_PEER_SECRET": "p" * 32,
        },
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        assert json.loads(process.stderr.readline())["action"] == "started"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.communicate(timeout=30)


@pytest.mark.e2e
def test_the_command_line_installs_without_what_functions_and_agents_need() -> None:
    """An operator's machine gets the program, the core's words, and nothing of AWS."""
    told = bare(str(installed(CTL.name) / "bin" / "ivrctl"), "--version")
    assert (told.returncode, told.stdout.strip()) == (0, __version__)
    there = names_in(installed(CTL.name))
    assert there == {CTL.name, *CTL.siblings, *(pin.name for pin in pins(CTL.lock))}
    assert not there & {"boto3", "botocore", "pydantic", "aiohttp"}
    helped = bare(str(installed(CTL.name) / "bin" / "ivrctl"), "list", "--help")
    assert (helped.returncode, '["like", property, pattern]' in helped.stdout) == (0, True), helped.stderr


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("share/ivr-agent/ivr-agent@.service", "agent/systemd/ivr-agent@.service"),
        *((f"share/ivr-agent/samples/{path.name}", f"agent/samples/{path.name}") for path in SAMPLES.iterdir()),
        *(
            (f"share/doc/ivr-agent/{name}", f"docs/{name}")
            for name in ("agent.md", "engine-protocol.md", "engine-protocol.schema.json", "hosts.md")
        ),
    ],
)
def test_unit_samples_and_pages_come_with_the_agent(there: str, here: str) -> None:
    assert (installed(AGENT.name) / there).read_bytes() == (ROOT / here).read_bytes()


def test_the_sample_settings_are_right_and_the_secret_is_missing_on_purpose(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = (SAMPLES / "h6.env").read_text(encoding="utf-8").splitlines()
    environment = dict(line.split("=", maxsplit=1) for line in lines if line and not line.startswith("#"))
    assert environment["IVR_AGENT_PEER_SECRET"] == ""
    monkeypatch.setenv("IVR_AGENT_PEER_SECRET", "p" * 32)
    load(SAMPLES / "h6.toml", os.environ)


@pytest.mark.e2e
def test_the_sample_of_roles_anywhere_gives_the_agents_sdk_its_credentials(tmp_path: Path) -> None:
    """`ProtectHome` hides ~/.aws: the profile is where AWS_CONFIG_FILE says, its key where systemd has put it."""
    asked = tmp_path / "asked"
    keys = {"Version": 1, "AccessKeyId": "of-the-host", "SecretAccessKey": "s", "SessionToken": "t"}
    keys["Expiration"] = "2100-01-01T00:00:00Z"
    program = tmp_path / "aws_signing_helper"
    program.write_text(f"#!/bin/sh\necho \"$@\" > {asked}\necho '{json.dumps(keys)}'\n", encoding="utf-8")
    program.chmod(0o755)
    told = bare(
        str(installed(AGENT.name) / "bin" / "python"),
        "-c",
        "import botocore.session as s; print(s.get_session().get_credentials().get_frozen_credentials().access_key)",
        AWS_CONFIG_FILE=str(installed(AGENT.name) / "share" / "ivr-agent" / "samples" / "aws-config"),
        CREDENTIALS_DIRECTORY="/run/credentials/ivr-agent@h6.service",
        PATH=f"{tmp_path}:{os.environ['PATH']}",
    )
    assert told.stdout.strip() == "of-the-host", told.stderr
    arguments = asked.read_text(encoding="utf-8")
    assert "credential-process --certificate /run/credentials/ivr-agent@h6.service/host.pem " in arguments
    assert "--private-key /run/credentials/ivr-agent@h6.service/host.key " in arguments
    dropped = (SAMPLES / "roles-anywhere.conf").read_text(encoding="utf-8")
    assert set(re.findall(r"LoadCredential=([\w.]+):", dropped)) == {"host.pem", "host.key"}


@pytest.mark.e2e
def test_a_wheel_that_was_changed_on_its_way_is_not_installed(tmp_path: Path) -> None:
    house = tmp_path / "house"
    shutil.copytree(wheelhouse(AGENT.name), house)
    (changed,) = house.glob("ivr_runtimes_core-*.whl")
    with changed.open("ab") as wheel:
        wheel.write(b"\n")
    lock = ["--no-index", "--find-links", str(house), "--require-hashes", "-r", str(house / "requirements.txt")]
    done = bare(sys.executable, "-m", "pip", "install", "--target", str(tmp_path / "there"), *lock)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr


@pytest.mark.e2e
@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_every_wheel_requires_the_projects_ranges_and_its_siblings_in_the_same_version(folder: Path) -> None:
    distribution = Distribution.of(folder)
    with zipfile.ZipFile(distribution.wheel(released())) as wheel:
        names = wheel.namelist()
        (metadata,) = (wheel.read(name).decode() for name in names if name.endswith("dist-info/METADATA"))
    assert [name for name in names if name.endswith("licenses/LICENSE")]
    assert not [name for name in names if "__pycache__" in name]
    required = re.findall(r"^Requires-Dist: (\S+)", metadata, re.MULTILINE)
    assert {f"{sibling}=={__version__}" for sibling in distribution.siblings} <= set(required)
    assert {re.split(r"[<>=]", one)[0] for one in required} == requires_of(folder) | distribution.siblings


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_a_distributions_lock_is_what_the_tests_run_with(folder: Path) -> None:
    tested = {pin.name: pin.version for pin in pins(ROOT / "requirements" / "dev.txt")}
    lock = pins(folder / "requirements.txt")
    assert requires_of(folder) <= {pin.name for pin in lock}
    assert {pin.name: pin.version for pin in lock}.items() <= tested.items()


@pytest.mark.e2e
def test_the_other_processors_wheels_are_there_too(tmp_path: Path) -> None:
    fetch([AGENT.lock], tmp_path, platform="manylinux2014_aarch64", pythons=["3.13"])
    compiled = [wheel.name for wheel in tmp_path.iterdir() if "-none-any" not in wheel.name]
    assert compiled
    assert all("aarch64" in name for name in compiled)


@pytest.mark.e2e
def test_the_same_sources_make_the_same_wheels(tmp_path: Path) -> None:
    wheels = {wheel.name: wheel.read_bytes() for wheel in released().glob("*.whl")}
    command = [
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--wheel-dir",
        str(tmp_path),
    ]
    done = bare(sys.executable, "-m", *command, *map(str, DISTRIBUTIONS))
    assert done.returncode == 0, done.stderr
    assert wheels == {wheel.name: wheel.read_bytes() for wheel in tmp_path.iterdir()}


def test_the_same_files_make_the_same_archive_whenever_and_by_whomever(tmp_path: Path) -> None:
    digests = set()
    for number, name in enumerate(("first", "second")):
        folder = tmp_path / name
        folder.mkdir()
        for file in ("b", "a") if number else ("a", "b"):
            (folder / file).write_text(file)
            os.utime(folder / file, (number, number))
            (folder / file).chmod(0o600 + number * 0o44)
        pack(folder, tmp_path / f"{name}.tar.gz", "inside")
        digests.add((tmp_path / f"{name}.tar.gz").read_bytes())
        time.sleep(1.1 * (1 - number))  # gzip's header has whole seconds
    assert len(digests) == 1


def test_make_lock_makes_every_lock_anew() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\nlock: ")[2].partition("\n\nclean:")[0]
    recipe = recipe.replace("$(BASELINE)", "benchmarks/baselines/powertools_resource")
    made = set(re.findall(r"-o (\S+\.txt)", recipe))
    (over_distributions,) = (name for name in made if name.startswith("$$folder/"))
    made |= {f"{folder.relative_to(ROOT)}/{over_distributions.removeprefix('$$folder/')}" for folder in DISTRIBUTIONS}
    folders = ("requirements", "layers", "benchmarks", "distributions")
    texts = [path for folder in folders for path in (ROOT / folder).rglob("*.txt") if "node_modules" not in path.parts]
    locks = {str(path.relative_to(ROOT)) for path in texts if "--hash=sha256:" in path.read_text(encoding="utf-8")}
    assert locks == made - {over_distributions}
