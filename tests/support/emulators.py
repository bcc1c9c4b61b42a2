"""The emulated AWS that tests talk to: the stack of template.yaml on moto or ministack, its tables on dynalite."""

import functools
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from unittest import mock

import boto3

from ivr_local import emulator, provision, template
from ivr_runtimes.stores import boto

ROOT: Final = Path(__file__).resolve().parents[2]
MINISTACK: Final = ROOT / ".venv-ministack" / "bin" / "ministack"
DYNALITE: Final = ROOT / "requirements" / "dynalite" / "node_modules" / "dynalite" / "cli.js"
NODE: Final = shutil.which("node")
REGION: Final = "eu-central-1"
ACCOUNT: Final = "000000000000"
STACK: Final = "ivr-test"
SITES: Final = "SITE1,SITE2"

CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@functools.cache
def expanded() -> template.Stack:
    """Return template.yaml as expanded for the test stack."""
    parameters = {"Sites": SITES, "JwtIssuer": "https://issuer.example", "JwtAudience": "ivr"}
    return template.expand(
        ROOT / "template.yaml", parameters=parameters, stack_name=STACK, region=REGION, account_id=ACCOUNT
    )


def clients(endpoint: str | None = None) -> tuple[Any, Any]:
    """Return a DynamoDB and an SQS client."""
    session = boto3.Session(aws_access_key_id="testing", aws_secret_access_key="testing", region_name=REGION)
    return session.client("dynamodb", endpoint_url=endpoint), session.client("sqs", endpoint_url=endpoint)


def listing_client(endpoint: str | None = None) -> Any:
    """Return a DynamoDB client as the list function has it, with its codec."""
    environment = {**CREDENTIALS, "AWS_ENDPOINT_URL_DYNAMODB": endpoint or ""}
    with mock.patch.dict(os.environ, {name: value for name, value in environment.items() if value}):
        return boto.listing_client(boto.config(connect_timeout_s=2.0, read_timeout_s=20.0, attempts=1))


def provisioned(endpoint: str | None = None) -> dict[str, str]:
    """Create the test stack's tables and queues; return the queues' URLs by name."""
    return provision.create(expanded(), *clients(endpoint))


def provisioned_tables(endpoint: str) -> None:
    """Create the test stack's tables alone: dynalite has no queues and no time to live."""
    dynamodb, _ = clients(endpoint)
    for table in expanded().tables:
        dynamodb.create_table(**table.create)
        dynamodb.get_waiter("table_exists").wait(TableName=table.name, WaiterConfig={"Delay": 0.05})


def free_port() -> int:
    """Return a loopback port that was free a moment ago, and that no connection going out is given in the meantime."""
    (port,) = emulator.free_ports(1)
    return port


@contextmanager
def ministack() -> Iterator[str]:
    """Run ministack on a free port; yield its endpoint."""
    port = free_port()
    settings = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": str(port), "SERVICES": "dynamodb,sqs,iam,sts"}
    process = subprocess.Popen(
        [MINISTACK], env={**os.environ, **settings}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(endpoint, within_s=30)
        yield endpoint
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def dynalite() -> Iterator[str]:
    """Run dynalite on a free port; yield its endpoint."""
    port = free_port()
    quickly = ("--createTableMs", "0", "--deleteTableMs", "0")
    command = [str(NODE), str(DYNALITE), "--host", "127.0.0.1", "--port", str(port), *quickly]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{port}"
    try:
        wait_until_up(endpoint, within_s=30)
        yield endpoint
    finally:
        process.terminate()
        process.wait(30)


def wait_until_up(endpoint: str, *, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while True:
        try:
            with urllib.request.urlopen(endpoint + "/_ministack/health", timeout=1):  # noqa: S310  # loopback
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
