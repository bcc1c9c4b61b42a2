"""The list function, from event to answer."""

import base64
import gzip
import json
import time
from dataclasses import replace

import pytest

from emulators import ROOT
from ivr_runtimes.http.response import MAX_RESPONSE_BYTES
from ivr_runtimes.identifiers import Domain, Session, Site, StopId
from ivr_runtimes.model import State, StopType
from ivr_runtimes.ports import WriteBatch
from rows import PLAYER, WELCOME, node_of, numbered

LIST = "ListRuntimesFunction"

CONTRACT_EXAMPLE = """[
  {
    "id": "244f84aa-0624-e639-8061-a80000000006",
    "site": "SITE1",
    "node": "site1_h6@192.168.0.12",
    "domain": "test.rootdomain.ru",
    "type": "ivr",
    "code": "player",
    "name": "TEST PLAY",
    "starttime": "2019-11-05T08:36:40Z"
  },
  {
    "id": "6b3ba923-0624-e8c9-6bee-b00000000008",
    "site": "SITE1",
    "node": "site1_h8@192.168.0.12",
    "domain": "test.rootdomain.ru",
    "type": "ivr",
    "code": "welcome",
    "name": "Main scenario",
    "starttime": "2019-11-05T11:31:34Z"
  }
]"""
"""The response example of the public contract, to the letter."""


def event(name="list", **changes):
    loaded = json.loads((ROOT / "events" / f"{name}.json").read_text())
    return {**loaded, **changes}


@pytest.fixture
def seeded(cloud):
    cloud.runtimes.write(WriteBatch(site=Site("SITE1"), puts=[PLAYER, WELCOME]))
    for row in (PLAYER, WELCOME):
        cloud.nodes.renew(node_of(row, lease_until_s=time.time() + 50), now_s=time.time())
    return cloud


def test_the_contracts_example_is_answered_to_the_letter(seeded, invoke):
    answer = invoke(LIST, event())
    assert answer["statusCode"] == 200
    assert answer["headers"]["content-type"] == "application/json; charset=utf-8"
    # Compared as text: the order of the fields is part of the contract.
    assert json.dumps(json.loads(answer["body"]), indent=2) == CONTRACT_EXAMPLE


def test_the_answer_tells_which_sites_it_covers(seeded, invoke):
    assert invoke(LIST, event())["headers"]["site-nodes"] == "SITE1=2/2, SITE2=0/0"


def test_every_parameter_at_once(seeded, invoke):
    answer = invoke(LIST, event("list_all_parameters"))
    assert answer["statusCode"] == 200
    rows = json.loads(answer["body"])
    assert [row["code"] for row in rows] == ["welcome", "player"]
    assert list(rows[0]) == ["id", "code", "starttime", "ext.state"]


def test_rows_of_a_lapsed_lease_and_of_a_replaced_session_are_not_listed(seeded, invoke):
    lapsed = node_of(PLAYER, lease_until_s=time.time() - 2.5)
    seeded.nodes.renew(lapsed, now_s=time.time(), dead=lapsed.agent_id)
    seeded.nodes.renew(node_of(WELCOME, lease_until_s=time.time() + 50, session=Session("new")), now_s=time.time())
    answer = invoke(LIST, event())
    assert json.loads(answer["body"]) == []
    assert answer["headers"]["site-nodes"] == "SITE1=1/2, SITE2=0/0"


def test_another_domains_rows_are_never_listed(seeded, invoke):
    foreign = numbered(PLAYER, 77, domain=Domain("other.example"))
    seeded.runtimes.write(WriteBatch(site=Site("SITE1"), puts=[foreign]))
    assert foreign.id not in invoke(LIST, event())["body"]


def test_ext_shows_the_state_the_last_stop_and_the_source_script(seeded, invoke):
    nested = replace(
        WELCOME,
        code="news",
        state=State.POST_PROCESSING,
        stoptype=StopType.STOP,
        stop_id=StopId("key-1"),
        rootcode="welcome",
        rootname="Main",
    )
    seeded.runtimes.write(WriteBatch(site=Site("SITE1"), puts=[nested]))
    answer = invoke(LIST, event(rawQueryString="mask=code,ext&order=-starttime&limit=1"))
    assert json.loads(answer["body"]) == [
        {
            "code": "news",
            "ext": {
                "state": "post_processing",
                "stoptype": "stop",
                "stop_id": "key-1",
                "rootcode": "welcome",
                "rootname": "Main",
                "session": "s-h8",
                "lwt": "2019-11-05T11:31:35Z",
            },
        }
    ]


def test_a_token_without_a_domain_gets_403_and_nothing_else(seeded, invoke):
    answer = invoke(LIST, event("no_domain"))
    assert answer["statusCode"] == 403
    assert answer["headers"]["content-type"] == "application/problem+json"
    assert json.loads(answer["body"])["code"] == "no_domain"
    assert PLAYER.id not in answer["body"]


