"""A stack's life in an emulated CloudFormation, from the first deployment to its end, in this order."""

import json
import re
import shlex
import time
from dataclasses import replace
from typing import Any

import jmespath
import pytest
from botocore.exceptions import ClientError

from deployment import CAPABILITIES, OPERATOR, STACK, WATCHER, Deployment, Ran
from emulators import ACCOUNT, REGION, ROOT
from ivr_local.issuer import Issuer
from ivr_local.template import expand
from ivr_runtimes.command import Command
from ivr_runtimes.lease import LEASE_HANDOVER_S
from ivr_runtimes.model import Verb
from ivr_runtimes.stores.dynamo import to_item, to_node_item
from rows import PLAYER, node_of
from stack import RESOURCE, Answer

pytestmark = pytest.mark.e2e

PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
FOREIGN_ID = "244f84aa-0624-e639-8061-a80000000099"


def line(beginning: str) -> str:
    """The one line of docs/deploy.md's commands that begins so."""
    (found,) = re.findall(rf"^{re.escape(beginning)}.*$", PAGE, re.MULTILINE)
    command: str = found
    return command


def bearer(issuer: Issuer, client: Any = OPERATOR) -> dict[str, str]:
    return {"Authorization": f"Bearer {issuer.mint(client, client.scopes)}"}


@pytest.fixture(scope="session")
def populated(created: Deployment) -> Deployment:
    """The stack with one runtime of SITE1, as its agent would have written it."""
    item = {**to_item(PLAYER), "expires_at": {"N": str(int(time.time()) + 21_600)}}
    created.client("dynamodb").put_item(TableName=created.outputs["RuntimesTableName"], Item=item)
    return created


def listed(deployment: Deployment, issuer: Issuer) -> Answer:
    """List after a heartbeat of the runtime's node: no lease lasts as long as a deployment.

    It is the longest that is believed, since a function's first call may take long on a machine with other work.
    """
    node = node_of(PLAYER, lease_until_s=time.time() + LEASE_HANDOVER_S)
    deployment.client("dynamodb").put_item(TableName=deployment.outputs["NodesTableName"], Item=to_node_item(node))
    return deployment.request("GET", RESOURCE, bearer(issuer))


def test_every_resource_of_the_template_is_made(created: Deployment) -> None:
    mine = expand(
        ROOT / "template.yaml", parameters=created.parameters, stack_name=STACK, region=REGION, account_id=ACCOUNT
    )
    assert created.stack["StackStatus"] == "CREATE_COMPLETE"
    assert set(created.resources.values()) == {"CREATE_COMPLETE"}
    layer = {name for name in created.resources if name.startswith("CoreLayer")}
    assert created.resources.keys() >= mine.resources.keys() - {"CoreLayer"}
    assert len(layer) == 1, "SAM names it anew for each layer"
    assert created.outputs.keys() == mine.outputs.keys()
    assert created.queues == {queue.name for queue in mine.queues}
    own_names = ("RuntimesTableName", "NodesTableName", "StopQueueUrlPrefix", "AgentLogGroup", "DashboardUrl")
    assert {name: created.outputs[name] for name in own_names} == {name: mine.outputs[name] for name in own_names}


def test_the_alias_that_the_api_calls_is_a_version_of_the_built_code(created: Deployment) -> None:
    for output in ("ListFunctionName", "StopFunctionName"):
        live = created.live(created.outputs[output])
        assert (live["Version"], live["Runtime"]) == ("1", "python3.13")
        assert live["Architectures"] == [created.parameters["Architecture"]]
        assert live["Description"].endswith(created.parameters["Release"])
        assert live["LoggingConfig"]["LogGroup"].startswith(f"/aws/lambda/{STACK}-")


def test_a_list_comes_through_the_deployed_api(populated: Deployment, first_issuer: Issuer) -> None:
    answer = listed(populated, first_issuer)
    assert (answer.status, [row["id"] for row in answer.json()]) == (200, [PLAYER.id]), answer
    assert answer.headers["site-nodes"] == "SITE1=1/1, SITE2=0/0"


