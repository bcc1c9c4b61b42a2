"""`ivrctl stop` against an API in this process: what is shown is what is stopped, and every id ends in one outcome."""

import io
import json
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulators import ROOT
from ivrctl.stopping import OUTCOMES
from scripted_api import SITES, Answer, Asked, ScriptedApi, nothing
from terminals import Terminal, terminal

Ctl = Callable[..., Any]
REFUSED = (403, {}, b'{"message":"Forbidden"}')


def outcomes(out: str) -> dict[str, str]:
    """The outcomes of `-o json`, by id."""
    return {each["id"]: each["outcome"] for each in json.loads(out)["stops"]}


def test_what_meets_the_conditions_is_stopped_and_nothing_else(ctl: Ctl, api: ScriptedApi) -> None:
    players, others = api.runs(20), api.runs(5, code="welcome")
    told = ctl("stop", "--where", "code=player", "--yes", "-o", "json")
    assert told.code == 0
    assert outcomes(told.out) == dict.fromkeys(players, "ended")
    assert "20 of 20 done: 20 ended" in told.err
    assert all(api.found(one) for one in others)
    assert not any(api.found(one) for one in players)


@pytest.mark.parametrize("proves", [True, False])
def test_a_goodbye_runs_on_unless_it_is_to_end_completely(ctl: Ctl, api: ScriptedApi, proves: bool) -> None:
    api.proves = proves
    (survey,) = api.runs(1, code="survey")
    assert outcomes(ctl("stop", survey, "--yes", "-o", "json").out) == {survey: "post_processing"}
    assert outcomes(ctl("stop", survey, "--yes", "-o", "json").out) == {survey: "post_processing"}
    assert api.found(survey), "a second plain stop cuts no goodbye off"
    assert outcomes(ctl("stop", survey, "--yes", "--completely", "-o", "json").out) == {survey: "ended"}
    assert not api.found(survey)


@pytest.mark.parametrize("proves", [True, False])
def test_completely_ends_script_and_goodbye_in_one_run(ctl: Ctl, api: ScriptedApi, proves: bool) -> None:
    api.proves = proves
    surveys = api.runs(12, code="survey")
    told = ctl("stop", "--where", "code=survey", "--yes", "--completely", "-o", "json")
    assert (told.code, outcomes(told.out)) == (0, dict.fromkeys(surveys, "ended"))
    assert [api.acted[one] for one in surveys] == [2] * 12


def test_grace_ends_what_still_says_goodbye_after_it(ctl: Ctl, api: ScriptedApi) -> None:
    surveys = api.runs(3, code="survey")
    told = ctl("stop", *surveys, "--yes", "--grace", "0.3s", "-o", "json")
    assert outcomes(told.out) == dict.fromkeys(surveys, "ended")


def test_what_has_already_ended_counts_as_success(ctl: Ctl, api: ScriptedApi) -> None:
    (player,) = api.runs(1)
    gone = "00000000-0624-e639-8061-a80000000006"
    told = ctl("stop", player, gone.upper(), player, "--yes", "-o", "json")
    assert (told.code, outcomes(told.out)) == (0, {player: "ended", gone: "already_ended"})


def test_ids_come_from_stdin_too(ctl: Ctl, api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> None:
    players = api.runs(3)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(players)))
    assert outcomes(ctl("stop", "--yes", "-o", "json", "-").out) == dict.fromkeys(players, "ended")


def test_a_dry_run_shows_all_and_stops_nothing(ctl: Ctl, api: ScriptedApi) -> None:
    players = api.runs(60)
    told = ctl("stop", "--where", "code=player", "--dry-run")
    assert (told.code, len(told.out.splitlines())) == (0, 61)
    assert all(one in told.out for one in players)
    assert json.loads(ctl("stop", "--where", "code=player", "--dry-run", "-o", "json").out)["total"] == 60
    assert not api.stops()


@pytest.mark.parametrize(("expected", "code"), [("2", 2), ("3", 0), ("4", 2)])
def test_another_number_than_expected_stops_nothing(ctl: Ctl, api: ScriptedApi, expected: str, code: int) -> None:
    api.runs(3)
    assert ctl("stop", "--where", "code=player", "--expect", expected, "--yes").code == code
    assert len(api.stops()) == (0 if code else 3)


def test_nothing_to_stop_is_no_error(ctl: Ctl) -> None:
    told = ctl("stop", "--where", "code=player", "--yes")
    assert (told.code, "nothing to stop" in told.err) == (0, True)


def test_without_a_terminal_yes_is_needed(ctl: Ctl, api: ScriptedApi) -> None:
    api.runs(1)
    told = ctl("stop", "--where", "code=player")
    assert (told.code, "--yes" in told.err) == (2, True)
    assert not api.stops()


