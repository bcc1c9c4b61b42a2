"""Who may see who calls whom: the list function, from event to answer."""

import json
import time
from dataclasses import replace
from urllib.parse import quote

import pytest

from emulators import ROOT
from ivr_local.template import expand
from ivr_runtimes.identifiers import Site
from ivr_runtimes.ports import WriteBatch
from rows import PLAYER, WELCOME, node_of

LIST = "ListRuntimesFunction"
SCOPE = "ivrscript_runtimes:numbers"
ANNA = replace(PLAYER, caller="+12025550143", called="+442079460123", call_id="5f1e0b3c@pbx.example")
TOLD_NONE = WELCOME

NAMING = {
    "mask": "mask=id,ext.caller",
    "mask beside ext": "mask=ext,ext.call_id",
    "flat": "mask=ext.called&flat=true",
    "order": "order=-ext.caller",
    "order, JSON": "order=" + quote('["site",{"ext.called":"asc"}]'),
    "shorthand": "filter=" + quote('{"ext.caller":"+12025550143"}'),
    "among others": "filter=" + quote('{"site":"SITE1","ext.call_id":["5f1e0b3c@pbx.example","x"]}'),
    "comparison": "filter=" + quote('["==",["property","ext.caller"],"+12025550143"]'),
    "mirrored": "filter=" + quote('[">",["const","+2"],["property","ext.called"]]'),
    "like": "filter=" + quote('["like",["property","ext.caller"],"%0143"]'),
    "isnull": "filter=" + quote('["not",["isnull",["property","ext.caller"]]]'),
    "deep": "filter=" + quote('["or",["and",["!",["!",["in",["property","ext.caller"],["+12025550143"]]]]]]'),
    "beside what no row can pass": "filter=" + quote('{"domain":"x","ext.caller":"1"}'),
    "window of nothing": "limit=0&mask=ext.caller",
    "with a cursor's order": "order=starttime&limit=1&mask=ext.caller",
}


def event(query="", *, scope="ivrscript_runtimes:read", claim="scope"):
    loaded = json.loads((ROOT / "events" / "list.json").read_text())
    claims = loaded["requestContext"]["authorizer"]["jwt"]["claims"]
    del claims["scope"]
    if scope is not None:
        claims[claim] = scope
    return {**loaded, "rawQueryString": query}


def permitted(query=""):
    return event(query, scope=f"ivrscript_runtimes:read {SCOPE}")


@pytest.fixture
def ask(seeded, load_function, context):
    """Invoke the function, loaded once per test: most tests ask many things."""
    handler = load_function(LIST).lambda_handler
    return lambda sent: handler(sent, context)


@pytest.fixture
def seeded(cloud):
    cloud.runtimes.write(WriteBatch(site=Site("SITE1"), puts=[ANNA, TOLD_NONE]))
    for row in (ANNA, TOLD_NONE):
        cloud.nodes.renew(node_of(row, lease_until_s=time.time() + 15), now_s=time.time())
    return cloud


def test_a_token_without_the_scope_may_name_no_number_anywhere(ask):
    for name, query in NAMING.items():
        answer = ask(event(query))
        problem = json.loads(answer["body"])
        assert (answer["statusCode"], problem["code"]) == (403, "insufficient_scope"), name
        (fault,) = problem["errors"]
        assert fault["place"] in {part.partition("=")[0] for part in query.split("&")}
        assert "names ext.call" in fault["message"]
        assert SCOPE in problem["detail"]
        assert f"grant your client the scope {SCOPE}" in fault["remedy"]


def test_a_token_with_the_scope_may_name_them_all(ask):
    assert {name: ask(permitted(query))["statusCode"] for name, query in NAMING.items()} == dict.fromkeys(NAMING, 200)


def test_every_parameter_that_names_one_is_told(ask):
    query = "mask=ext.called,ext.caller&order=ext.call_id&filter=" + quote('{"ext.caller":"1"}')
    problem = json.loads(ask(event(query))["body"])
    told = {fault["place"]: fault["message"] for fault in problem["errors"]}
    assert told == {
        "filter": "names ext.caller",
        "mask": "names ext.caller, ext.called",
        "order": "names ext.call_id",
    }


def test_the_right_call_is_found_by_its_number(ask):
    query = "mask=id,ext.caller,ext.called,ext.call_id&filter=" + quote('{"ext.caller":"+12025550143"}')
    (row,) = json.loads(ask(permitted(query))["body"])
    assert row == {
        "id": ANNA.id,
        "ext": {"caller": "+12025550143", "called": "+442079460123", "call_id": "5f1e0b3c@pbx.example"},
    }


