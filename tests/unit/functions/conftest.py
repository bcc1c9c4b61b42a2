"""The real functions over moto: their app.py is loaded afresh, in the environment that template.yaml declares."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from moto import mock_aws

from emulators import CREDENTIALS, STACK, clients, expanded, provisioned
from ivr_local.template import Stack
from ivr_runtimes.stores.dynamo import NodeTable, RuntimeTable


class Context:
    """What Powertools reads of a LambdaContext."""

    function_name = "under-test"
    function_version = "$LATEST"
    memory_limit_in_mb = 128
    invoked_function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:under-test"
    aws_request_id = "request-1"


class Cloud:
    """The provisioned stack: its tables to seed, its queue to look into, its functions to invoke."""

    def __init__(self) -> None:
        provisioned()
        self.dynamodb, self.sqs = clients()
        self.runtimes = RuntimeTable(self.dynamodb, f"{STACK}-runtimes")
        self.nodes = NodeTable(self.dynamodb, f"{STACK}-nodes")

    def queued(self, site: str) -> list[str]:
        url = self.sqs.get_queue_url(QueueName=f"{STACK}-stop-{site}")["QueueUrl"]
        answer = self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return [message["Body"] for message in answer.get("Messages", [])]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with mock_aws():
        yield Cloud()


@pytest.fixture
def load_function(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    def load(logical_id: str, stack: Stack | None = None) -> ModuleType:
        spec = next(f for f in (stack or expanded()).functions if f.logical_id == logical_id)
        for name, value in spec.environment.items():
            monkeypatch.setenv(name, value)
        module_spec = importlib.util.spec_from_file_location(f"app_{logical_id}", spec.code_path / "app.py")
        assert module_spec is not None
        assert module_spec.loader is not None
        module = importlib.util.module_from_spec(module_spec)
        monkeypatch.setitem(sys.modules, module_spec.name, module)
        module_spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture
def invoke(load_function: Callable[..., ModuleType]) -> Callable[..., dict[str, Any]]:
    def invoke(logical_id: str, event: dict[str, Any], stack: Stack | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = load_function(logical_id, stack).lambda_handler(event, Context())
        return answer

    return invoke
