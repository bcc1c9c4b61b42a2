"""`make chaos` from outside: a run that made fewer stops than promised is no success."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from chaos import __main__ as program
from chaos.run import Options, Run
from chaos.schedule import Profile


def options(**changes):
    return Options(**({"seed": 1, "stops": 200, "minutes": 12.0, "folder": Path(), "profile": Profile()} | changes))


def test_a_run_that_the_time_limit_cut_short_is_wrong():
    assert "only 199 of 200 stops were asked for within 12 minutes" in program.cut_short(
        199, options(), limit_given=False
    )


@pytest.mark.parametrize(("requests", "limit_given"), [(200, False), (199, True), (200, True)])
def test_a_run_that_made_its_stops_or_whose_limit_was_asked_for_is_not(requests, limit_given):
    assert program.cut_short(requests, options(), limit_given=limit_given) is None


def test_the_limit_counts_as_asked_for_only_when_it_is_named():
    parse = program._parser().parse_args
    assert parse([]).minutes is None
    assert program._options(parse([])).minutes == program.MINUTES
    assert program._options(parse(["--minutes", "2"])).minutes == 2


@pytest.mark.parametrize(("told", "wrong"), [("ended with exit code 1", True), ("was ended by SIGKILL", False)])
def test_a_process_that_ends_by_itself_is_told_and_one_that_was_killed_is_not(told, wrong):
    """A kill is part of the schedule; an agent that gives up in the midst of it is a finding."""
    run = SimpleNamespace(unforeseen=[])
    Run._heard(run, f"the agent of site1_a@127.0.0.1 {told}; see its log")
    assert bool(run.unforeseen) is wrong
