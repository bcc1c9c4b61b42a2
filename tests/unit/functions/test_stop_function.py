"""The stop function, from event to the command on the site's queue, and to the effect that it waits for."""

import json
import threading
import time
from dataclasses import replace

import pytest

from emulators import ROOT
from ivr_runtimes.command import Command
from ivr_runtimes.http.response import COMMON_HEADERS
from ivr_runtimes.identifiers import Domain, Session, Site, StopId
from ivr_runtimes.model import State, StopType, Verb
from ivr_runtimes.ports import WriteBatch
from rows import PLAYER, node_of

STOP = "StopRuntimeFunction"


def event(name="stop", key=None, runtime_id=None, headers=None, **changes):
    loaded = json.loads((ROOT / "events" / f"{name}.json").read_text())
    loaded["headers"] |= headers or {}
    loaded["headers"].pop("idempotency-key", None)
    if key is not None:
        loaded["headers"]["idempotency-key"] = key
    if runtime_id is not None:
        loaded["pathParameters"]["id"] = runtime_id
    return {**loaded, **changes}


@pytest.fixture
def seeded(cloud):
    write(cloud, PLAYER)
    vouch(cloud)
    return cloud


def write(cloud, row):
    cloud.runtimes.write(WriteBatch(site=row.site, puts=[row]))


def vouch(cloud, *, for_s=15.0, **changes):
    node = node_of(PLAYER, lease_until_s=time.time() + for_s, **changes)
    cloud.nodes.renew(node, now_s=time.time(), dead=node.agent_id)  # whatever lease stood before


def problem(answer):
    return json.loads(answer["body"])


def test_a_row_of_a_termination_type_that_nobody_knows_yet_can_be_stopped(seeded, invoke):
    """An agent of a later version wrote it, and every stop of that runtime was answered with 500."""
    write(seeded, replace(PLAYER, state=State.POST_PROCESSING, stoptype="hangup"))
    assert invoke(STOP, event())["statusCode"] == 204
    assert [Command.from_body(body).verb for body in seeded.queued("SITE1")] == [Verb.EXTERNAL_STOP]