def test_a_site_that_does_not_answer_is_named_and_may_be_a_reason_to_stop_nothing(ctl: Ctl, api: ScriptedApi) -> None:
    api.runs(1)
    api.node(SITES[1], alive=False)
    assert ctl("stop", "--where", "code=player", "--yes", "--fail-on-partial").code == 5
    assert not api.stops()
    assert "SITE2" in ctl("stop", "--where", "code=player", "--yes").err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["player"],
        ["--where"],
        ["--where", "nonsense"],
        ["00000000-0624-e639-8061-a80000000006", "--where", "code=player"],
        ["--where", "code=player", "--completely", "--grace", "1s"],
        ["--where", "code=player", "--no-wait", "--completely"],
        ["--where", "code=player", "--wait=0s"],
        ["--where", "code=player", "--wait=3601s"],
        ["--where", "code=player", "--wait=soon"],
        ["--where", "code=player", "--reason", ""],
        ["--where", "code=player", "--reason", "r" * 257],
        ["--where", "code=player", "--reason", "a\nb"],
        ["--where", "code=player", "--parallel", "0"],
        ["--where", "code=player", "--parallel", "33"],
        ["--resume", "/nowhere/journal"],
    ],
)
def test_wrong_arguments_stop_nothing(ctl: Ctl, api: ScriptedApi, arguments: list[str]) -> None:
    api.runs(1)
    assert ctl("stop", *arguments, "--yes").code == 2
    assert not api.stops()


def test_each_stop_has_a_key_of_its_own_and_carries_the_reason(ctl: Ctl, api: ScriptedApi) -> None:
    api.runs(30)
    assert ctl("stop", "--where", "code=player", "--yes", "--reason", 'Änderung 100 % "4711"', "--wait=3s").code == 0
    keys = [asked.headers["idempotency-key"] for asked in api.stops()]
    assert len(set(keys)) == len(keys) == 30
    assert {asked.headers["stop-reason"] for asked in api.stops()} == {"%C3%84nderung 100 %25 %224711%22"}
    assert {asked.headers["prefer"] for asked in api.stops()} <= {"wait=2", "wait=3"}


def test_not_waiting_asks_for_no_proof(ctl: Ctl, api: ScriptedApi) -> None:
    players = api.runs(2)
    told = ctl("stop", "--where", "code=player", "--yes", "--no-wait", "-o", "json")
    assert (told.code, outcomes(told.out)) == (0, dict.fromkeys(players, "accepted"))
    assert "prefer" not in api.stops()[0].headers


def test_one_refused_stop_is_exit_code_1_and_its_id_is_named(ctl: Ctl, api: ScriptedApi) -> None:
    players = api.runs(20)
    api.fault = lambda asked: REFUSED if asked.runtime_id == players[7] else None
    told = ctl("stop", "--where", "code=player", "--yes")
    assert told.code == 1
    assert f"{players[7]}: refused: not permitted: Forbidden" in told.err
    assert "19 of 20 done" in told.err
    assert len(told.out.splitlines()) == 20


def test_what_failed_is_tried_again_by_resume_and_nothing_else(
    ctl: Ctl, api: ScriptedApi, environment: dict[str, str]
) -> None:
    players = api.runs(20)
    api.fault = lambda asked: REFUSED if asked.runtime_id in players[:3] else None
    told = ctl("stop", "--where", "code=player", "--yes", "-o", "json")
    journal = json.loads(told.out)["journal"]
    assert journal in told.err
    api.fault = nothing
    before = len(api.stops())
    again = ctl("stop", "--resume", journal, "-o", "json")
    assert (again.code, len(outcomes(again.out))) == (0, 20)
    assert sorted({asked.runtime_id for asked in api.stops()[before:]}) == sorted(players[:3])
    assert max(api.acted.values()) == 1
    assert not list(Path(environment["IVRCTL_STATE"], "journals").iterdir()) or Path(journal).exists()


def test_a_journal_is_gone_once_all_is_done_unless_it_was_asked_for(
    ctl: Ctl, api: ScriptedApi, environment: dict[str, str], tmp_path: Path
) -> None:
    api.runs(1)
    assert ctl("stop", "--where", "code=player", "--yes").code == 0
    assert not list(Path(environment["IVRCTL_STATE"], "journals").iterdir())
    api.runs(1)
    assert ctl("stop", "--where", "code=player", "--yes", "--journal", str(tmp_path / "j")).code == 0
    assert (tmp_path / "j").exists()
    assert ctl("stop", "--where", "code=player", "--yes", "--journal", str(tmp_path / "j")).code == 0, "nothing to stop"
    api.runs(1)
    assert ctl("stop", "--where", "code=player", "--yes", "--journal", str(tmp_path / "j")).code == 2


