"""What every test of the query language needs: a runtime to ask about, and the one fault of a bad query."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from ivr_runtimes.errors import Fault, InvalidRequestError
from ivr_runtimes.model import Runtime
from ivr_runtimes.query import ListQuery, parse_list_query


@pytest.fixture
def make_runtime() -> Callable[..., Runtime]:
    def make(**fields: Any) -> Runtime:
        sample = {
            "id": "244f84aa-0624-e639-8061-a80000000006",
            "site": "SITE1",
            "node": "site1_h6@192.168.0.12",
            "domain": "test.rootdomain.ru",
            "session": "s1",
            "type": "ivr",
            "code": "player",
            "name": "TEST PLAY",
            "starttime": "2019-11-05T08:36:40Z",
            "lwt": "2019-11-05T08:36:41Z",
        }
        return Runtime(**(sample | fields))

    return make


@pytest.fixture
def fault_of() -> Callable[[str], Fault]:
    """Return the one fault of a refused raw query, after checking that it can be shown to people."""

    def refused(raw: str) -> Fault:
        with pytest.raises(InvalidRequestError) as caught:
            parse_list_query(raw)
        (fault,) = caught.value.faults
        assert fault.message
        assert fault.remedy
        assert fault.place in caught.value.detail
        return fault

    return refused


@pytest.fixture
def filtering() -> Callable[[Any], ListQuery]:
    """Return the query that a filter makes, given as a value (or as JSON text)."""

    def parsed(document: Any) -> ListQuery:
        text = document if isinstance(document, str) else json.dumps(document)
        return parse_list_query("filter=" + quote(text))

    return parsed


@pytest.fixture
def filter_fault(fault_of: Callable[[str], Fault]) -> Callable[[Any], Fault]:
    """Return the one fault of a refused filter, given as a value (or as JSON text)."""

    def refused(document: Any) -> Fault:
        text = document if isinstance(document, str) else json.dumps(document)
        return fault_of("filter=" + quote(text))

    return refused