def test_a_stop_is_accepted_and_one_command_is_sent_to_the_site(seeded, invoke):
    answer = invoke(STOP, event(key="key-1"))
    assert (answer["statusCode"], answer["body"]) == (204, "")
    assert answer["headers"]["stop-request-id"] == "key-1"
    (body,) = seeded.queued("SITE1")
    command = Command.from_body(body)
    assert (command.verb, command.stop_id, command.runtime_id) == (Verb.EXTERNAL_STOP, "key-1", PLAYER.id)
    assert (command.site, command.node, command.session) == (PLAYER.site, PLAYER.node, PLAYER.session)
    assert command.deadline_s - command.accepted_at_s == 3600
    assert command.requested_by == event()["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]
    assert seeded.queued("SITE2") == []


def test_the_ready_made_event_stops_the_contracts_script(seeded, invoke):
    loaded = json.loads((ROOT / "events" / "stop.json").read_text())
    answer = invoke(STOP, loaded)
    assert answer["statusCode"] == 204
    assert answer["headers"]["stop-request-id"] == loaded["headers"]["idempotency-key"]


def test_without_a_key_every_request_is_a_stop_of_its_own(seeded, invoke):
    ids = {invoke(STOP, event())["headers"]["stop-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert {Command.from_body(body).stop_id for body in seeded.queued("SITE1")} == ids


def test_a_second_stop_while_the_external_stop_branch_runs_terminates(seeded, invoke):
    write(seeded, replace(PLAYER, state=State.POST_PROCESSING, stoptype=StopType.STOP, stop_id=StopId("first")))
    assert invoke(STOP, event(key="second"))["statusCode"] == 204
    (body,) = seeded.queued("SITE1")
    assert Command.from_body(body).verb is Verb.TERMINATE


def test_another_branch_is_not_an_external_stop(seeded, invoke):
    write(seeded, replace(PLAYER, state=State.POST_PROCESSING, stoptype=StopType.TIMEOUT))
    invoke(STOP, event())
    (body,) = seeded.queued("SITE1")
    assert Command.from_body(body).verb is Verb.EXTERNAL_STOP


def test_a_repeat_of_the_acknowledged_stop_sends_nothing(seeded, invoke):
    write(seeded, replace(PLAYER, state=State.POST_PROCESSING, stoptype=StopType.STOP, stop_id=StopId("key-1")))
    answer = invoke(STOP, event(key="key-1"))
    assert (answer["statusCode"], answer["headers"]["stop-request-id"]) == (204, "key-1")
    assert seeded.queued("SITE1") == []


def test_unknown_foreign_and_replaced_get_the_same_404(seeded, invoke):
    bodies = [invoke(STOP, event("stop_unknown")), invoke(STOP, event(runtime_id="no-uuid"))]
    write(seeded, replace(PLAYER, domain=Domain("other.example")))
    bodies.append(invoke(STOP, event()))
    write(seeded, replace(PLAYER, session=Session("earlier")))
    bodies.append(invoke(STOP, event()))
    assert {answer["statusCode"] for answer in bodies} == {404}
    assert len({json.dumps({**problem(answer), "request_id": ""}) for answer in bodies}) == 1
    assert seeded.queued("SITE1") == []


def test_a_foreign_twin_at_another_site_does_not_hide_the_callers_own(seeded, invoke):
    write(seeded, replace(PLAYER, site=Site("SITE2"), domain=Domain("other.example")))
    assert invoke(STOP, event())["statusCode"] == 204
    assert len(seeded.queued("SITE1")) == 1


def test_a_lapsed_lease_is_503_because_the_call_may_still_run(seeded, invoke, caplog):
    vouch(seeded, for_s=-2.5)
    answer = invoke(STOP, event())
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "5")
    assert answer["headers"].items() >= COMMON_HEADERS.items()
    assert problem(answer)["code"] == "node_unreachable"
    (line,) = [record for record in caplog.records if getattr(record, "action", "") == "refused"]
    assert (line.stop_id, line.runtime_id) == (answer["headers"]["stop-request-id"], PLAYER.id)
    assert seeded.queued("SITE1") == []


def test_a_lease_within_the_skew_still_holds(seeded, invoke):
    vouch(seeded, for_s=-0.2)
    assert invoke(STOP, event())["statusCode"] == 204


@pytest.mark.parametrize("lost", ["table", "queue"])
def test_an_unclear_outcome_tells_the_key_to_repeat_with(seeded, invoke, lost):
    if lost == "table":
        seeded.dynamodb.delete_table(TableName="ivr-test-runtimes")
    else:
        url = seeded.sqs.get_queue_url(QueueName="ivr-test-stop-SITE1")["QueueUrl"]
        seeded.sqs.delete_queue(QueueUrl=url)
    answer = invoke(STOP, event(key="my-key"))
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "1")
    assert answer["headers"].items() >= COMMON_HEADERS.items()
    assert problem(answer)["code"] == "outcome_unknown"
    assert "Idempotency-Key: my-key" in problem(answer)["detail"]
    assert answer["headers"]["stop-request-id"] == "my-key"


@pytest.mark.parametrize("key", ["k" * 64, "!", "~", "a\\b", "'a'", "a;b=1"])
def test_keys_at_the_edges_are_taken(seeded, invoke, key):
    assert invoke(STOP, event(key=key))["headers"]["stop-request-id"] == key
    assert invoke(STOP, event(key=f"{key},{key}"))["headers"]["stop-request-id"] == key


SPELLINGS = ["v", '"v"', "v,v", "v, v", '"v","v"', 'v, "v"', ' v \t, "v" ', "v,v,v,v"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_is_one_key_in_every_spelling_and_however_often_it_comes(seeded, invoke, spelling):
    """HTTP APIs join a header that came twice by a comma: `v,v` was another key than `v`.

    So the honest repeat of a stop whose header had been doubled on its way was a second stop, and cut the goodbye off.
    The same for the quoted form of the IETF's draft beside the bare one.
    """
    assert invoke(STOP, event(key=spelling))["headers"]["stop-request-id"] == "v"
    write(seeded, replace(PLAYER, state=State.POST_PROCESSING, stoptype=StopType.STOP, stop_id=StopId("v")))
    for again in SPELLINGS:
        assert invoke(STOP, event(key=again))["statusCode"] == 204
    assert len(seeded.queued("SITE1")) == 1


@pytest.mark.parametrize(
    "key",
    [
        *("a,b", '"a","b"', "a,b,a", 'v,"v,v"', '"a,b"'),
        *(",", "v,", ",v", "v,,v", '""', '"', '"v', 'v"', 'a"b', '"a"b"', '""v""', '"v" x', '"v";q=1', '"a\\b"'),
        *(f'"{"k" * 65}"', f"v,{'k' * 65}", '" v"', " ", "v;\u212a", "\u212a"),
    ],
)
def test_keys_that_differ_or_cannot_be_read_are_refused_before_anything_is_sent(seeded, invoke, key):
    answer = invoke(STOP, event(key=key))
    (fault,) = problem(answer)["errors"]
    assert (answer["statusCode"], fault["place"]) == (400, "Idempotency-Key")
    assert "1 to 64 visible ASCII" in fault["remedy"]
    assert seeded.queued("SITE1") == []


def test_different_keys_are_said_to_be_different(seeded, invoke):
    assert "2 different keys" in problem(invoke(STOP, event(key='a,b,"a"')))["detail"]


@pytest.mark.parametrize("spelled", [PLAYER.id.upper(), PLAYER.id.title(), PLAYER.id])
def test_an_id_is_compared_as_a_uuid_in_either_case(seeded, invoke, spelled):
    """An id in capitals was answered with 404, and its script ran on."""
    assert invoke(STOP, event(runtime_id=spelled))["statusCode"] == 204
    (body,) = seeded.queued("SITE1")
    assert Command.from_body(body).runtime_id == PLAYER.id


@pytest.mark.parametrize(
    "odd", [PLAYER.id.replace("a", "\u0430"), PLAYER.id.replace("0", "\u0660"), f"{{{PLAYER.id}}}"]
)
def test_letters_and_digits_of_other_alphabets_make_no_id(seeded, invoke, odd):
    assert invoke(STOP, event(runtime_id=odd))["statusCode"] == 404


@pytest.mark.parametrize("claim", [None, "", "  ", "<nil>", 7, ["op"]])
def test_a_stop_of_a_token_that_names_nobody_is_served_and_logged_as_such(seeded, invoke, caplog, claim):
    anonymous = event()
    claims = anonymous["requestContext"]["authorizer"]["jwt"]["claims"]
    claims["sub"] = claim
    if claim is None:
        del claims["sub"]
    assert invoke(STOP, anonymous)["statusCode"] == 204
    (line,) = [record for record in caplog.records if getattr(record, "action", "") == "stop_accepted"]
    assert (line.anonymous, line.requested_by) == (True, "")
    (body,) = seeded.queued("SITE1")
    assert Command.from_body(body).requested_by == ""


@pytest.mark.parametrize("key", ["", "k" * 65, "a b", "ключ", "\x7f", "a\n"])
def test_other_keys_are_refused_before_anything_is_sent(seeded, invoke, key):
    answer = invoke(STOP, event(key=key))
    assert answer["statusCode"] == 400
    assert problem(answer)["errors"][0]["place"] == "Idempotency-Key"
    assert seeded.queued("SITE1") == []


def test_query_parameters_are_refused_not_ignored(seeded, invoke):
    answer = invoke(STOP, event(rawQueryString="force=true"))
    assert answer["statusCode"] == 400
    assert problem(answer)["errors"][0]["place"] == "force"
    assert seeded.queued("SITE1") == []


def test_no_domain_no_stop(seeded, invoke):
    refused = event()
    refused["requestContext"]["authorizer"]["jwt"]["claims"].pop("domain")
    assert invoke(STOP, refused)["statusCode"] == 403
    assert seeded.queued("SITE1") == []


WAITED = {"preference-applied", "stop-outcome"}
BRANCH = replace(PLAYER, state=State.POST_PROCESSING, stoptype=StopType.STOP, stop_id=StopId("key-1"))


def lines(caplog, action):
    return [record for record in caplog.records if getattr(record, "action", "") == action]


@pytest.mark.parametrize(
    "prefer", [None, "", "respond-async", "wait", "wait=", "wait=0", "wait=-1", "wait=1.5", "wait=5s", "wait=x, wait=5"]
)
def test_without_a_wait_that_can_be_read_nothing_is_waited_for_and_no_header_is_added(seeded, invoke, caplog, prefer):
    answer = invoke(STOP, event(key="key-1", headers={} if prefer is None else {"prefer": prefer}))
    assert answer["statusCode"] == 204
    assert answer["headers"] == {**COMMON_HEADERS, "stop-request-id": "key-1"}
    assert lines(caplog, "stop_waited") == []


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=1", 1),
        ("wait=8", 8),
        ("wait=9", 8),
        ("wait=60", 8),
        ("wait=" + "9" * 5000, 8),
        ("wait=0003", 3),
        ('Wait = "5"; x=1', 5),
        ("wait=5,wait=5", 5),
        ("wait=2, wait=7", 2),
        ("respond-async, wait=10", 8),
        ("count=exact,wait=4", 4),
    ],
)
def test_the_wait_that_was_applied_is_told(seeded, invoke, prefer, applied):
    write(seeded, BRANCH)
    answer = invoke(STOP, event(key="key-1", headers={"prefer": prefer}))
    assert answer["headers"].keys() - COMMON_HEADERS.keys() == {"stop-request-id", *WAITED}
    assert answer["headers"]["preference-applied"] == f"wait={applied}"
    assert answer["headers"]["stop-outcome"] == "post_processing"


