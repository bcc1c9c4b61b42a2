"""No answer, header, log line or metric of a token without the scope of numbers holds one; of no token do the logs.

The real list function over real tables (moto), whose rows all have marked numbers, and queries of every kind. Right
answers are those of `oracle`.
"""

import importlib.util
import io
import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any
from urllib.parse import unquote_plus

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from moto import mock_aws

import oracle
import worlds
from emulators import CREDENTIALS, ROOT, expanded, provisioned
from ivr_runtimes.identifiers import RuntimeId
from ivr_runtimes.model import Runtime, State, StopType
from ivr_runtimes.stores.dynamo import NodeTable, RuntimeTable
from rows import PLAYER
from worlds import DOMAIN, IDS, NODES, SESSIONS, SITES, World

MARK = "QZX"
"""Part of every number in the tables, and of nothing else."""

READ, NUMBERS = "ivrscript_runtimes:read", "ivrscript_runtimes:numbers"


@dataclass
class Context:
    """What Powertools reads of Lambda's context."""

    function_name: str = "list"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:list"
    aws_request_id: str = "b7a4"


def row(number: int) -> Runtime:
    """A living row with three numbers, of which some are the same as another row's; every fourth tells only one."""
    return replace(
        PLAYER,
        id=RuntimeId(IDS[number]),
        site=SITES[number % 2],
        node=NODES[0],
        session=SESSIONS[0],
        code=oracle.WORDS[number % 5],
        name=oracle.WORDS[number % 7],
        starttime=oracle.SECONDS[number % len(oracle.SECONDS)],
        state=State.RUNNING if number % 3 else State.POST_PROCESSING,
        stoptype=None if number % 3 else StopType.STOP,
        caller=f"+1{MARK}{number % 5}" if number % 4 else None,
        called=f"sip:{MARK}ж{number % 2}@pbx" if number % 4 else None,
        call_id=f"{MARK}-{number}",
    )


WORLD = World(
    [row(number) for number in range(len(IDS))],
    [worlds.node(site, NODES[0], SESSIONS[0], 15.0) for site in SITES],
)


class Function:
    """The list function, and all that it writes: log lines and metrics."""

    def __init__(self, written: io.StringIO) -> None:
        self.written = written
        with redirect_stdout(written), redirect_stderr(written):
            self._module = _loaded()
        # Loggers live as long as the process: another module may have made this one, for the output of its time.
        self._handler = self._module.logger.registered_handler
        self._handler.setStream(written)
        client, names = self._module.client, self._module.settings
        self.runtimes, self.nodes = RuntimeTable(client, names.runtimes_table), NodeTable(client, names.nodes_table)
        worlds.put(WORLD, self)
        self._module.listing = worlds.listing(self.runtimes, self.nodes)  # type: ignore[attr-defined]  # its clock

    def close(self) -> None:
        """Leave the logger with the output of the test run."""
        self._handler.setStream(sys.stdout)

    def ask(self, query: str, *scopes: str, **headers: str) -> tuple[dict[str, Any], str]:
        """Return the answer, and what was written for it."""
        sent = json.loads((ROOT / "events" / "list.json").read_text(encoding="utf-8"))
        sent["requestContext"]["authorizer"]["jwt"]["claims"] |= {"scope": " ".join(scopes), "domain": DOMAIN}
        self.written.seek(0)
        self.written.truncate()
        with redirect_stdout(self.written), redirect_stderr(self.written):
            answer = self._module.lambda_handler({**sent, "rawQueryString": query, "headers": headers}, Context())
        return answer, self.written.getvalue()


def _loaded() -> ModuleType:
    (spec,) = [each for each in expanded().functions if each.logical_id == "ListRuntimesFunction"]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**CREDENTIALS, **spec.environment, "SITES": ",".join(SITES)}.items():
            patch.setenv(name, value)
        found = importlib.util.spec_from_file_location("app_of_numbers", spec.code_path / "app.py")
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def function() -> Iterator[Function]:
    with mock_aws():
        provisioned()
        function = Function(io.StringIO())
        yield function
        function.close()


