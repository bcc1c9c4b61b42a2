"""How many faults one answer names."""

import pytest

from ivr_runtimes.errors import InvalidRequestError
from ivr_runtimes.query import parse_list_query
from ivr_runtimes.query.faults import MAX_FAULTS


def refusal(count: int) -> InvalidRequestError:
    with pytest.raises(InvalidRequestError) as refused:
        parse_list_query("&".join(f"name{n}=1" for n in range(count)))
    return refused.value


@pytest.mark.parametrize("count", [2, MAX_FAULTS - 1, MAX_FAULTS])
def test_up_to_the_limit_every_fault_is_named(count: int) -> None:
    assert [fault.place for fault in refusal(count).faults] == [f"name{n}" for n in range(count)]
    assert refusal(count).detail == f"{count} parameters are wrong"


def test_beyond_it_the_first_are_named_and_all_are_counted() -> None:
    error = refusal(1_000)
    assert [fault.place for fault in error.faults] == [f"name{n}" for n in range(MAX_FAULTS)]
    assert error.detail == f"1000 parameters are wrong; errors names the first {MAX_FAULTS}"