def test_a_row_whose_engine_tells_no_numbers_has_null(ask):
    query = "mask=ext.caller,ext.called,ext.call_id&flat=true&filter=" + quote('{"code":"welcome"}')
    (row,) = json.loads(ask(permitted(query))["body"])
    assert row == {"ext.caller": None, "ext.called": None, "ext.call_id": None}
    unset = "mask=id&filter=" + quote('["isnull",["property","ext.caller"]]')
    assert json.loads(ask(permitted(unset))["body"]) == [{"id": TOLD_NONE.id}]


def test_an_answer_to_a_query_that_names_none_is_the_same_for_every_token(ask):
    """A script that asks for `ext` today must not collect numbers from the day its token gets the scope."""
    for query in ("", "mask=ext", "mask=ext,ext.state&flat=true", "order=name&limit=1"):
        answers = [ask(sent) for sent in (event(query), permitted(query))]
        assert answers[0] == answers[1]
        assert answers[0]["statusCode"] == 200
        assert "call" not in answers[0]["body"]


CLAIMS = (
    ("scope", f"{SCOPE}", 200),
    ("scope", f"openid {SCOPE} x", 200),
    ("scp", f"a {SCOPE}", 200),
    ("scp", f"[ivrscript_runtimes:read {SCOPE}]", 200),
    ("scope", f"[{SCOPE}]", 200),
    ("scope", None, 403),
    ("scope", "", 403),
    ("scope", "<nil>", 403),
    ("scope", ["ivrscript_runtimes:read", SCOPE], 403),
    ("scope", f"{SCOPE}x", 403),
    ("scope", f"x{SCOPE}", 403),
    ("scope", SCOPE.upper(), 403),
    ("scope", SCOPE.replace(":", " "), 403),
    ("scope", f"ivrscript_runtimes:read,{SCOPE}", 403),
    ("scope", f"ivrscript_runtimes:read\t{SCOPE}", 403),
    ("roles", SCOPE, 403),
)


def test_scopes_are_read_as_api_gateway_hands_them_on(ask):
    for claim, scope, status in CLAIMS:
        assert ask(event("mask=ext.caller", scope=scope, claim=claim))["statusCode"] == status, (claim, scope)


def test_scp_counts_only_where_there_is_no_scope(ask):
    """As for the scope of the route: API Gateway reads `scope`, or else `scp`."""
    sent = event("mask=ext.caller")
    sent["requestContext"]["authorizer"]["jwt"]["claims"]["scp"] = SCOPE
    assert ask(sent)["statusCode"] == 403


def test_the_events_own_scopes_open_nothing(ask):
    sent = event("mask=ext.caller")
    sent["requestContext"]["authorizer"]["jwt"]["scopes"] = ["ivrscript_runtimes:read", SCOPE]
    assert ask(sent)["statusCode"] == 403


def test_the_scope_is_the_one_the_installation_names(seeded, invoke):
    stack = expand(
        ROOT / "template.yaml",
        parameters={"Sites": "SITE1,SITE2", "JwtIssuer": "https://i", "JwtAudience": "a", "ScopeNumbers": "calls/who"},
        stack_name="ivr-test",
        region="eu-central-1",
        account_id="123456789012",
    )
    sent = event("mask=ext.caller", scope="calls/who")
    assert invoke(LIST, sent, stack)["statusCode"] == 200
    refused = json.loads(invoke(LIST, permitted("mask=ext.caller"), stack)["body"])
    assert "the scope calls/who" in refused["errors"][0]["remedy"]


def test_the_ready_made_event_finds_the_call(ask):
    sent = json.loads((ROOT / "events" / "list_numbers.json").read_text())
    (row,) = json.loads(ask(sent)["body"])
    assert (row["id"], row["ext"]["caller"]) == (ANNA.id, ANNA.caller)


WRONG = (
    "filter=" + quote('["in",["property","ext.caller"],"+12025550143"]'),
    "filter=" + quote('"+12025550143"'),
    "filter=" + quote('{"+12025550143":"x"}'),
    "filter=" + quote('{"starttime":"+12025550143"}'),
    "mask=%2B12025550143",
    "order=%2B12025550143",
    "%2B12025550143=x",
    "limit=12025550143",
    "after=%2B12025550143",
)


def test_the_log_of_a_wrong_query_does_not_repeat_what_it_was_looking_for(ask, caplog):
    """The answer quotes up to 40 characters of it, for the caller's own eyes; the log did, too."""
    for query in WRONG:
        caplog.clear()
        answer = ask(permitted(query))
        assert answer["statusCode"] == 400
        assert "12025550143" in answer["body"]
        (line,) = [record for record in caplog.records if getattr(record, "action", "") == "refused"]
        assert "2025550143" not in str(vars(line))
        assert line.detail.startswith("wrong parameters: ")
