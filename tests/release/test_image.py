"""agent/Containerfile, as far as it goes without a container engine.

Its commands are run as they stand, with other paths; its program is PID 1 of a namespace, under another user, on a
read-only root. That an engine builds it is not shown.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from emulators import ROOT, free_port
from ivr_runtimes import __version__
from releases import bare, released, scratch

pytestmark = pytest.mark.build

KEYWORDS = {"ARG", "FROM", "COPY", "RUN", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "ENTRYPOINT", "CMD"}


class Instruction(NamedTuple):
    keyword: str
    value: str


def stages() -> list[list[Instruction]]:
    """The Containerfile's instructions, those before the first FROM as stage 0."""
    text = (ROOT / "agent" / "Containerfile").read_text(encoding="utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found: list[list[Instruction]] = [[]]
    for line in lines:
        instruction = Instruction(*line.split(maxsplit=1))
        if instruction.keyword == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


def values(stage: list[Instruction], keyword: str) -> list[str]:
    return [instruction.value for instruction in stage if instruction.keyword == keyword]


@pytest.fixture(scope="module")
def image() -> Path:
    """The folder that stands for the image's root: what the RUN lines of the first stage leave in /opt."""
    root = scratch("image")
    (archive,) = released().glob("ivr-agent-*.tar.gz")
    shutil.copy(archive, root / "wheelhouse.tar.gz")
    (root / "opt").mkdir()
    for command in values(stages()[1], "RUN"):
        here = re.sub(r"(?<=\s)/(?=wheelhouse|opt/)", f"{root}/", command)
        done = bare("/bin/sh", "-ec", here, PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert done.returncode == 0, done.stderr
    return root


def test_every_instruction_is_known_and_nothing_is_fetched() -> None:
    _, install, final = stages()
    assert {instruction.keyword for stage in stages() for instruction in stage} <= KEYWORDS
    assert values(install, "COPY") == ["${WHEELHOUSE} /wheelhouse.tar.gz"]
    assert [
        command for command in values(install, "RUN") if "install " in command and "--no-index" not in command
    ] == []
    assert values(final, "RUN") == [], "the image is the base and one folder"


def test_the_image_runs_as_nobody_in_particular_and_its_program_is_pid_1() -> None:
    final = stages()[2]
    (user,) = values(final, "USER")
    assert all(int(one) >= 1000 for one in user.split(":"))
    assert json.loads(values(final, "ENTRYPOINT")[0]) == ["/opt/ivr-agent/bin/ivr-agent"]
    assert json.loads(values(final, "CMD")[0])[0] == "--config"
    assert values(final, "STOPSIGNAL") == ["SIGTERM"]


@pytest.mark.e2e
def test_its_commands_make_the_folder_it_copies_with_nothing_to_compile_and_no_pip(image: Path) -> None:
    venv = image / "opt" / "ivr-agent"
    assert bare(str(venv / "bin" / "ivr-agent"), "--version").stdout.strip() == __version__
    (packages,) = venv.glob("lib/python3.*/site-packages")
    assert not (packages / "pip").exists()
    sources = list((packages / "ivr_agent").rglob("*.py"))
    assert sources
    assert all(list((path.parent / "__pycache__").glob(f"{path.stem}.*.pyc")) for path in sources)


@contextmanager
def pid_1(
    image: Path, program: list[str], environment: dict[str, str]
) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Run a program as PID 1, as the image's user, on a read-only root with one folder to write to; yield its PID."""
    uid, gid = values(stages()[2], "USER")[0].split(":")
    folder = image / "run"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    as_user = ["unshare", "--user", f"--map-user={uid}", f"--map-group={gid}"]
    inside = f'mount --bind {folder} {folder} && mount -o remount,bind,ro / && exec "$@"'
    outside = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    if os.getuid() != 0:
        outside[1:1] = ["--user", "--map-root-user"]
    process = subprocess.Popen(
        [*outside, "/bin/sh", "-ec", inside, "sh", *as_user, *program],
        cwd="/",
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, _child(process)
    finally:
        process.kill()
        process.communicate(timeout=30)


def _child(process: "subprocess.Popen[str]") -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for _ in range(400):
        if process.poll() is None and (found := children.read_text().split()):
            return int(found[0])
        time.sleep(0.05)
    assert process.stderr is not None
    pytest.skip(f"this machine makes no namespaces: {process.stderr.read()}")


@pytest.mark.e2e
def test_a_program_that_does_not_care_for_signals_outlives_them_as_pid_1(image: Path) -> None:
    """So that the next tests show something: the kernel drops what PID 1 does not handle (kill(2), NOTES)."""
    with pid_1(image, ["sleep", "30"], {"PATH": os.environ["PATH"]}) as (process, pid):
        time.sleep(0.5)
        os.kill(pid, signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_pid_1_on_a_read_only_root_the_agent_ends_in_order(image: Path, number: signal.Signals) -> None:
    environment = dict(value.split("=") for line in values(stages()[2], "ENV") for value in line.split())
    environment |= {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "testing"}
    environment |= {"AWS_SECRET_ACCESS_KEY": "testing", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    settings = {"SITE": "SITE1", "NODE": "h6@127.0.0.1", "RUNTIMES_TABLE": "runtimes", "NODES_TABLE": "nodes"}
    settings |= {"QUEUE_URL": "http://127.0.0.1:9/stop-SITE1", "DEAD_LETTER_URL": "http://127.0.0.1:9/stop-SITE1-dlq"}
    settings |= {"ENGINE": f"unix:{image}/run/engine", "LISTEN": f"unix:{image}/run/agent-{number}"}
    settings |= {"CONTROL_PORT": str(free_port()), "SINGLE_NODE_SITE": "true"}
    environment |= {f"IVR_AGENT_{name}": value for name, value in settings.items()}
    (entry,) = json.loads(values(stages()[2], "ENTRYPOINT")[0])
    with pid_1(image, [f"{image}{entry}"], environment) as (process, pid):
        assert process.stderr is not None
        first = process.stderr.readline()
        assert json.loads(first)["action"] == "started", first
        assert re.search(r"^NSpid:\t\d+\t(?:\d+\t)*1$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        assert not os.access(f"/proc/{pid}/root{image}/opt", os.W_OK)
        os.kill(pid, number)
        assert process.wait(30) == 0
