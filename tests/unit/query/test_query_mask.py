import json
from collections.abc import Callable

import pytest

from ivr_runtimes.errors import Fault
from ivr_runtimes.model import Runtime, State, StopType
from ivr_runtimes.query import parse_list_query

EIGHT = ["id", "site", "node", "domain", "type", "code", "name", "starttime"]
Make = Callable[..., Runtime]


def rendered(raw: str, runtime: Runtime) -> dict[str, object]:
    (shown,) = json.loads(parse_list_query(raw).render([runtime]))
    return dict(shown)


def test_without_a_mask_the_eight_documented_fields_are_shown_in_their_order(make_runtime: Make) -> None:
    shown = rendered("", make_runtime())
    assert list(shown) == EIGHT
    assert shown["node"] == "site1_h6@192.168.0.12"
    assert shown["starttime"] == "2019-11-05T08:36:40Z"


def test_the_output_keeps_the_documented_order_whatever_the_masks(make_runtime: Make) -> None:
    shown = rendered("mask=ext.lwt,starttime,ext.state,id", make_runtime())
    assert shown == {
        "id": "244f84aa-0624-e639-8061-a80000000006",
        "starttime": "2019-11-05T08:36:40Z",
        "ext": {"state": "running", "lwt": "2019-11-05T08:36:41Z"},
    }
    assert list(shown) == ["id", "starttime", "ext"]
    assert isinstance(shown["ext"], dict)
    assert list(shown["ext"]) == ["state", "lwt"]


def test_the_whole_composite_shows_unset_parts_as_null(make_runtime: Make) -> None:
    assert rendered("mask=ext", make_runtime()) == {
        "ext": {
            "state": "running",
            "stoptype": None,
            "stop_id": None,
            "rootcode": None,
            "rootname": None,
            "session": "s1",
            "lwt": "2019-11-05T08:36:41Z",
        }
    }


@pytest.mark.parametrize("mask", ["ext,ext.state", "ext.state,ext"])
def test_a_part_beside_its_composite_changes_nothing(mask: str) -> None:
    assert parse_list_query(f"mask={mask}").mask == parse_list_query("mask=ext").mask


def test_the_composite_leaves_out_numbers_that_the_mask_does_not_name(make_runtime: Make) -> None:
    row = make_runtime(caller="+12025550143", call_id="5f1e@pbx")
    assert "caller" not in str(rendered("mask=ext", row))
    beside = rendered("mask=ext.caller,ext", row)["ext"]
    assert isinstance(beside, dict)
    assert list(beside) == ["state", "stoptype", "stop_id", "rootcode", "rootname", "session", "lwt", "caller"]
    assert rendered("mask=ext.called,ext.call_id&flat=true", row) == {"ext.called": None, "ext.call_id": "5f1e@pbx"}


def test_flat_turns_the_composite_into_dotted_keys(make_runtime: Make) -> None:
    row = make_runtime(state=State.POST_PROCESSING, stoptype=StopType.STOP)
    shown = rendered("flat=true&mask=ext.stoptype,ext.state,code", row)
    assert shown == {"code": "player", "ext.state": "post_processing", "ext.stoptype": "stop"}
    assert list(shown) == ["code", "ext.state", "ext.stoptype"]


@pytest.mark.parametrize("flat", ["true", "false"])
def test_flat_changes_nothing_without_a_composite(make_runtime: Make, flat: str) -> None:
    row = make_runtime()
    assert rendered(f"flat={flat}", row) == rendered("", row)


@pytest.mark.parametrize("text", ["True", "TRUE", "1", "yes", "on", "+true", "true,true"])
def test_flat_is_true_or_false_and_nothing_else(fault_of: Callable[[str], Fault], text: str) -> None:
    assert fault_of(f"flat={text}").place == "flat"


@pytest.mark.parametrize(
    ("mask", "place", "word"),
    [
        ("id,id", "mask[1]", "twice"),
        ("ext,site,ext", "mask[2]", "twice"),
        ("ext.state,ext.state", "mask[1]", "twice"),
        (",id", "mask[0]", "names no field"),
        ("id,,site", "mask[1]", "names no field"),
        ("id,site,", "mask[2]", "names no field"),
        ("ID", "mask[0]", "unknown field"),
        ("id,+site", "mask[1]", "unknown field"),
        ("ext.", "mask[0]", "unknown field"),
        ("ext.start_key", "mask[0]", "unknown field"),
        ("*", "mask[0]", "unknown field"),
    ],
)
def test_a_wrong_mask_is_refused_at_its_element(
    fault_of: Callable[[str], Fault], mask: str, place: str, word: str
) -> None:
    fault = fault_of(f"mask={mask}")
    assert fault.place == place
    assert word in fault.message


@pytest.mark.parametrize(("name", "meant"), [("Site", "site"), ("state", "ext.state"), ("start_time", "starttime")])
def test_an_unknown_field_gets_a_suggestion(fault_of: Callable[[str], Fault], name: str, meant: str) -> None:
    assert meant in fault_of(f"mask={name}").remedy.partition("?")[0]