def test_a_stop_puts_a_valid_command_into_the_sites_queue(populated: Deployment, first_issuer: Issuer) -> None:
    listed(populated, first_issuer)
    headers = {**bearer(first_issuer), "Idempotency-Key": "first"}
    answer = populated.request("DELETE", f"{RESOURCE}/{PLAYER.id}", headers)
    assert (answer.status, answer.body, answer.headers["stop-request-id"]) == (204, b"", "first"), answer
    sqs = populated.client("sqs")
    url = sqs.get_queue_url(QueueName=f"{STACK}-stop-SITE1")["QueueUrl"]
    (message,) = sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["MessageGroupId"])["Messages"]
    command = Command.from_body(message["Body"])
    assert (command.verb, command.runtime_id, command.stop_id) == (Verb.EXTERNAL_STOP, PLAYER.id, "first")
    assert message["Attributes"]["MessageGroupId"] == PLAYER.domain


def test_whoever_may_not_is_refused(populated: Deployment, first_issuer: Issuer) -> None:
    foreign = replace(first_issuer, audience="somebody-else")
    runtime = f"{RESOURCE}/{PLAYER.id}"
    assert populated.request("GET", RESOURCE).status == 401
    assert populated.request("GET", RESOURCE, bearer(foreign)).status == 401
    assert populated.request("DELETE", runtime, bearer(first_issuer, WATCHER)).status == 403
    assert populated.request("GET", RESOURCE, bearer(first_issuer, WATCHER)).status == 200
    homeless = OPERATOR.model_copy(update={"domain": ""})
    answer = populated.request("GET", RESOURCE, bearer(first_issuer, homeless))
    assert (answer.status, answer.json()["code"]) == (403, "no_domain"), answer
    assert populated.request("DELETE", f"{RESOURCE}/{FOREIGN_ID}", bearer(first_issuer)).status == 404


def test_only_the_pages_of_named_origins_may_call(created: Deployment) -> None:
    def preflight(origin: str) -> dict[str, str]:
        wanted = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
        return created.request("OPTIONS", RESOURCE, {"Origin": origin, **wanted}).headers

    for origin in ("https://desk.example", "https://wall.example"):
        allowed = preflight(origin)
        assert allowed["access-control-allow-origin"] == origin
        assert "DELETE" in allowed["access-control-allow-methods"]
    assert "access-control-allow-origin" not in preflight("https://evil.example")


def test_the_first_list_of_the_page(populated: Deployment, first_issuer: Issuer) -> None:
    """The line with `aws` is read, not run: CloudFormation is asked as it asks, and its query put to the answer."""
    listed(populated, first_issuer)
    asked = shlex.split(line("export API=$(aws ").partition("$(")[2].rstrip(")"))
    assert asked[:3] == ["aws", "cloudformation", "describe-stacks"]
    answer = populated.client("cloudformation").describe_stacks(StackName=asked[asked.index("--stack-name") + 1])
    assert asked[-2:] == ["--output", "text"], "which writes a list of one as the one"
    assert jmespath.search(asked[asked.index("--query") + 1], answer) == [populated.outputs["ApiUrl"]]
    port = populated.endpoint.rpartition(":")[2]
    token = bearer(first_issuer)["Authorization"].removeprefix("Bearer ")
    ran = populated.run(line("curl -s -H"), API=f"http://{populated.api_host}:{port}", TOKEN=token)
    assert [row["id"] for row in json.loads(ran.stdout)] == [PLAYER.id], ran.stderr


def test_the_template_before_it_named_sites_as_aws_does_is_refused(created: Deployment) -> None:
    """An emulator that takes `&{Site}` in a value would let pass what CloudFormation refuses."""
    cloudformation = created.client("cloudformation")
    before, places = re.subn(r'(Fn::Sub["\']?: ?["\']?[A-Z]\w+)\$\{Site\}', r"\1&{Site}", created.template)
    assert places >= 8
    kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in created.parameters]
    with pytest.raises(ClientError, match=r"&\{Site\}"):
        cloudformation.create_change_set(
            StackName=STACK,
            ChangeSetName="before",
            TemplateBody=before,
            Parameters=kept,
            Capabilities=CAPABILITIES,
        )


