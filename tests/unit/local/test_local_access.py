"""The template's policies, as the emulated AWS gets them to enforce."""

from typing import Any

import pytest

from emulators import expanded
from ivr_local.access import documents, enforceable


@pytest.fixture(scope="module")
def policies() -> dict[str, Any]:
    return documents(expanded())


def statement(**members: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "arn:aws:dynamodb:r:1:table/t", **members}


def enforced(**members: Any) -> dict[str, Any]:
    (found,) = enforceable({"Version": "2012-10-17", "Statement": [statement(**members)]})["Statement"]
    return dict(found)


def test_every_function_and_every_site_has_a_policy(policies: dict[str, Any]) -> None:
    assert sorted(policies) == [
        "AgentPolicySITE1",
        "AgentPolicySITE2",
        "ListRuntimesFunction",
        "StopRuntimeFunction",
    ]
    assert len({str(document) for document in policies.values()}) == 4


def test_a_row_condition_is_left_out_and_any_other_is_kept() -> None:
    rows = {"dynamodb:LeadingKeys": ["SITE1"]}
    tls = {"Bool": {"aws:SecureTransport": "true"}}
    assert "Condition" not in enforced(Condition={"ForAllValues:StringEquals": rows, "Null": rows})
    assert enforced(Condition={"ForAllValues:StringEquals": rows, **tls})["Condition"] == tls


def test_a_batch_may_be_sent_by_whoever_may_send_its_single_action() -> None:
    assert enforced(Action="sqs:DeleteMessage")["Action"] == ["sqs:DeleteMessage", "sqs:DeleteMessageBatch"]
    assert enforced(Action=["sqs:SendMessage"])["Action"] == ["sqs:SendMessage"]


def test_a_log_group_is_named_as_the_emulator_names_it() -> None:
    group = "arn:aws:logs:r:1:log-group:/g"
    assert enforced(Resource=f"{group}:*")["Resource"] == [f"{group}:*", group]


def test_nothing_else_is_widened(policies: dict[str, Any]) -> None:
    for document in policies.values():
        for before, after in zip(document["Statement"], enforceable(document)["Statement"], strict=True):
            assert (before["Effect"], before["Sid"]) == (after["Effect"], after["Sid"])
            listed = [before["Action"]] if isinstance(before["Action"], str) else before["Action"]
            grown = set(after["Action"]) - set(listed)
            assert grown <= {"sqs:DeleteMessageBatch", "sqs:ChangeMessageVisibilityBatch"}
