"""GET /rest/v1/uc/ivrscript_runtimes: the running IVR scripts of the caller's domain (docs/api.md).

The composition root of the list function: settings and clients are made once, at cold start. It holds no rules.
"""

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging import correlation_paths
from aws_lambda_powertools.utilities.typing import LambdaContext

from ivr_runtimes import start
from ivr_runtimes.http import meter
from ivr_runtimes.http.caller import Caller
from ivr_runtimes.http.edge import answer, unread_rows
from ivr_runtimes.http.event import Event, header, raw_query
from ivr_runtimes.http.response import PREFERENCE_APPLIED, Response, json_response
from ivr_runtimes.listing.paging import EXACT_COUNT, next_link, wants_count
from ivr_runtimes.listing.permission import permit
from ivr_runtimes.listing.reader import RuntimeList
from ivr_runtimes.query import parse_list_query
from ivr_runtimes.settings import ListSettings, load
from ivr_runtimes.stores import boto
from ivr_runtimes.stores.dynamo import NodeTable, RuntimeTable

logger = Logger()
metrics = Metrics()
settings = load(ListSettings, os.environ)
notices = unread_rows(logger, metrics, settings.sites)
client = boto.listing_client(boto.config(connect_timeout_s=0.5, read_timeout_s=2.0, attempts=3))
listing = RuntimeList(
    runtimes=RuntimeTable(client, settings.runtimes_table, notice=notices),
    nodes=NodeTable(client, settings.nodes_table, notice=notices),
    sites=settings.sites,
)
start.done()


def serve(event: Event, caller: Caller) -> Response:
    """Answer one list request."""
    asked, prefer, encodings = raw_query(event), header(event, "prefer"), header(event, "accept-encoding")
    query = parse_list_query(asked)
    permit(query, caller.scopes, scope=settings.scope_numbers)
    found = listing.select(query, caller.domain, count=wants_count(prefer))
    meter.listed(metrics, rows=len(found.rows), plan=found.plan, read_units=found.cost.read_units)
    logger.info(
        "listed",
        action="listed",
        domain=caller.domain,
        subject=caller.subject,
        anonymous=caller.anonymous,
        rows=len(found.rows),
        plan=found.plan,
        calls=found.cost.calls,
        read_units=found.cost.read_units,
        rows_read=found.cost.rows_read,
    )
    headers = {"site-nodes": found.site_nodes}
    if found.total is not None:
        headers |= {"x-total-count": str(found.total), PREFERENCE_APPLIED: EXACT_COUNT}
    if found.following is not None:
        headers["link"] = next_link(asked, found.following)
    return json_response(query.render(found.rows), headers=headers, accept_encoding=encodings or "")


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Response:  # noqa: ARG001  # Powertools reads it
    """Lambda's entry: an HTTP API event (payload 2.0) in, a proxy response out; any other JSON is refused."""
    return answer(event, serve, domain_claim=settings.domain_claim, logger=logger, metrics=metrics)