def test_an_update_makes_a_sites_queue_and_publishes_a_version(
    populated: Deployment, extended: Deployment, first_issuer: Issuer
) -> None:
    assert extended.stack["StackStatus"] == "UPDATE_COMPLETE"
    assert extended.queues == {f"{STACK}-stop-SITE{n}{end}" for n in (1, 2, 3) for end in ("", "-dlq")}
    live = extended.live(extended.outputs["ListFunctionName"])
    assert live["Version"] == "2"
    assert live["Environment"]["Variables"]["SITES"] == "SITE1,SITE2,SITE3"
    answer = listed(extended, first_issuer)
    assert (answer.status, answer.headers["site-nodes"]) == (200, "SITE1=1/1, SITE2=0/0, SITE3=0/0")


def test_a_site_taken_off_loses_all_that_was_its_own(reduced: Deployment, first_issuer: Issuer) -> None:
    assert reduced.queues == {f"{STACK}-stop-SITE{n}{end}" for n in (1, 3) for end in ("", "-dlq")}
    assert [name for name in {**reduced.resources, **reduced.outputs} if name.endswith("SITE2")] == []
    answer = listed(reduced, first_issuer)
    assert (answer.status, answer.headers["site-nodes"]) == (200, "SITE1=1/1, SITE3=0/0")


def reasons(deployment: Deployment) -> str:
    """All that CloudFormation has said of failures."""
    events = deployment.client("cloudformation").describe_stack_events(StackName=STACK)["StackEvents"]
    return " ".join(event.get("ResourceStatusReason", "") for event in events)


def test_an_update_to_an_issuer_out_of_reach_fails_and_changes_nothing(
    reduced: Deployment, failed: Ran, first_issuer: Issuer, second_issuer: Issuer
) -> None:
    assert failed.returncode != 0
    assert reduced.stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    told = f"Unable to create Authorizer 'Jwt': Caught exception when connecting to {second_issuer.url}"
    assert told in reasons(reduced)
    assert reduced.parameters["JwtIssuer"] == first_issuer.url
    assert reduced.request("GET", RESOURCE, bearer(first_issuer)).status == 200
    assert reduced.request("GET", RESOURCE, bearer(second_issuer)).status == 401


def test_the_version_of_a_failed_update_stays_and_stands_in_the_way(repeated: Deployment) -> None:
    """SAM retains versions, and Lambda makes none that is the same as the last: why releases are salted."""
    function = repeated.outputs["ListFunctionName"]
    assert int(repeated.last_version(function)["Version"]) > int(repeated.live(function)["Version"])
    assert "A version for this Lambda function exists" in reasons(repeated)
    assert repeated.stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_a_retry_of_the_failed_update_just_works(retried: Deployment, second_issuer: Issuer) -> None:
    assert retried.stack["StackStatus"] == "UPDATE_COMPLETE"
    assert retried.request("GET", RESOURCE, bearer(second_issuer)).status == 200
    for output in ("ListFunctionName", "StopFunctionName"):
        assert retried.live(retried.outputs[output])["Description"].endswith(retried.parameters["Release"])


def test_what_runs_is_deployed_again_as_it_is(retried: Deployment) -> None:
    asked = retried.asked_for()
    assert asked["Release"]
    assert asked.items() <= retried.parameters.items()


def test_a_stack_that_is_taken_down_leaves_nothing(retried: Deployment) -> None:
    ran = retried.run(f"{line('.venv-sam/bin/sam delete')} --config-file {retried.samconfig} --no-prompts")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert retried.queues == set()
    assert retried.client("dynamodb").list_tables()["TableNames"] == []
    assert retried.client("lambda").list_functions()["Functions"] == []
    assert retried.client("apigatewayv2").get_apis()["Items"] == []
    with pytest.raises(ClientError, match="does not exist"):
        _ = retried.stack