def test_the_gateway_answering_429_and_503_at_random_all_is_done(ctl: Ctl, api: ScriptedApi) -> None:
    chance = random.Random(14)  # noqa: S311  # a test's dice
    players = api.runs(60)

    def busy(asked: Asked) -> Answer | None:
        if asked.method != "DELETE" or chance.random() > 0.4:
            return None
        return chance.choice(
            [
                (429, {"retry-after": "0"}, b'{"message":"Too Many Requests"}'),
                (503, {"retry-after": "0"}, b'{"message":"Service Unavailable"}'),
            ]
        )

    api.fault = busy
    told = ctl("stop", "--where", "code=player", "--yes", "-o", "json")
    assert (told.code, outcomes(told.out)) == (0, dict.fromkeys(players, "ended"))
    assert max(api.acted.values()) == 1


def test_an_api_that_stays_busy_is_given_up_and_each_id_accounted_for(ctl: Ctl, api: ScriptedApi) -> None:
    players = api.runs(5)
    api.fault = lambda asked: (429, {"retry-after": "1"}, b"{}") if asked.method == "DELETE" else None
    told = ctl("stop", "--where", "code=player", "--yes", "-o", "json", "--retry-for", "0.5s")
    assert (told.code, outcomes(told.out)) == (1, dict.fromkeys(players, "throttled"))


def test_each_outcome_comes_as_a_line_of_its_own(ctl: Ctl, api: ScriptedApi) -> None:
    players = api.runs(4)
    lines = [
        json.loads(line) for line in ctl("stop", "--where", "code=player", "--yes", "-o", "jsonl").out.splitlines()
    ]
    assert sorted(line["id"] for line in lines) == sorted(players)


def test_every_outcome_stands_on_the_page() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert not [name for name in OUTCOMES if f"| `{name}` |" not in page]


@pytest.fixture
def user(api: ScriptedApi, environment: dict[str, str]) -> Callable[..., Any]:
    def at(*arguments: str, **shape: Any) -> Any:
        return terminal(["ivrctl", *arguments], environment, **shape)

    return at


@pytest.mark.parametrize("answer", ["\r", "n\r", "yess\r", "\x04"])
def test_a_person_who_does_not_say_yes_has_stopped_nothing(
    user: Callable[..., Any], api: ScriptedApi, answer: str
) -> None:
    api.runs(3)
    with user("stop", "--where", "code=player") as shown:
        shown.until("Stop 3? [y/N]")
        shown.type(answer)
        assert shown.ended() == 2
    assert "nothing was stopped" in shown.text
    assert not api.stops()


def test_what_comes_after_the_question_is_not_stopped(user: Callable[..., Any], api: ScriptedApi) -> None:
    """The ids that were shown are stopped, not what the conditions find later."""
    shown_ids = api.runs(3)
    with user("stop", "--where", "code=player") as shown:
        shown.until("Stop 3? [y/N]")
        later = api.runs(2)
        api.ends(shown_ids[0])
        shown.type("y\r")
        assert shown.ended() == 0
    assert "3 of 3 done: 2 ended, 1 already_ended" in shown.text
    assert "100 %  3 of 3" in shown.text
    assert all(api.found(one) for one in later)


def test_many_are_shown_in_part_and_told_in_full(user: Callable[..., Any], api: ScriptedApi) -> None:
    api.runs(70)
    with user("stop", "--where", "code=player") as shown:
        shown.until("Stop 70? [y/N]")
        assert "… and 20 more" in shown.text
        shown.type("n\r")
        assert shown.ended() == 2


def interrupted(shown: Terminal) -> str:
    """Press Ctrl-C, wait for the end, return the journal that is told."""
    shown.type("\x03")
    assert shown.ended() == 130
    return shown.text.partition("to go on: ivrctl stop --resume ")[2].split()[0]


def test_ctrl_c_in_the_middle_tells_the_summary_so_far_and_resume_finishes(
    user: Callable[..., Any], api: ScriptedApi, ctl: Ctl
) -> None:
    players = api.runs(40)
    door = threading.Semaphore(15)

    def slowly(asked: Asked) -> Answer | None:
        if asked.method == "DELETE":
            door.acquire(timeout=20)
        return None

    api.fault = slowly
    with user("stop", "--where", "code=player", "--yes", "--parallel", "4") as shown:
        shown.until("15 of 40")
        door_opens = threading.Timer(0.5, door.release, [1000])
        door_opens.start()
        journal = interrupted(shown)
        door_opens.join()
    assert "not_sent" in shown.text
    left = [one for one in players if api.found(one)]
    assert left
    told = ctl("stop", "--resume", journal, "-o", "json")
    assert (told.code, outcomes(told.out)) == (0, dict.fromkeys(players, "ended"))
    assert max(api.acted.values()) == 1
    assert not Path(journal).exists() or ctl("stop", "--resume", journal).code == 0