def names_one(asked: dict[str, Any]) -> bool:
    """Whether a query names a number, by its text alone."""
    told = json.dumps([asked.get("filter"), asked.get("mask"), asked.get("order")])
    return any(f'"{number}"' in told for number in oracle.NUMBERS)


def numbers_in(text: str) -> str:
    """The part of a text around a number that it should not hold; empty if there is none."""
    at = text.find(MARK)
    return text[max(0, at - 60) : at + 20] if at >= 0 else ""


def cases(count: int) -> Any:
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    return settings(max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=checks)


values = st.sampled_from([f"+1{MARK}2", f"sip:{MARK}ж1@pbx", f"{MARK}-3", "x"])
comparisons = st.builds(
    lambda name, of, operator: (
        ["in", ["property", name], [of, "x"]] if operator == "in" else [operator, ["property", name], of]
    ),
    st.sampled_from(oracle.NUMBERS),
    values,
    st.sampled_from(["==", "!=", "<", ">=", "in", "like"]),
)
mistakes = values.flatmap(
    lambda of: st.sampled_from(
        [of, {of: "x"}, {"starttime": of}, [of], ["in", ["property", "ext.caller"], of], ["==", ["property", of], "x"]]
    )
)
"""Filters that are none, and are refused with the number in the answer: as in a place where it does not belong."""

masks = st.lists(st.sampled_from(["id", "ext", "ext.state", *oracle.NUMBERS]), min_size=1, max_size=4, unique=True)
orders = st.lists(st.tuples(st.sampled_from(oracle.NUMBERS), st.booleans()), min_size=1, max_size=1)
masked = {"mask": masks, "order": orders, "flat": st.booleans(), "limit": st.integers(1, 9)}
searches = st.fixed_dictionaries({}, optional={**masked, "filter": comparisons})
queries = worlds.queries | searches
preferences = st.sampled_from([{}, {}, {"prefer": "count=exact"}, {"accept-encoding": "gzip"}])


@cases(200)
@given(data=st.data(), asked=queries, headers=preferences)
def test_without_the_scope_nothing_tells_a_number_and_every_query_that_names_one_is_refused(
    function: Function, data: st.DataObject, asked: dict[str, Any], headers: dict[str, str]
) -> None:
    answer, written = function.ask(data.draw(oracle.written(asked)), READ, **headers)
    event(f"{answer['statusCode']}")
    assert answer["statusCode"] == (403 if names_one(asked) else 200), answer["body"]
    assert not numbers_in(json.dumps(answer, ensure_ascii=False))
    assert not numbers_in(written)
    assert '"IvrRuntimes' in written, "the metrics are among what was written"
    assert f'"action":"{"refused" if names_one(asked) else "listed"}"' in written


@cases(150)
@given(data=st.data(), asked=queries, headers=preferences)
def test_with_the_scope_a_query_gets_what_it_names_and_the_log_still_tells_no_number(
    function: Function, data: st.DataObject, asked: dict[str, Any], headers: dict[str, str]
) -> None:
    answer, written = function.ask(data.draw(oracle.written(asked)), READ, NUMBERS, **headers)
    assert answer["statusCode"] == 200
    shown = [oracle.shown(each, asked) for each in oracle.window(worlds.expected(WORLD, asked), asked)]
    assert json.loads(answer["body"]) == shown
    event(f"numbers shown: {MARK in answer['body']}")
    assert not numbers_in(written)


@cases(150)
@given(
    data=st.data(),
    asked=st.fixed_dictionaries({"filter": comparisons | mistakes}, optional=masked),
    at=st.integers(0, 200),
    odd=st.sampled_from(["", "]", '"', "%22,", "&x="]),
)
def test_a_search_for_a_number_is_not_logged_however_it_is_written(
    function: Function, data: st.DataObject, asked: dict[str, Any], at: int, odd: str
) -> None:
    query = data.draw(oracle.written(asked))
    broken = query[:at] + odd + query[at:] if odd else query
    answer, written = function.ask(broken, READ, NUMBERS)
    event(f"{answer['statusCode']}, searched: {MARK in unquote_plus(broken)}")
    assert answer["statusCode"] in {200, 400}
    assert not numbers_in(written)
    assert json.loads(written.splitlines()[0])
