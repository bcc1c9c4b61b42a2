"""The embedded stack as a chaos run wants it: its fleet, its plan, its tokens, and what its queues hold.

Owns what is asked of `ivr_local` and nothing of the chaos. Called by `run`.
"""

import base64
from pathlib import Path
from typing import Final

import aiohttp

from ivr_local import template
from ivr_local.emulator import ACCOUNT_ID, HOST, REGION, Endpoint
from ivr_local.fleet import ClientConfig, Fleet
from ivr_local.stack import AUDIENCE, STACK_NAME, Plan, Seams

HERE: Final = Path(__file__).parent
PROJECT: Final = HERE.parent
FLEET: Final = HERE / "fleet.toml"
SCRIPTS: Final = HERE / "scripts"
SWAPPING: Final = ("site1_a@127.0.0.1", "site1_b@127.0.0.1")
"""Two nodes of one host address."""

PBX: Final = "site1_c@127.0.0.2"
"""The node that is an Asterisk in a mixed fleet; it shares its site with two sandboxes."""

SWITCH: Final = "site2_d@127.0.0.3"
"""The node that is a FreeSWITCH in a mixed fleet, alone at its site."""

DEPTHS: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


def plan(fleet: Fleet, *, port: int, seams: Seams) -> Plan:
    """Return the plan of a stack of this project on `port`."""
    expanded = template.expand(
        PROJECT / "template.yaml",
        parameters={
            "JwtIssuer": f"http://{HOST}:{port}",
            "JwtAudience": AUDIENCE,
            "Sites": ",".join(site.code for site in fleet.sites),
        },
        stack_name=STACK_NAME,
        region=REGION,
        account_id=ACCOUNT_ID,
    )
    return Plan(
        port=port,
        fleet=fleet,
        template=expanded,
        project=PROJECT,
        ministack=PROJECT / ".venv-ministack" / "bin" / "ministack",
        external_stop_delay_ms=fleet.sandbox.external_stop_delay_ms,
        seams=seams,
    )


async def token(client: ClientConfig, *, url: str, http: aiohttp.ClientSession) -> str:
    """Get an access token as a client would."""
    basic = base64.b64encode(f"{client.id}:{client.secret}".encode()).decode()
    headers, form = {"Authorization": f"Basic {basic}"}, {"grant_type": "client_credentials"}
    async with http.post(f"{url}/oauth2/token", data=form, headers=headers) as answer:
        answer.raise_for_status()
        granted: str = (await answer.json())["access_token"]
        return granted


def depths(emulator: Endpoint, queue_urls: dict[str, str]) -> dict[str, int]:
    """Return how many messages each queue holds that is not empty, visible or not, dead letters included. Blocks."""
    sqs = emulator.client("sqs")
    found = {}
    for name, url in queue_urls.items():
        counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(DEPTHS))["Attributes"]
        if depth := sum(int(counts[attribute]) for attribute in DEPTHS):
            found[name] = depth
    return found
