"""`ivrctl list` and `get` against an API in this process: formats, pages, coverage, errors."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from ivr_runtimes import errors
from ivr_runtimes.errors import ApiError
from ivr_runtimes.http.response import problem_response
from ivr_runtimes.identifiers import Site
from ivrctl.api import client
from ivrctl.http import Answer, failure
from scripted_api import SITES, Asked, ScriptedApi
from terminals import terminal

Ctl = Callable[..., Any]


def test_what_runs_is_listed_without_any_set_up(ctl: Ctl, api: ScriptedApi) -> None:
    (player,) = api.runs(1)
    told = ctl("list")
    heads, line = told.out.splitlines()
    assert heads.split() == ["ID", "SITE", "NODE", "CODE", "NAME", "STATE", "AGE"]
    assert line.split()[:4] == [player, "SITE1", "site1_a@127.0.0.1", "player"]
    assert (told.code, told.err) == (0, "")


def test_pages_are_followed_to_the_end_and_each_row_is_shown_once(
    ctl: Ctl, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE_ROWS", 7)
    ids = api.runs(40)
    assert sorted(ctl("list", "-o", "ids").out.split()) == sorted(ids)
    assert len([asked for asked in api.asked if asked.method == "GET" and "after" in asked.query]) == 5


@pytest.mark.parametrize(("limit", "shown"), [(0, 0), (1, 1), (7, 7), (8, 8), (21, 20)])
def test_a_limit_counts_rows_of_all_pages(
    ctl: Ctl, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch, limit: int, shown: int
) -> None:
    monkeypatch.setattr(client, "PAGE_ROWS", 7)
    api.runs(20)
    assert len(ctl("list", "-o", "ids", "--limit", str(limit)).out.split()) == shown
    assert all(int(parse_qs(asked.query)["limit"][0]) <= limit for asked in api.asked if "limit=" in asked.query)


def test_conditions_reach_the_api_as_its_own_filter(ctl: Ctl, api: ScriptedApi) -> None:
    api.runs(2, code="player")
    api.runs(1, code="welcome", site=SITES[1], name="Main scenario")
    (old,) = api.runs(1, code="welcome", age_s=7200)
    assert len(ctl("list", "-o", "ids", "code=player,welcome").out.split()) == 4
    assert ctl("list", "-o", "ids", "age>1h", "site=SITE1").out.split() == [old]
    assert len(ctl("list", "-o", "ids", "name~Main%").out.split()) == 1
    assert len(ctl("list", "-o", "ids", "code!=player", "--filter", '{"site": "SITE2"}').out.split()) == 1


def test_each_format_has_the_same_rows(ctl: Ctl, api: ScriptedApi) -> None:
    ids = sorted(api.runs(3))
    document = json.loads(ctl("list", "-o", "json").out)
    lines = [json.loads(line) for line in ctl("list", "-o", "jsonl").out.splitlines()]
    table = list(csv.DictReader(io.StringIO(ctl("list", "-o", "csv").out)))
    assert sorted(row["id"] for row in document["runtimes"]) == ids
    assert document["runtimes"] == lines
    assert [{**row} for row in table] == lines
    assert list(lines[0]) == ["id", "site", "node", "domain", "type", "code", "name", "starttime"]
    assert sorted(ctl("list", "-o", "ids").out.split()) == ids
    assert all(one in ctl("list", "-o", "wide").out for one in ids)


def test_a_mask_chooses_the_columns(ctl: Ctl, api: ScriptedApi) -> None:
    api.runs(1)
    assert ctl("list", "--mask", "code,ext.state").out.split() == ["CODE", "EXT.STATE", "player", "running"]
    assert json.loads(ctl("list", "-o", "jsonl", "--mask", "ext.state").out) == {"ext": {"state": "running"}}


def test_times_are_shown_with_their_zone(ctl: Ctl, api: ScriptedApi) -> None:
    api.runs(1)
    assert re.search(r"STARTED \(UTC\).*\n.*\d\d:\d\d:\d\dZ", ctl("list", "-o", "wide").out)
    assert re.search(
        r"STARTED \(LOCAL\).*\n.*\d\d:\d\d:\d\d[+-]\d\d:\d\d", ctl("list", "-o", "wide", "--zone", "local").out
    )


def test_a_site_that_does_not_answer_is_never_mistaken_for_one_where_nothing_runs(ctl: Ctl, api: ScriptedApi) -> None:
    api.node(SITES[1], alive=False)
    told = ctl("list")
    assert (told.code, told.out) == (0, "")
    assert "SITE2: 0 of 1 nodes answer" in told.err
    document = json.loads(ctl("list", "-o", "json").out)
    assert document["coverage"]["complete"] is False
    assert {"site": "SITE2", "live": 0, "known": 1} in document["coverage"]["sites"]
    failed = ctl("list", "--fail-on-partial", "-o", "ids")
    assert (failed.code, "SITE2" in failed.err) == (5, True)


def test_an_answer_that_does_not_say_what_it_covers_counts_as_partial(ctl: Ctl, api: ScriptedApi) -> None:
    api.fault = lambda asked: (200, {"content-type": "application/json"}, b"[]") if "uc" in asked.path else None
    assert "does not say which sites" in ctl("list").err
    assert ctl("list", "--fail-on-partial").code == 5


def test_nothing_runs_says_so_on_stderr_alone(ctl: Ctl) -> None:
    assert ctl("list") == (0, "", "nothing runs\n")
    assert ctl("list", "site=SITE1").err == "nothing runs that meets all conditions\n"


@pytest.mark.parametrize("output", ["table", "wide", "ids", "csv", "json", "jsonl"])
def test_escapes_and_direction_marks_in_names_reach_no_terminal(ctl: Ctl, api: ScriptedApi, output: str) -> None:
    api.runs(1, name="a\x1b]0;owned\x07b\u202etxt\u2066\x9b31mé中")
    shown = ctl("list", "-o", output).out
    assert not [each for each in shown if each != "\n" and (ord(each) < 32 or each in "\x7f\x9b\u202e\u2066")]
    if output != "ids":
        assert "é中" in shown
    if output == "json":
        assert json.loads(shown)["runtimes"][0]["name"] == "a\x1b]0;owned\x07b\u202etxt\u2066\x9b31mé中"


def test_get_shows_one_with_its_ext(ctl: Ctl, api: ScriptedApi) -> None:
    (player,) = api.runs(1)
    told = ctl("get", player)
    assert re.search(r"^ext\.state +running$", told.out, re.MULTILINE)
    assert json.loads(ctl("get", player, "-o", "json").out)["ext"]["state"] == "running"
    assert ctl("get", player.upper()).code == 0


def test_get_of_what_does_not_run_ends_with_4_and_says_where_it_could_hide(ctl: Ctl, api: ScriptedApi) -> None:
    missing = "00000000-0624-e639-8061-a80000000006"
    assert ctl("get", missing).code == 4
    api.node(SITES[1], alive=False)
    assert "SITE2: 0 of 1 nodes answer" in ctl("get", missing).err


def test_a_token_of_an_earlier_stack_is_replaced(ctl: Ctl, api: ScriptedApi) -> None:
    assert ctl("list").code == 0
    api.tokens.clear()
    assert ctl("list").code == 0
    assert len([asked for asked in api.asked if asked.path == "/oauth2/token"]) == 2


def test_a_token_is_kept_between_calls_for_its_owner_alone(
    ctl: Ctl, api: ScriptedApi, environment: dict[str, str]
) -> None:
    assert [ctl("list").code for _ in range(3)] == [0, 0, 0]
    assert len([asked for asked in api.asked if asked.path == "/oauth2/token"]) == 1
    (file,) = Path(environment["IVRCTL_CACHE"], "tokens").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    assert ctl("list").code == 0
    assert len([asked for asked in api.asked if asked.path == "/oauth2/token"]) == 2


@pytest.mark.parametrize(
    "error",
    [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, ApiError) and each is not ApiError
    ],
)
def test_each_error_of_the_api_ends_with_the_exit_code_of_its_class(error: type[ApiError]) -> None:
    raised = error() if error is errors.RuntimeNotFoundError else error("why")
    told = problem_response(raised, request_id="r1")
    assert failure(Answer(told["statusCode"], told["headers"], told["body"].encode())).exit_code == error.exit_code


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 2), (401, 3), (403, 3), (404, 1), (409, 1), (418, 1), (429, 6), (431, 2), (500, 1), (503, 6)],
)
def test_a_gateways_own_refusal_has_an_exit_code_too(ctl: Ctl, api: ScriptedApi, status: int, code: int) -> None:
    def refuse(asked: Asked) -> Any:
        return (status, {"retry-after": "60"}, b'{"message": "No."}') if "uc" in asked.path else None

    api.fault = refuse
    told = ctl("list", "--json-errors")
    assert told.code == code
    problem = json.loads(told.err.splitlines()[-1])
    assert (problem["status"], problem["message"]) == (status, "No.")


def test_the_apis_problem_is_passed_through_with_its_places(ctl: Ctl) -> None:
    told = ctl("--json-errors", "list", "--order", "nope")
    problem = json.loads(told.err)
    assert (told.code, problem["code"], problem["errors"][0]["place"]) == (2, "invalid_request", "order[0]")
    assert "order[0]" in ctl("list", "--order", "nope").err


@pytest.mark.parametrize(
    "arguments",
    [
        ["lost"],
        ["list", "nonsense"],
        ["list", "site="],
        ["list", "wher=1"],
        ["list", "age=10m"],
        ["list", "age>soon"],
        ["list", "starttime<yesterday"],
        ["list", "code=a,,b"],
        ["list", "--filter", "{"],
        ["list", "--limit", "-1"],
        ["list", "--limit", "1000001"],
        ["list", "-o", "yaml"],
        ["list", "--mask="],
        ["list", "--profile", "lost"],
        ["list", "--url", "http://api.example.com"],
        ["list", "--url", "ftp://127.0.0.1"],
        ["list", "--zone", "mars"],
        ["get"],
        ["list", "--lim", "1"],
    ],
)
def test_wrong_arguments_end_with_2_and_a_remedy_and_ask_nothing(
    ctl: Ctl, api: ScriptedApi, arguments: list[str]
) -> None:
    told = ctl(*arguments)
    assert (told.code, told.out) == (2, "")
    assert len(told.err.splitlines()) >= 1
    assert not api.asked
    assert json.loads(ctl("--json-errors", *arguments).err)["code"] == "usage"


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'["a"]', b"", b"[" * 100_000])
def test_an_answer_that_makes_no_sense_is_an_error_and_no_traceback(ctl: Ctl, api: ScriptedApi, body: bytes) -> None:
    api.fault = lambda asked: (200, {"site-nodes": "SITE1=1/1"}, body) if "uc" in asked.path else None
    told = ctl("list")
    assert (told.code, told.out) == (1, "")
    assert "Traceback" not in told.err


def test_a_next_page_elsewhere_gets_no_token(ctl: Ctl, api: ScriptedApi) -> None:
    link = {"link": '<http://127.0.0.1:9/steal?after=x>; rel="next"', "site-nodes": "SITE1=1/1"}
    api.fault = lambda asked: (200, link, b"[]") if "uc" in asked.path else None
    assert ctl("list").code == 1


def test_pages_that_lead_in_a_circle_end(ctl: Ctl, api: ScriptedApi) -> None:
    link = {"link": '<?limit=1000&after=x>; rel="next"', "site-nodes": "SITE1=1/1"}
    api.fault = lambda asked: (200, link, b"[]") if "uc" in asked.path else None
    assert ctl("list").code == 1


def test_a_busy_api_is_asked_again_after_the_time_it_names(ctl: Ctl, api: ScriptedApi) -> None:
    refusals = [(429, {"retry-after": "0"}, b"{}"), (503, {"retry-after": "0"}, b"{}")]

    def busy(asked: Asked) -> Any:
        return refusals.pop() if "uc" in asked.path and refusals else None

    api.fault = busy
    api.runs(1)
    assert ctl("list").code == 0
    assert not refusals


def test_a_server_that_closes_each_connection_is_no_trouble(
    ctl: Ctl, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE_ROWS", 2)
    api.runs(6)
    api.keep_alive = False
    assert len(ctl("list", "-o", "ids").out.split()) == 6


def test_nobody_listening_is_told_with_the_remedy(ctl: Ctl) -> None:
    told = ctl("list", "--url", "http://127.0.0.1:9")
    assert told.code == 6
    assert "make run" in told.err


def test_a_terminal_gets_colours_and_its_width_a_pipe_neither(api: ScriptedApi, environment: dict[str, str]) -> None:
    (player,) = api.runs(1, name="A long name that no narrow terminal has room for")
    with terminal(["ivrctl", "list"], environment, columns=100) as shown:
        assert shown.ended() == 0
    assert player in shown.text
    assert "\x1b[32mrunning" in shown.raw
    assert "…" in shown.text
    assert max(len(line) for line in shown.text.splitlines()) <= 100
    for plain in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        with terminal(["ivrctl", "list"], {**environment, **plain}, columns=100) as shown:
            assert shown.ended() == 0
        assert "\x1b" not in shown.raw


def test_a_pipe_that_closes_early_is_no_traceback(api: ScriptedApi, environment: dict[str, str]) -> None:
    api.runs(3000)
    command = f"{sys.executable} -m ivrctl list | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["/bin/bash", "-c", command], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 141
    assert "Traceback" not in done.stderr


def test_help_names_each_command_and_exit_code(ctl: Ctl) -> None:
    with pytest.raises(SystemExit) as ended:
        ctl("--help")
    assert ended.value.code == 0


@pytest.mark.parametrize("site", ["SITE1", "SITE2"])
def test_get_tells_the_site(ctl: Ctl, api: ScriptedApi, site: str) -> None:
    (found,) = api.runs(1, site=Site(site))
    assert re.search(rf"^site +{site}$", ctl("get", found).out, re.MULTILINE)
