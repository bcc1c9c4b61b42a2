"""Tables, queues and logs: what holds for every one of them, however many sites there are."""

from itertools import pairwise
from typing import Any

import botocore.session
import pytest

from ivr_local.intrinsics import TemplateError
from ivr_local.template import Stack
from ivr_runtimes.command import DEADLINE_S
from ivr_runtimes.identifiers import SITE_PATTERN
from ivr_runtimes.settings import FunctionSettings, StopSettings, load

CLOUDFORMATION_RESOURCES = 500
"""Resources a stack may have (AWS: "Understand CloudFormation quotas")."""

MADE_BY_SAM = 10
"""More than SAM adds of its own: a stage, a permission per route, a version and an alias per function."""

SITES_PER_STACK = 75
"""As docs/scale.md says."""


def of_type(stack: Stack, kind: str) -> dict[str, dict[str, Any]]:
    return {name: body["Properties"] for name, body in stack.resources.items() if body["Type"] == kind}


def is_tls_only(document: dict[str, Any]) -> bool:
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement["Action"] in {"sqs:*", "dynamodb:*"}
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in document["Statement"]
    )


def test_every_site_has_a_queue_of_its_name_with_a_dead_letter_queue(stack: Stack) -> None:
    dead_letters = {queue.name: queue.dead_letter for queue in stack.queues}
    assert dead_letters == {
        "st-stop-SITE1": "st-stop-SITE1-dlq",
        "st-stop-SITE1-dlq": None,
        "st-stop-SITE2": "st-stop-SITE2-dlq",
        "st-stop-SITE2-dlq": None,
    }


def test_a_command_outlives_its_deadline_in_the_queue_and_far_longer_as_a_dead_letter(stack: Stack) -> None:
    retention_s = {queue.name: int(queue.attributes["MessageRetentionPeriod"]) for queue in stack.queues}
    for queue in stack.queues:
        if queue.dead_letter is not None:
            assert DEADLINE_S < retention_s[queue.name] < retention_s[queue.dead_letter]


def test_handing_a_message_back_never_makes_it_a_dead_letter_within_its_deadline(stack: Stack) -> None:
    """An agent hands a command back after at most 15 s, and quickly only at first."""
    for queue in stack.queues:
        if queue.max_receive_count is not None:
            assert queue.max_receive_count * int(queue.attributes["VisibilityTimeout"]) > 2 * DEADLINE_S


def test_the_stop_function_finds_every_sites_queue(stack: Stack) -> None:
    (stop,) = [function for function in stack.functions if "STOP_QUEUE_URL_PREFIX" in function.environment]
    settings = load(StopSettings, stop.environment)
    found = {f"{settings.stop_queue_url_prefix}{site}".rpartition("/")[2] for site in settings.sites}
    assert found == {queue.name for queue in stack.queues if queue.dead_letter is not None}
    assert settings.stop_queue_url_prefix == stack.outputs["StopQueueUrlPrefix"]


def test_the_functions_settings_are_all_set(stack: Stack) -> None:
    tables = {table.logical_id: table.name for table in stack.tables}
    for function in stack.functions:
        settings = load(FunctionSettings, function.environment)
        assert settings.runtimes_table == tables["RuntimesTable"] == stack.outputs["RuntimesTableName"]
        assert settings.nodes_table == tables["NodesTable"] == stack.outputs["NodesTableName"]
        assert settings.sites == ("SITE1", "SITE2")
        assert settings.domain_claim == "domain"
        assert function.environment["POWERTOOLS_METRICS_NAMESPACE"] == "IvrRuntimes/st"
        assert function.environment["POWERTOOLS_LOG_LEVEL"] == "INFO"
    names = [function.environment["POWERTOOLS_SERVICE_NAME"] for function in stack.functions]
    assert names == ["list_runtimes", "stop_runtime"]


def test_every_function_is_where_the_template_says(stack: Stack) -> None:
    for function in stack.functions:
        module, entry = function.handler.split(".")
        source = (function.code_path / f"{module}.py").read_text(encoding="utf-8")
        assert f"def {entry}(" in source


def test_every_table_is_on_demand_encrypted_restorable_and_expires_its_rows(stack: Stack) -> None:
    for table in of_type(stack, "AWS::DynamoDB::Table").values():
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["SSESpecification"] == {"SSEEnabled": True}
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
        assert table["KeySchema"][0] == {"AttributeName": "site", "KeyType": "HASH"}


def test_every_table_and_queue_refuses_what_is_not_tls(stack: Stack) -> None:
    tables = of_type(stack, "AWS::DynamoDB::Table")
    assert all(is_tls_only(table["ResourcePolicy"]["PolicyDocument"]) for table in tables.values())
    policies = of_type(stack, "AWS::SQS::QueuePolicy").values()
    closed = {
        url.rpartition("/")[2]
        for policy in policies
        if is_tls_only(policy["PolicyDocument"])
        for url in policy["Queues"]
    }
    assert closed == {queue.name for queue in stack.queues}


def test_a_tables_policy_names_the_table_and_its_indexes(stack: Stack) -> None:
    for table in of_type(stack, "AWS::DynamoDB::Table").values():
        (statement,) = table["ResourcePolicy"]["PolicyDocument"]["Statement"]
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        arn = f"arn:aws:dynamodb:eu-central-1:000000000000:table/{table['TableName']}"
        assert resources == ([arn, f"{arn}/index/*"] if "GlobalSecondaryIndexes" in table else [arn])