@pytest.mark.parametrize("claims", [{}, {"domain": "[a.ru b.ru]"}, {"domain": ""}, {"domain": "a.ru,b.ru"}, None])
def test_a_domain_claim_that_is_not_one_name_is_none(seeded, invoke, claims):
    broken = event()
    broken["requestContext"]["authorizer"]["jwt"]["claims"] = claims
    assert invoke(LIST, broken)["statusCode"] == 403


def test_an_event_without_authorizer_is_refused(seeded, invoke):
    """`sam local start-api` sends none: no bypass, also there."""
    broken = event()
    del broken["requestContext"]["authorizer"]
    assert invoke(LIST, broken)["statusCode"] == 403


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        ("[test.rootdomain.ru]", 'is a list, which API Gateway hands on as "[test.rootdomain.ru]"'),
        ("[a.ru b.ru]", 'is a list, which API Gateway hands on as "[a.ru b.ru]"'),
        ("[]", "is a list"),
        ("map[name:a.ru]", "is an object, which API Gateway hands on as"),
        ("<nil>", "is null"),
        ("", "is empty"),
        (" \t", "is empty"),
        (["a.ru"], "came as a list, not as text"),
        ({"a": 1}, "came as an object, not as text"),
        (None, "came as null, not as text"),
        (7, "came as a number, not as text"),
        (True, "came as a truth value, not as text"),
        ("a.ru,b.ru", 'is "a.ru,b.ru", which is not the name of one domain'),
        ("a.ru\n\x1b[2J\u202e", '"a.ru\\n\\x1b[2J\\u202e"'),
        ("x" * 5_000, "…"),
    ],
)
def test_a_refused_domain_claim_is_told_in_the_shape_it_came(seeded, invoke, caplog, claim, told):
    """HTTP API turns a claim that is a list into `[one.value]`. The caller was told that the claim was missing."""
    broken = event()
    broken["requestContext"]["authorizer"]["jwt"]["claims"]["domain"] = claim
    answer = invoke(LIST, broken)
    problem = json.loads(answer["body"])
    assert (answer["statusCode"], problem["code"]) == (403, "no_domain")
    assert told in problem["detail"]
    assert [fault["place"] for fault in problem["errors"]] == ["claim domain"]
    assert len(problem["detail"]) < 300
    (line,) = caplog.records
    assert line.detail == problem["detail"]
    assert line.detail.isprintable()


def test_a_domain_claim_that_is_not_there_is_said_to_be_missing(seeded, invoke):
    assert "is missing" in json.loads(invoke(LIST, event("no_domain"))["body"])["detail"]


def test_a_list_for_a_token_that_names_nobody_is_logged_as_such(seeded, invoke, caplog):
    anonymous = event()
    del anonymous["requestContext"]["authorizer"]["jwt"]["claims"]["sub"]
    for sent in (event(), anonymous):
        assert invoke(LIST, sent)["statusCode"] == 200
    lines = [record for record in caplog.records if getattr(record, "action", "") == "listed"]
    assert [(line.anonymous, bool(line.subject)) for line in lines] == [(False, True), (True, False)]


@pytest.mark.parametrize(
    "template",
    [
        '{"id":"%s"}',
        '{"id":["%s"]}',
        '["==",["property","id"],"%s"]',
        '["==",["const","%s"],["property","id"]]',
        '["in",["property","id"],["x","%s"]]',
        '["not",["!=",["property","id"],"%s"]]',
        '["and",["<=",["property","id"],"%s"],[">=",["property","id"],"%s"]]',
        '["like",["property","id"],"%s"]',
        '["like",["property","id"],"%s%%25"]',
    ],
)
def test_an_id_in_a_filter_is_compared_as_a_uuid_in_either_case(seeded, invoke, template):
    """An id in capitals, as some tools print UUIDs, was answered with `[]`."""
    rows = []
    for spelled in (WELCOME.id, WELCOME.id.upper(), WELCOME.id.title()):
        answer = invoke(LIST, event(rawQueryString="filter=" + template.replace("%s", spelled).replace("%%", "%")))
        rows.append([row["code"] for row in json.loads(answer["body"])])
    assert rows == [["welcome"]] * 3


def test_other_fields_are_compared_in_their_case(seeded, invoke):
    assert json.loads(invoke(LIST, event(rawQueryString='filter={"code":"PLAYER"}'))["body"]) == []


def test_the_domain_is_folded_to_lower_case(seeded, invoke):
    upper = event()
    upper["requestContext"]["authorizer"]["jwt"]["claims"]["domain"] = "Test.RootDomain.RU"
    assert len(json.loads(invoke(LIST, upper)["body"])) == 2


def test_bad_parameters_name_each_place_and_remedy(seeded, invoke):
    answer = invoke(LIST, event(rawQueryString="limit=ten&order=starttme"))
    body = json.loads(answer["body"])
    assert answer["statusCode"] == 400
    assert body["code"] == "invalid_request"
    assert body["request_id"] == event()["requestContext"]["requestId"]
    assert {fault["place"] for fault in body["errors"]} == {"limit", "order[0]"}
    assert all(fault["message"] and fault["remedy"] for fault in body["errors"])


