"""`ivrctl` in a terminal against the embedded stack, while calls come and go."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from emulators import ROOT
from stack import Stack, eventually, running_stack
from terminals import terminal

pytestmark = pytest.mark.e2e

MANY = 300


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack where some 40 calls a second come in for one domain, and end after half a minute."""
    folder = tmp_path_factory.mktemp("busy")
    sample = (ROOT / "samplesconfig.toml").read_text(encoding="utf-8")
    (folder / "busy.toml").write_text(
        sample.replace("calls_per_minute = 66", "calls_per_minute = 2400", 1), encoding="utf-8"
    )
    with running_stack(folder, config=folder / "busy.toml") as stack:
        yield stack


@pytest.fixture
def environment(busy: Stack, tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "IVRCTL_URL": f"http://127.0.0.1:{busy.port}"}


@pytest.fixture
def ctl(environment: dict[str, str]) -> Callable[..., Any]:
    def called(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ivrctl", *arguments]
        return subprocess.run(
            command, env={**environment, **more}, capture_output=True, text=True, timeout=90, check=False
        )

    return called


def some(ctl: Callable[..., Any], *arguments: str, within_s: float = 40) -> list[str]:
    """Wait until there are ids that meet conditions; return them."""

    def listed() -> list[str]:
        return list(ctl("list", "-o", "ids", *arguments).stdout.split())

    found: list[str] = eventually(listed, within_s=within_s)
    return found


def the_one_before(ctl: Callable[..., Any], count: int) -> str | None:
    """The start time of the last of so many runtimes, once there are so many."""
    told = ctl("list", "-o", "jsonl", "--mask", "starttime", "--limit", str(count))
    lines = told.stdout.splitlines()
    return json.loads(lines[-1])["starttime"] if len(lines) == count else None


def asked_to_stop(stack: Stack) -> set[str]:
    """The ids of all stops that the gateway has seen."""
    log = (stack.state_dir / "logs" / "gateway.log").read_text(encoding="utf-8")
    return set(re.findall(r"DELETE /rest/v1/uc/ivrscript_runtimes/(\S+) ", log))


def test_list_works_with_no_set_up(ctl: Callable[..., Any], busy: Stack) -> None:
    listed = eventually(lambda: ctl("list", "--limit", "20").stdout, within_s=20)
    heads, *lines = listed.splitlines()
    assert heads.split()[0] == "ID"
    assert all("running" in line or "post_processing" in line for line in lines)
    assert ctl("list", "-o", "json").returncode == 0


def test_the_readmes_lines_run_as_they_stand(environment: dict[str, str]) -> None:
    (block,) = re.findall(r"```sh ivrctl\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    *lines, last = block.splitlines()
    assert last.endswith("ivrctl watch"), "it waits for keys, so its own test drives it"
    script = "set -eu\n" + "\n".join(lines).replace(".venv/bin/ivrctl", f"{sys.executable} -m ivrctl")
    done = subprocess.run(
        ["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "would be stopped; nothing was" in done.stderr) == (0, True), done.stderr


def test_many_are_stopped_while_calls_come_and_go_and_every_id_shown_ends_in_one_outcome(
    ctl: Callable[..., Any], environment: dict[str, str], busy: Stack
) -> None:
    last = eventually(lambda: the_one_before(ctl, MANY), within_s=60, every_s=1)
    before = asked_to_stop(busy)
    with terminal(
        ["ivrctl", "stop", "--where", f"starttime<={last}", "-o", "json", "--parallel", "16", "--wait=60s"], environment
    ) as shown:
        text = shown.until("[y/N]", within_s=60)
        count = int(text.rpartition("Stop ")[2].partition("?")[0])
        shown.type("y\r")
        assert shown.ended(within_s=120) == 0, shown.text
    assert count >= MANY * 0.8, "some have ended meanwhile, and others began in the same second"
    assert f"100 %  {count} of {count}" in shown.text
    document = json.loads(shown.text[shown.text.index("\n{") :].rpartition("}")[0] + "}")
    stops = {each["id"]: each["outcome"] for each in document["stops"]}
    assert len(stops) == len(document["stops"]) == document["total"] == count
    assert set(stops.values()) <= {"ended", "already_ended", "post_processing"}
    assert asked_to_stop(busy) - before <= stops.keys(), "nothing that was not shown is touched"
    assert len(ctl("list", "-o", "ids").stdout.split()) > 0, "the calls that came later go on"


def test_one_refused_stop_is_exit_code_1_and_names_the_id(ctl: Callable[..., Any]) -> None:
    viewer = {"IVRCTL_CLIENT_ID": "viewer", "IVRCTL_CLIENT_SECRET": "sample-viewer-secret"}
    (runtime_id,) = some(ctl, "--limit", "1", "--order=-starttime")
    told = ctl("stop", runtime_id, "--yes", **viewer)
    assert told.returncode == 1
    assert f"{runtime_id}: refused: not permitted" in told.stderr


def test_a_goodbye_is_left_alone_and_completely_ends_it(ctl: Callable[..., Any]) -> None:
    (survey,) = some(ctl, "code=survey", "state=running", "--order=-starttime", "--limit", "1")
    first = ctl("stop", survey, "--yes", "-o", "jsonl")
    assert json.loads(first.stdout)["outcome"] in ("post_processing", "ended", "already_ended")
    last = ctl("stop", survey, "--yes", "-o", "jsonl", "--completely")
    assert last.returncode == 0
    assert json.loads(last.stdout)["outcome"] in ("ended", "already_ended")
    eventually(lambda: ctl("get", survey).returncode == 4, within_s=20)


def test_a_person_signs_in_in_a_browser_and_the_login_is_renewed(
    ctl: Callable[..., Any], environment: dict[str, str], busy: Stack, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "ivrctl", "login", "--profile", "local-user", "--no-browser"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        program.stderr.readline()
        page = program.stderr.readline().strip()
        assert page.startswith(f"http://127.0.0.1:{busy.port}/oauth2/authorize?")
        shown = busy.request("GET", page.partition(str(busy.port))[2])
        assert (shown.status, "frame-ancestors 'none'" in shown.headers["content-security-policy"]) == (200, True)
        (request_id,) = re.findall(r'name="request" value="([^"]+)"', shown.body.decode())
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        chosen = busy.request("POST", "/oauth2/authorize", form, f"request={request_id}&user=olga")
        assert chosen.status == 303
        with urlopen(chosen.headers["location"]) as back:  # noqa: S310  # loopback
            assert b"go back to the terminal" in back.read()
        assert program.wait(20) == 0
        assert "sub olga, domain test.rootdomain.ru" in program.stderr.read()
    assert ctl("list", "--profile", "local-user").returncode == 0
    (file,) = Path(tmp_path, ".cache", "ivrctl", "tokens").iterdir()
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "expires_at_s": 0}))
    assert ctl("list", "--profile", "local-user").returncode == 0
    assert json.loads(file.read_text())["refresh"] != kept["refresh"], "each refresh token is good once"
