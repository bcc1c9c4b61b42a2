"""The codec's seam in botocore, pinned: an SDK that moves it fails here, and at run time is read the slow way."""

import json
import logging
import zlib
from dataclasses import replace

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse

from ivr_runtimes.errors import StoreUnavailableError
from ivr_runtimes.identifiers import NodeName
from ivr_runtimes.model import State, StopType
from ivr_runtimes.ports import Cost, Stretch
from ivr_runtimes.stores import boto, parser
from ivr_runtimes.stores.dynamo import NodeTable, RuntimeTable, to_item, to_node_item
from rows import DOMAIN, PLAYER, WELCOME, node_of

CONFIG = boto.config(connect_timeout_s=1, read_timeout_s=1, attempts=2)
PAGE = json.dumps(
    {
        "Items": [to_item(PLAYER), {**to_item(WELCOME), "expires_at": {"N": "1"}, "stoptype": {"S": "stop"}}],
        "Count": 2,
        "ScannedCount": 7,
        "LastEvaluatedKey": {"site": {"S": "SITE1"}, "id": {"S": WELCOME.id}},
        "ConsumedCapacity": {"TableName": "runtimes", "CapacityUnits": 1.5},
    }
).encode()


class Raw:
    """What botocore reads an HTTP answer's body from."""

    def __init__(self, body):
        self._body = body

    def stream(self):
        yield self._body


class Service:
    """A client of the list with canned HTTP answers in place of the network: `(status, body)` each."""

    def __init__(self, *answers, crc32=None):
        self.client = boto.listing_client(CONFIG)
        self.answers, self.crc32, self.requests = list(answers), crc32, []
        self.client.meta.events.register("before-send.dynamodb", self._answer)
        self.table = RuntimeTable(self.client, "runtimes")

    def _answer(self, request, **_):
        self.requests.append(json.loads(request.body))
        status, body = self.answers.pop(0)
        headers = {"x-amz-crc32": str(self.crc32 or zlib.crc32(body)), "date": "Tue, 05 Nov 2019 08:36:40 GMT"}
        return AWSResponse(request.url, status, headers, Raw(body))

    def page(self, cost=None, *, numbers=False, **stretch):
        return self.table.page(DOMAIN, Stretch(**stretch), cost=cost or Cost(), numbers=numbers)


def error(code):
    return json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "no"}).encode()


@pytest.fixture(autouse=True)
def _tells_again():
    parser._tell_moved.cache_clear()


def test_the_seam_is_where_it_was():
    """If this fails after an upgrade of botocore, lists still work, at a twentieth of the speed. Move the seam."""
    session = botocore.session.get_session()
    parser.install(session)
    assert isinstance(session.get_component(parser.COMPONENT), parser.RawQueries)
    service = Service((200, PAGE))
    answer = service.client.query(TableName="runtimes")
    assert answer[parser.BODY] == PAGE
    assert "Items" not in answer
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert answer["ResponseMetadata"]["HTTPHeaders"]["date"] == "Tue, 05 Nov 2019 08:36:40 GMT"


def test_a_query_is_decoded_into_rows_that_read_like_runtimes(caplog):
    cost = Cost()
    page = Service((200, PAGE)).page(cost)
    player, welcome = page.rows
    assert (player.id, player.starttime, player.state, player.stoptype) == (
        PLAYER.id,
        PLAYER.starttime,
        "running",
        None,
    )
    assert (welcome.name, welcome.stoptype, welcome.state) == (WELCOME.name, StopType.STOP, State.RUNNING)
    assert page.resume == {"site": {"S": "SITE1"}, "id": {"S": WELCOME.id}}
    assert cost == Cost(calls=1, read_units=1.5, rows_read=7)
    assert not caplog.records


def test_numbers_do_not_leave_the_table_unless_they_are_asked_for():
    told = json.dumps({"Items": [to_item(replace(PLAYER, caller="+12025550143"))], "ScannedCount": 1}).encode()
    service = Service((200, told), (200, told))
    plain, numbered = service.page(), service.page(numbers=True)
    without, with_numbers = (set(sent["ProjectionExpression"].split(",")) for sent in service.requests)
    assert with_numbers - without == {"#caller", "#called", "#call_id"}
    assert not hasattr(plain.rows[0], "caller")
    assert (numbered.rows[0].caller, numbered.rows[0].called) == ("+12025550143", None)


def test_a_number_that_cannot_be_read_is_none_and_hides_no_row():
    """Which rows are listed must not depend on what is asked of them."""
    odd = [{"N": "1"}, {"NULL": True}, {"BOOL": True}, {"M": {"S": {"S": "x"}}}, {"L": []}, {"SS": ["x"]}, {"S": "x"}]
    items = [{**to_item(PLAYER), "called": of} for of in odd]
    answer = {"Items": items, "ScannedCount": len(items)}
    page = Service((200, json.dumps(answer).encode())).page(numbers=True)
    assert [row.called for row in page.rows] == [None] * (len(odd) - 1) + ["x"]
    assert [row.called for row in parser.read_page(answer, numbers=True).rows] == [row.called for row in page.rows]


def test_other_operations_keep_botocores_parser():
    item = json.dumps({"Item": {"site": {"S": "SITE1"}}}).encode()
    answer = Service((200, item)).client.get_item(TableName="nodes", Key={})
    assert (answer["Item"], parser.BODY in answer) == ({"site": {"S": "SITE1"}}, False)