def test_every_queue_is_encrypted(stack: Stack) -> None:
    assert all(queue.attributes["SqsManagedSseEnabled"] == "true" for queue in stack.queues)


def test_every_function_logs_to_a_group_of_its_own_and_all_groups_forget(stack: Stack, expanded_with: Any) -> None:
    groups = {g["LogGroupName"] for g in of_type(stack, "AWS::Logs::LogGroup").values()}
    used = [f["LoggingConfig"]["LogGroup"] for f in of_type(stack, "AWS::Serverless::Function").values()]
    assert len(set(used)) == len(used)
    assert groups - set(used) == {"/aws/vendedlogs/st-api", "/ivr-runtimes/st/agents"}
    kept = of_type(expanded_with(LogRetention="7"), "AWS::Logs::LogGroup").values()
    assert {group["RetentionInDays"] for group in kept} == {"7"}


@pytest.mark.parametrize(("environment", "kept"), [("dev", "Delete"), ("staging", "Retain"), ("prod", "Retain")])
def test_who_stopped_what_outlives_the_stack_outside_dev(expanded_with: Any, environment: str, kept: str) -> None:
    """Rows are a copy of what engines know; that somebody stopped a call is told by these logs alone."""
    groups = {
        name: group
        for name, group in expanded_with(Environment=environment).resources.items()
        if group["Type"] == "AWS::Logs::LogGroup"
    }
    policies = {name: (group["DeletionPolicy"], group["UpdateReplacePolicy"]) for name, group in groups.items()}
    trail = dict.fromkeys(["StopRuntimeLogs", "ApiLogs", "AgentLogs"], (kept, kept))
    assert policies == trail | {"ListRuntimesLogs": ("Delete", "Delete")}


def test_functions_and_layer_are_built_for_one_processor(expanded_with: Any) -> None:
    for architecture in ("arm64", "x86_64"):
        stack = expanded_with(Architecture=architecture)
        layer = stack.resources["CoreLayer"]
        assert layer["Metadata"]["BuildArchitecture"] == architecture
        assert layer["Properties"]["CompatibleArchitectures"] == [architecture]
        for function in of_type(stack, "AWS::Serverless::Function").values():
            assert function["Architectures"] == [architecture]
            assert (function["Runtime"], layer["Metadata"]["BuildMethod"]) == ("python3.13", "python3.13")


def test_a_site_code_is_what_the_core_takes_for_one(document: dict[str, Any]) -> None:
    assert document["Parameters"]["Sites"]["AllowedPattern"] == SITE_PATTERN


@pytest.mark.parametrize("sites", ["", "SITE1,", "1SITE", "SITE-1", "SITE_1", "SITE1,SITE1", "ПЛОЩАДКА", "S" * 33])
def test_a_wrong_site_code_is_refused(expanded_with: Any, sites: str) -> None:
    with pytest.raises(TemplateError):
        expanded_with(Sites=sites)


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_tables_are_protected_from_deletion_outside_dev(expanded_with: Any, environment: str) -> None:
    tables = of_type(expanded_with(Environment=environment), "AWS::DynamoDB::Table").values()
    assert [table["DeletionProtectionEnabled"] for table in tables] == [environment != "dev"] * 2


def test_whoever_does_not_say_which_environment_it_is_gets_the_careful_one(stack: Stack) -> None:
    assert all(table["DeletionProtectionEnabled"] for table in of_type(stack, "AWS::DynamoDB::Table").values())


def test_every_function_is_traced(stack: Stack) -> None:
    assert {f["Tracing"] for f in of_type(stack, "AWS::Serverless::Function").values()} == {"Active"}


def test_the_declared_endpoints_are_those_the_sdk_would_take(stack: Stack) -> None:
    """They stand there for `sam local invoke` to override; in the cloud they must change nothing."""
    loader = botocore.session.get_session()
    for function in stack.functions:
        for service in ("dynamodb", "sqs"):
            own = loader.create_client(
                service, region_name="eu-central-1", aws_access_key_id="a", aws_secret_access_key="b"
            )
            assert function.environment[f"AWS_ENDPOINT_URL_{service.upper()}"] == own.meta.endpoint_url


def test_seventy_five_sites_fit_one_stack(expanded_with: Any) -> None:
    """AWS allows 500 resources and 200 outputs; the functions' settings would take a hundred sites."""
    stack = expanded_with(Console="on", Sites=",".join(f"SITE{n}" for n in range(SITES_PER_STACK)))
    assert len(stack.resources) + MADE_BY_SAM <= CLOUDFORMATION_RESOURCES
    assert len(stack.outputs) <= 200
    load(FunctionSettings, stack.functions[0].environment)


def test_one_site_more_or_less_changes_nothing_for_the_others(expanded_with: Any) -> None:
    one, two = (expanded_with(Sites=sites).resources for sites in ("SITE2", "SITE1,SITE2"))
    of_site2 = {name for name in two if name.endswith("SITE2")}
    assert {name: one[name] for name in of_site2} == {name: two[name] for name in of_site2}
    assert {name for name in two if name not in one} == {n.replace("SITE2", "SITE1") for n in of_site2}


def test_the_functions_time_limits_leave_room_before_the_gateways(stack: Stack) -> None:
    """An HTTP API gives an integration 30 s; a stop is answered within 10 s, its function has a little more."""
    times_s = {function.environment["POWERTOOLS_SERVICE_NAME"]: function.timeout_s for function in stack.functions}
    assert all(
        earlier < later for earlier, later in pairwise([10, times_s["stop_runtime"], times_s["list_runtimes"], 30])
    )
