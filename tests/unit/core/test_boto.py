"""What each way of failing at AWS means, and the answers no emulator gives: forged at botocore's own seam."""

import boto3
import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    CredentialRetrievalError,
    EndpointConnectionError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
from botocore.stub import Stubber

from ivr_runtimes.errors import (
    AmbiguousWriteError,
    ConditionFailedError,
    DeniedError,
    RefusedWriteError,
    StoreUnavailableError,
)
from ivr_runtimes.identifiers import Site
from ivr_runtimes.ports import WriteBatch
from ivr_runtimes.stores import dynamo
from ivr_runtimes.stores.boto import call
from ivr_runtimes.stores.dynamo import NodeTable, RuntimeTable, to_item
from rows import PLAYER, WELCOME, node_of, numbered


@pytest.fixture
def client():
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="y", region_name="eu-central-1")
    return session.client("dynamodb")


@pytest.fixture
def stub(client):
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        ("ProvisionedThroughputExceededException", 400, StoreUnavailableError),
        ("ThrottlingException", 400, StoreUnavailableError),
        ("ThrottlingException", 503, StoreUnavailableError),
        ("AccessDeniedException", 400, DeniedError),
        ("ResourceNotFoundException", 400, DeniedError),
        ("InvalidSignatureException", 400, DeniedError),
        ("InternalServerError", 500, AmbiguousWriteError),
        ("ValidationException", 400, RefusedWriteError),
        ("RequestEntityTooLarge", 413, RefusedWriteError),
        ("ConditionalCheckFailedException", 400, ConditionFailedError),
    ],
)
def test_an_error_answer_means(client, stub, code, status, meaning):
    stub.add_client_error("batch_write_item", service_error_code=code, http_status_code=status)
    with pytest.raises(meaning) as caught:
        RuntimeTable(client, "runtimes").write(WriteBatch(site=Site("SITE1"), puts=[PLAYER]))
    assert caught.type is meaning


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (ReadTimeoutError(endpoint_url="http://x"), AmbiguousWriteError),
        (ConnectionClosedError(endpoint_url="http://x"), AmbiguousWriteError),
        (EndpointConnectionError(endpoint_url="http://x"), StoreUnavailableError),
        (NoCredentialsError(), DeniedError),
        (PartialCredentialsError(provider="env", cred_var="x"), DeniedError),
        (CredentialRetrievalError(provider="custom-process", error_msg="planted"), DeniedError),
        (MetadataRetrievalError(error_msg="planted"), DeniedError),
        (TokenRetrievalError(provider="sso", error_msg="planted"), DeniedError),
        (SSOTokenLoadError(error_msg="planted"), DeniedError),
        (UnauthorizedSSOTokenError(), DeniedError),
    ],
)
def test_a_request_that_may_have_arrived_is_ambiguous_one_that_cannot_have_is_not(error, meaning):
    def method():
        raise error

    with pytest.raises(meaning) as caught:
        call(method)
    assert caught.type is meaning
    assert "planted" not in str(caught.value), "what a source of credentials said may quote one"


def test_a_request_boto_itself_refuses_is_refused(client):
    with pytest.raises(RefusedWriteError):
        call(client.put_item, TableName="nodes", Item={"site": "not typed"})


def test_every_answer_tells_the_servers_time_errors_too(client, stub):
    dated = {"HTTPHeaders": {"date": "Tue, 05 Nov 2019 08:36:40 GMT"}, "HTTPStatusCode": 200}
    stub.add_response("get_item", {"ResponseMetadata": dated})
    stub.add_client_error("get_item", service_error_code="ThrottlingException", response_meta=dated)
    times: list[float] = []
    table = NodeTable(client, "nodes", on_server_time=times.append)
    assert table.read(PLAYER.site, PLAYER.node) is None
    with pytest.raises(StoreUnavailableError):
        table.read(PLAYER.site, PLAYER.node)
    assert times == [1572943000.0, 1572943000.0]


def test_rows_left_unprocessed_are_told_by_id(client, stub):
    left = [
        {"PutRequest": {"Item": to_item(PLAYER)}},
        {"DeleteRequest": {"Key": {"site": {"S": "SITE1"}, "id": {"S": WELCOME.id}}}},
    ]
    stub.add_response("batch_write_item", {"UnprocessedItems": {"runtimes": left}})
    batch = WriteBatch(site=Site("SITE1"), puts=[PLAYER, numbered(PLAYER, 1)], deletes=[WELCOME.id])
    assert RuntimeTable(client, "runtimes").write(batch) == {PLAYER.id, WELCOME.id}


def test_unprocessed_keys_are_asked_for_until_all_have_answered(client, stub):
    key = {"site": {"S": "SITE2"}, "id": {"S": PLAYER.id}}
    left = {"runtimes": {"Keys": [key], "ConsistentRead": True}}
    stub.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": left})
    again = {"RequestItems": left, "ReturnConsumedCapacity": "TOTAL"}
    stub.add_response("batch_get_item", {"Responses": {"runtimes": [to_item(PLAYER)]}}, again)
    assert RuntimeTable(client, "runtimes").find(PLAYER.id, [Site("SITE1"), Site("SITE2")]) == [PLAYER]


def test_keys_that_stay_unprocessed_are_no_answer_rather_than_a_404(client, stub, monkeypatch):
    monkeypatch.setattr(dynamo, "UNPROCESSED_BUDGET_S", 0.0)
    left = {"runtimes": {"Keys": [{"site": {"S": "SITE1"}, "id": {"S": PLAYER.id}}]}}
    stub.add_response("batch_get_item", {"Responses": {}, "UnprocessedKeys": left})
    with pytest.raises(StoreUnavailableError):
        RuntimeTable(client, "runtimes").find(PLAYER.id, [Site("SITE1")])


def test_an_empty_page_with_a_continuation_key_does_not_end_a_nodes_rows(client, stub):
    more = {"site": {"S": "SITE1"}, "id": {"S": "x"}}
    stub.add_response("query", {"Items": [to_item(PLAYER)], "LastEvaluatedKey": more})
    stub.add_response("query", {"Items": [], "LastEvaluatedKey": more})
    stub.add_response("query", {"Items": [to_item(WELCOME)]})
    rows = RuntimeTable(client, "runtimes").rows_of_node(PLAYER.site, PLAYER.node)
    assert [row.id for row in rows] == [PLAYER.id, WELCOME.id]


def test_garbage_collection_dates_follow_the_clock_that_is_given(client, stub):
    written: list[dict[str, object]] = []
    client.meta.events.register("before-parameter-build.dynamodb", lambda params, **_: written.append(params))
    stub.add_response("batch_write_item", {})
    stub.add_response("put_item", {})
    RuntimeTable(client, "runtimes", clock=lambda: 1000.9).write(WriteBatch(site=Site("SITE1"), puts=[PLAYER]))
    NodeTable(client, "nodes").renew(node_of(PLAYER, lease_until_s=1015.0), now_s=1000.9)
    put = written[0]["RequestItems"]["runtimes"][0]["PutRequest"]["Item"]
    assert put["expires_at"] == {"N": str(1000 + 6 * 3600)}
    assert written[1]["Item"]["expires_at"] == {"N": str(1000 + 24 * 3600)}
    assert put["start_key"] == {"S": f"{PLAYER.starttime}#{PLAYER.id}"}