def test_the_nodes_are_read_past_botocores_parser_over_all_pages():
    """A thousand nodes once cost botocore's parser 25 ms of CPU, six times as much as the page of the list itself."""
    nodes = [replace(node_of(PLAYER, lease_until_s=1.5), node=NodeName(f"n{n}@h")) for n in range(2)]
    more = {"site": {"S": "SITE1"}, "node": {"S": "n0@h"}}
    first = {"Items": [to_node_item(nodes[0])], "LastEvaluatedKey": more, "ConsumedCapacity": {"CapacityUnits": 2.0}}
    last = {"Items": [to_node_item(nodes[1])], "ConsumedCapacity": {"CapacityUnits": 0.5}}
    service, cost = Service(*((200, json.dumps(page).encode()) for page in (first, last))), Cost()
    assert NodeTable(service.client, "nodes").all_nodes(cost=cost) == nodes
    assert service.requests[1]["ExclusiveStartKey"] == more
    assert (cost.calls, cost.read_units) == (2, 2.5)
    with pytest.raises(StoreUnavailableError):
        NodeTable(Service((200, b'{"Items": [')).client, "nodes").all_nodes()


def test_error_answers_and_their_retries_are_botocores():
    service = Service((400, error("ProvisionedThroughputExceededException")), (200, PAGE))
    assert len(service.page().rows) == 2
    assert len(service.requests) == 2
    with pytest.raises(StoreUnavailableError, match="AccessDeniedException"):
        Service((400, error("AccessDeniedException"))).page()


def test_a_body_damaged_on_the_way_is_asked_for_again():
    damaged = PAGE.replace(PLAYER.name.encode(), b"TEST CLAY")
    service = Service((200, damaged), (200, PAGE), crc32=zlib.crc32(PAGE))
    assert service.page().rows[0].name == PLAYER.name
    assert len(service.requests) == 2


@pytest.mark.parametrize("end", [{}, None])
def test_an_empty_continuation_key_is_the_end_of_a_query_and_of_a_scan(end):
    """`{}` was sent back as `ExclusiveStartKey`, which DynamoDB refuses: the last page ended the list in a 500."""
    rows, nodes = [to_item(PLAYER)], [to_node_item(node_of(PLAYER, lease_until_s=1.5))]
    last = [
        json.dumps({"Items": items, "ScannedCount": 1, "LastEvaluatedKey": end}).encode() for items in (rows, nodes)
    ]
    assert Service((200, last[0])).page().resume is None
    assert len(list(Service((200, last[0])).table.rows_of_node(PLAYER.site, PLAYER.node))) == 1
    assert len(NodeTable(Service((200, last[1])).client, "nodes").all_nodes()) == 1


@pytest.mark.parametrize("end", [{}, None])
def test_an_empty_continuation_key_is_the_end_where_botocore_parses_too(monkeypatch, end):
    monkeypatch.setattr(parser, "COMPONENT", "renamed_by_an_upgrade")
    last = json.dumps({"Items": [to_item(PLAYER)], "ScannedCount": 1, "LastEvaluatedKey": end}).encode()
    assert Service((200, last)).page().resume is None


@pytest.mark.parametrize("rest", [None, {}, {"runtimes": {}}, {"runtimes": {"Keys": []}}])
def test_no_unprocessed_keys_in_any_form_end_a_look_up(rest):
    body = {"Responses": {"runtimes": [to_item(PLAYER)]}, "UnprocessedKeys": rest}
    service = Service((200, json.dumps(body).encode()))
    assert service.table.find(PLAYER.id, [PLAYER.site]) == [PLAYER]


@pytest.mark.parametrize("body", [PAGE[:-20], b"", b"[]", b'{"Items": 1}'])
def test_what_is_no_answer_to_a_query_is_no_empty_list(body):
    with pytest.raises(StoreUnavailableError):
        Service((200, body)).page()


def test_a_query_that_is_not_the_lists_is_read_whole():
    last = json.dumps({"Items": [to_item(PLAYER)], "Count": 1}).encode()
    (row,) = Service((200, last)).table.rows_of_node(PLAYER.site, PLAYER.node)
    assert (row.id, row.session) == (PLAYER.id, PLAYER.session)


def same(page):
    return [(row.id, row.stoptype, row.session) for row in page.rows], page.resume


def test_an_sdk_without_the_component_is_used_as_it_is_and_told_of(monkeypatch, caplog):
    expected = same(Service((200, PAGE)).page())
    monkeypatch.setattr(parser, "COMPONENT", "renamed_by_an_upgrade")
    with caplog.at_level(logging.WARNING):
        service, cost = Service((200, PAGE), (200, PAGE)), Cost()
    assert "no component" in caplog.text
    assert same(service.page(cost)) == expected
    assert cost == Cost(calls=1, read_units=1.5, rows_read=7)
    assert same(service.page()) == expected
    assert caplog.text.count("the codec's seam has moved") == 1


def test_an_sdk_that_calls_its_parsers_differently_is_parsed_by_its_own(caplog):
    class Other:
        def create_parser(self, _protocol):
            return self

        def parse(self, *, response, output):
            return {"parsed": (response, output)}

    made = parser.RawQueries(Other()).create_parser("json")
    assert made.parse(response=1, output=2) == {"parsed": (1, 2)}
    assert parser.body_of({"Items": []}) is None
    assert "the codec's seam has moved" in caplog.text
