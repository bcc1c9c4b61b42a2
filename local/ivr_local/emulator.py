"""The emulated AWS: ministack, a process of its own on a free port of this machine.

Owns its start, the variables that direct an AWS SDK there, and the creation of tables and queues. Its data ends with
the run. `stack` calls it.
"""

import asyncio
import os
import random
import socket
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ivr_local import provision
from ivr_local.processes import Child, ending, spawn
from ivr_local.template import Stack
from ivr_runtimes.telling import told

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

REGION: Final = "eu-central-1"
ACCOUNT_ID: Final = "000000000000"
HOST: Final = "127.0.0.1"

READY_WITHIN_S: Final = 60.0
POLL_INTERVAL_S: Final = 0.1

PORTS: Final = range(20_000, 32_000)
"""Below the ports that a kernel gives to outgoing connections: one of those could take ours before it is bound."""

MOST_CLAIMS: Final = 64
"""Ports that a process keeps to itself though they are not bound: more than a stack has. The oldest are given up."""


class StartError(Exception):
    """Something of the stack did not start."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the emulator answers."""

    port: int
    host: str = HOST

    @property
    def url(self) -> str:
        """Its URL, the same for all services."""
        return f"http://{self.host}:{self.port}"

    def environment(self) -> dict[str, str]:
        """Return the variables that direct an AWS SDK here alone, whatever AWS settings the user has."""
        return {
            "AWS_ENDPOINT_URL_DYNAMODB": self.url,
            "AWS_ENDPOINT_URL_SQS": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str) -> Any:
        """Return a boto3 client for the emulator, without the user's proxy and credentials."""
        config = Config(proxies={}, connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 3})
        return boto3.client(
            service,  # type: ignore[call-overload]  # a str, not one of the literals: two services are meant
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106  # the emulator takes any
            config=config,
        )


_claims: deque[int] = deque()
"""File descriptors that hold the claims on ports."""


def free_ports(count: int, host: str = HOST) -> list[int]:
    """Return that many different ports of an address of this machine on which nothing listens now.

    They stay this process's own: another stack on the machine is given none of them while they are not bound (yet).
    """
    found = list(_free(count, host))
    if len(found) < count:
        raise StartError(f"no {count} free ports between {PORTS.start} and {PORTS.stop} on {host}")
    return found


def _free(count: int, host: str) -> Iterator[int]:
    for port in random.sample(PORTS, len(PORTS)):
        if count == 0:
            return
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as trial:
            try:
                trial.bind((host, port))
            except OSError:
                continue
        if _claimed(port):
            count -= 1
            yield port


def _claimed(port: int) -> bool:
    """Keep the port from being given out again before it is bound; False: another stack has it.

    The claim is the name of an abstract Unix socket, which is free again once its process has ended (unix(7)).
    """
    if sys.platform != "linux":
        return True
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0ivr-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim.detach())
    if len(_claims) > MOST_CLAIMS:
        os.close(_claims.popleft())
    return True


async def start(program: Path, endpoint: Endpoint, *, log: Path, iam: bool = False) -> Child:
    """Start the emulator, without waiting until it answers. With `iam` it checks signatures and permissions."""
    environment = {
        "BIND_HOST": endpoint.host,
        "GATEWAY_PORT": str(endpoint.port),
        "SERVICES": "dynamodb,sqs,iam,sts",
        "MINISTACK_REGION": REGION,
    }
    if iam:
        # These are the keys of its root user. We use them to create tables and roles.
        environment |= {"AUTH": "true", "AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
        environment["SERVICES"] += ",logs"
    return await spawn("ministack", [str(program)], environment=environment, log=log)


async def wait_until_up(child: Child, endpoint: Endpoint, http: aiohttp.ClientSession, *, log: Path) -> None:
    """Wait until the emulator answers; raises `StartError` when it ends, or does not answer within a minute."""
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            while not await _answers(endpoint, http):
                if not child.alive:
                    raise StartError(f"ministack {ending(await child.wait())}; see {log}")
                await asyncio.sleep(POLL_INTERVAL_S)
    except TimeoutError:
        raise StartError(f"ministack does not answer on {endpoint.url} after {READY_WITHIN_S:g} s; see {log}") from None


async def _answers(endpoint: Endpoint, http: aiohttp.ClientSession) -> bool:
    try:
        async with http.get(f"{endpoint.url}/_ministack/health") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def furnish(stack: Stack, endpoint: Endpoint) -> dict[str, str]:
    """Create the template's tables and queues; return each queue's URL by its name. Blocks; raises `StartError`."""
    try:
        return provision.create(stack, endpoint.client("dynamodb"), endpoint.client("sqs"))
    except (BotoCoreError, ClientError, provision.ProvisionError) as error:
        raise StartError(f"tables and queues could not be made: {told(error)}") from error


def leased_nodes(endpoint: Endpoint, table: str) -> set[tuple[str, str]]:
    """Return site and name of every node that has ever had a lease. Blocks; raises `StartError`."""
    dynamodb: DynamoDBClient = endpoint.client("dynamodb")
    try:
        return {(row["site"]["S"], row["node"]["S"]) for row in dynamodb.scan(TableName=table)["Items"]}
    except (BotoCoreError, ClientError) as error:
        raise StartError(f"the table of nodes cannot be read: {told(error)}") from error