def many(count, name="N"):
    return [numbered(PLAYER, n, name=name) for n in range(count)]


def seed_many(cloud, rows):
    for at in range(0, len(rows), 25):
        cloud.runtimes.write(WriteBatch(site=Site("SITE1"), puts=rows[at : at + 25]))


def test_a_large_answer_is_gzipped_for_those_who_accept_it(seeded, invoke):
    seed_many(seeded, many(100))
    plain = invoke(LIST, event(headers={}))
    zipped = invoke(LIST, event(headers={"accept-encoding": "br, gzip;q=0.8"}))
    assert not plain["isBase64Encoded"]
    assert zipped["headers"]["content-encoding"] == "gzip"
    assert gzip.decompress(base64.b64decode(zipped["body"])).decode() == plain["body"]


def test_an_answer_over_lambdas_limit_is_refused_with_the_way_out(seeded, invoke):
    big = "x" * 300_000
    seed_many(seeded, many(MAX_RESPONSE_BYTES // len(big) + 1, name=big))
    answer = invoke(LIST, event(headers={}))
    assert answer["statusCode"] == 400
    problem = json.loads(answer["body"])
    assert problem["code"] == "result_too_large"
    assert all(way in problem["detail"] for way in ("limit", "Link", "after", "offset", "mask", "filter", "gzip"))
    assert invoke(LIST, event(rawQueryString="limit=2"))["statusCode"] == 200


def test_a_table_that_does_not_answer_is_503_with_retry_after(seeded, invoke):
    seeded.dynamodb.delete_table(TableName="ivr-test-runtimes")
    answer = invoke(LIST, event())
    assert (answer["statusCode"], answer["headers"]["retry-after"]) == (503, "1")
    assert json.loads(answer["body"])["code"] == "list_unavailable"


def test_the_log_says_why_the_list_cannot_be_read(seeded, invoke, caplog):
    """`list_unavailable` stood in the log without its cause: a table that is gone looked like one that is slow."""
    seeded.dynamodb.delete_table(TableName="ivr-test-runtimes")
    answer = invoke(LIST, event())
    (line,) = [record for record in caplog.records if getattr(record, "action", "") == "refused"]
    (store, sdk) = line.cause
    assert store.startswith("DeniedError: ")
    assert "ResourceNotFoundException" in store
    assert sdk.endswith("Exception"), "the class of a foreign error alone: its text may quote a request"
    assert "cause" not in json.loads(answer["body"]), "for operators only"


def test_pages_are_linked_until_the_list_ends(seeded, invoke):
    first = invoke(LIST, event(rawQueryString="limit=1&mask=code&offset=0"))
    link = first["headers"]["link"]
    assert json.loads(first["body"]) == [{"code": "player"}]
    assert link.startswith("<?limit=1&mask=code&after=")
    assert link.endswith('>; rel="next"')
    last = invoke(LIST, event(rawQueryString=link[1:].partition(">")[0].partition("?")[2]))
    assert json.loads(last["body"]) == [{"code": "welcome"}]
    assert "link" not in last["headers"]


@pytest.mark.parametrize("path", ["/ivr/rest/v1/uc/ivrscript_runtimes", "/", "", None])
def test_the_path_of_an_event_decides_nothing(seeded, invoke, path):
    """With a custom domain's base path or a stage before it, `rawPath` is not the route's path."""
    moved = event(rawQueryString="limit=1", rawPath=path)
    plain = event(rawQueryString="limit=1")
    assert invoke(LIST, moved) == invoke(LIST, plain)


def test_a_cursor_opens_no_other_domain(seeded, invoke):
    link = invoke(LIST, event(rawQueryString="limit=1"))["headers"]["link"]
    other = event(rawQueryString=link[1:].partition(">")[0].partition("?")[2])
    other["requestContext"]["authorizer"]["jwt"]["claims"]["domain"] = "other.example"
    answer = invoke(LIST, other)
    assert (answer["statusCode"], answer["body"]) == (200, "[]")


def test_a_count_is_given_to_those_who_prefer_one(seeded, invoke):
    headers = invoke(LIST, event(rawQueryString="limit=1", headers={"prefer": "count=exact"}))["headers"]
    assert (headers["x-total-count"], headers["preference-applied"]) == ("2", "count=exact")
    assert "x-total-count" not in invoke(LIST, event(rawQueryString="limit=1"))["headers"]


def test_the_log_says_which_plan_was_taken_and_what_it_cost(seeded, invoke, caplog):
    invoke(LIST, event(rawQueryString="limit=1"))
    (line,) = [record for record in caplog.records if getattr(record, "action", "") == "listed"]
    assert (line.plan, line.calls, line.rows, line.rows_read) == ("page", 2, 1, 2)
    assert line.read_units > 0