def test_a_stop_that_waits_tells_that_its_script_has_ended_once_its_row_is_gone(seeded, invoke, caplog):
    def ends():
        seeded.runtimes.write(WriteBatch(site=PLAYER.site, deletes=[PLAYER.id]))

    ending = threading.Timer(0.2, ends)
    ending.start()
    answer = invoke(STOP, event("stop_wait", key="key-1"))
    ending.join()
    assert (answer["statusCode"], answer["body"]) == (204, "")
    assert (answer["headers"]["stop-outcome"], answer["headers"]["preference-applied"]) == ("ended", "wait=5")
    assert [Command.from_body(body).verb for body in seeded.queued("SITE1")] == [Verb.EXTERNAL_STOP]
    (line,) = lines(caplog, "stop_waited")
    assert (line.stop_id, line.runtime_id, line.stop_outcome) == ("key-1", PLAYER.id, "ended")
    assert (line.requested_by, line.error) == (lines(caplog, "stop_accepted")[0].requested_by, "")
    assert 1 <= line.reads <= 12
    assert line.waited_s < 5


def test_what_has_not_been_seen_in_time_is_pending_and_no_error(seeded, invoke):
    begun_s = time.monotonic()
    answer = invoke(STOP, event(key="key-1", headers={"prefer": "wait=1"}))
    assert time.monotonic() - begun_s >= 0.5
    assert (answer["statusCode"], answer["headers"]["stop-outcome"]) == (204, "pending")
    assert len(seeded.queued("SITE1")) == 1


