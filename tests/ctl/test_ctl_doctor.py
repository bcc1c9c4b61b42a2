"""`ivrctl doctor` and completion, against an API in this process and in a real bash."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ivrctl.commands.completion import SCRIPTS
from ivrctl.grammar import COMMANDS, parser_of
from scripted_api import SITES, Asked, ScriptedApi

Ctl = Callable[..., Any]


def findings(ctl: Ctl, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    told = ctl("doctor", "-o", "json", *arguments)
    return told.code, {each["about"]: each for each in json.loads(told.out)}


def jwt(**claims: Any) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.c2ln"


def test_where_all_is_well_it_says_so(ctl: Ctl) -> None:
    code, found = findings(ctl)
    assert code == 0
    assert {each["state"] for each in found.values()} <= {"ok", "note"}
    assert found["site SITE1"]["detail"] == "1 of 1 nodes answer"
    assert found["clock"]["state"] == "ok"
    assert "wrong" not in ctl("doctor").out


def test_a_token_is_told_by_its_claims(ctl: Ctl, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    token = jwt(iss=api.url, aud="here", scope="r:read", domain="one.example", exp=4_000_000_000)
    api.tokens.add(token)
    monkeypatch.setenv("IVRCTL_TOKEN", token)
    code, found = findings(ctl)
    assert code == 0
    assert "aud here" in found["token"]["detail"]
    assert (found["scopes"]["detail"], found["domain"]["detail"]) == ("r:read", "domain one.example")
    assert token not in ctl("doctor").out


def test_an_expired_token_is_wrong_and_says_what_to_do(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IVRCTL_TOKEN", jwt(iss="https://elsewhere.example", exp=1))
    code, found = findings(ctl)
    assert code == 3
    assert (found["expiry"]["state"], found["expiry"]["remedy"]) == ("wrong", "run `ivrctl login`")
    assert found["token issuer"]["state"] == "note"


def test_an_api_that_refuses_or_is_away_is_told_with_its_exit_code(ctl: Ctl, api: ScriptedApi) -> None:
    api.fault = lambda asked: (403, {}, b'{"message":"Forbidden"}') if "uc" in asked.path else None
    code, found = findings(ctl)
    assert (code, found["API"]["state"]) == (3, "wrong")
    code, found = findings(ctl, "--url", "http://127.0.0.1:9")
    assert (code, found["issuer"]["state"], found["API"]["state"]) == (6, "wrong", "wrong")


def test_a_site_that_does_not_answer_and_a_wrong_clock_are_noted(ctl: Ctl, api: ScriptedApi) -> None:
    api.node(SITES[1], alive=False)
    assert findings(ctl)[1]["site SITE2"]["state"] == "note"
    late = {"date": "Fri, 15 Jan 2100 08:00:00 GMT", "site-nodes": "SITE1=1/1"}
    api.fault = lambda asked: (200, late, b"[]") if "uc" in asked.path else None
    assert findings(ctl)[1]["clock"]["state"] == "note"


def test_a_profile_that_is_wrong_is_told_and_nothing_is_asked(ctl: Ctl, api: ScriptedApi) -> None:
    code, found = findings(ctl, "--profile", "lost")
    assert (code, found["profile"]["state"]) == (2, "wrong")
    assert not api.asked


def offered(ctl: Ctl, line: str) -> list[str]:
    told = ctl("complete-line", line)
    assert told.code == 0
    return list(told.out.splitlines())


def test_commands_options_fields_and_values_are_offered(ctl: Ctl, api: ScriptedApi) -> None:
    (player,) = api.runs(1)
    api.runs(1, code="welcome", site=SITES[1])
    assert offered(ctl, "ivrctl ") == sorted(name for name, command in COMMANDS.items() if command.summary)
    assert offered(ctl, "ivrctl li") == ["list"]
    assert "--fail-on-partial" in offered(ctl, "ivrctl list --")
    assert offered(ctl, "ivrctl list -o j") == ["json", "jsonl"]
    assert offered(ctl, "ivrctl --profile ") == ["local", "local-user"]
    assert offered(ctl, "ivrctl list site") == ["site="]
    assert offered(ctl, "ivrctl list site=") == ["site=SITE1", "site=SITE2"]
    assert offered(ctl, "ivrctl list code=player,") == ["code=player,welcome"]
    assert offered(ctl, "ivrctl list state=r") == ["state=running"]
    assert offered(ctl, "ivrctl stop --where code=w") == ["code=welcome"]
    assert player in offered(ctl, "ivrctl get ")
    assert offered(ctl, "ivrctl completion ") == ["bash", "fish", "zsh"]


def test_values_are_asked_for_once_a_minute(ctl: Ctl, api: ScriptedApi) -> None:
    api.runs(1)
    for _ in range(3):
        assert offered(ctl, "ivrctl list code=") == ["code=player"]
    assert len([asked for asked in api.asked if "uc" in asked.path]) == 1


def test_names_that_a_shell_would_take_apart_are_not_offered(ctl: Ctl, api: ScriptedApi) -> None:
    for code in ("$(reboot)", "a b", "x;y", "\x1b[31m", "good"):
        api.runs(1, code=code)
    assert offered(ctl, "ivrctl list code=") == ["code=good"]


def test_without_an_api_there_are_no_values_and_no_noise(ctl: Ctl, api: ScriptedApi) -> None:
    def away(asked: Asked) -> Any:
        return 500, {}, b"no"

    api.fault = away
    told = ctl("complete-line", "ivrctl list code=")
    assert told == (0, "", "")


@pytest.mark.parametrize(
    ("line", "completed"),
    [("ivrctl lis", ["list"]), ("ivrctl list site=SITE2", ["SITE2"]), ("ivrctl list node=site1_a@", ["127.0.0.1"])],
)
def test_bash_completes_a_line(
    ctl: Ctl, api: ScriptedApi, environment: dict[str, str], tmp_path: Path, line: str, completed: list[str]
) -> None:
    """Bash takes words apart at = and @, so it gets only what stands behind the last of them."""
    api.runs(1)
    api.runs(1, site=SITES[1])
    program = tmp_path / "ivrctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m ivrctl "$@"\n')
    program.chmod(0o755)
    script = (
        f"{SCRIPTS['bash']}\nCOMP_LINE={line!r} COMP_POINT={len(line)}\n_ivrctl\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        env={**environment, "PATH": f"{tmp_path}:{environment['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout.splitlines(), done.stderr) == (completed, "")


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.summary])
def test_each_command_has_help_with_examples(name: str) -> None:
    text = parser_of(name).format_help()
    assert f"usage: ivrctl {name}" in text
    assert "examples:" in text


@pytest.mark.parametrize("shell", list(SCRIPTS))
def test_each_shells_script_is_printed(ctl: Ctl, shell: str) -> None:
    assert ctl("completion", shell).out == SCRIPTS[shell]