def test_tables_that_go_away_during_the_wait_leave_the_accepted_stop_pending(seeded, load_function, context):
    function = load_function(STOP)
    send = function.queue.send

    def last(command):
        send(command)
        for table in ("runtimes", "nodes"):
            seeded.dynamodb.delete_table(TableName=f"ivr-test-{table}")

    function.queue.send = last
    answer = function.lambda_handler(event(key="key-1", headers={"prefer": "wait=1"}), context)
    assert (answer["statusCode"], answer["headers"]["stop-outcome"]) == (204, "pending")
    assert len(seeded.queued("SITE1")) == 1


def test_refusals_are_the_same_with_a_wait_as_without(seeded, invoke):
    waiting = {"prefer": "wait=5"}
    unknown = [invoke(STOP, event("stop_unknown", headers=headers)) for headers in ({}, waiting)]
    vouch(seeded, for_s=-2.5)
    lapsed = [invoke(STOP, event(key="key-1", headers=headers)) for headers in ({}, waiting)]
    for without, with_wait in (unknown, lapsed):
        assert with_wait["headers"].keys() & WAITED == set()
        assert (with_wait["statusCode"], with_wait["body"]) == (without["statusCode"], without["body"])


def test_a_reason_travels_with_the_command_and_stands_in_the_log_beside_who_asked(seeded, invoke, caplog):
    assert invoke(STOP, event("stop_reason"))["statusCode"] == 204
    (body,) = seeded.queued("SITE1")
    reason = "caller asked for it: \u0442\u0435\u0441\u0442"
    assert Command.from_body(body).reason == reason
    (line,) = lines(caplog, "stop_accepted")
    assert (line.reason, bool(line.requested_by)) == (reason, True)
    assert invoke(STOP, event(key="key-2"))["statusCode"] == 204
    assert lines(caplog, "stop_accepted")[-1].reason == ""


@pytest.mark.parametrize("reason", ["", "a%0Ab", "100% sure", "\u0442", "x" * 257])
def test_a_reason_that_is_none_is_refused_before_anything_is_sent_and_not_repeated(seeded, invoke, caplog, reason):
    answer = invoke(STOP, event(headers={"stop-reason": reason}))
    (fault,) = problem(answer)["errors"]
    assert (answer["statusCode"], fault["place"]) == (400, "Stop-Reason")
    assert fault["remedy"]
    assert seeded.queued("SITE1") == []
    assert not reason or reason not in answer["body"]
