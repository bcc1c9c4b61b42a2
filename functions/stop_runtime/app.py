"""DELETE /rest/v1/uc/ivrscript_runtimes/<id>: stop a running IVR script (docs/api.md).

The composition root of the stop function: settings and clients are made once, at cold start. It holds no rules.
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
from ivr_runtimes.http.event import Event
from ivr_runtimes.http.response import PREFERENCE_APPLIED, STOP_OUTCOME, STOP_REQUEST_ID, Response, no_content
from ivr_runtimes.settings import StopSettings, load
from ivr_runtimes.stopping.acceptance import RuntimeStop
from ivr_runtimes.stopping.request import stop_request
from ivr_runtimes.stopping.wait import EffectWait
from ivr_runtimes.stores import boto
from ivr_runtimes.stores.dynamo import NodeTable, RuntimeTable
from ivr_runtimes.stores.sqs import Outbox

logger = Logger()
metrics = Metrics()
settings = load(StopSettings, os.environ)
notices = unread_rows(logger, metrics, settings.sites)
quick = boto.config(connect_timeout_s=0.5, read_timeout_s=1.0, attempts=2)
dynamodb = boto.dynamodb_client(quick)
runtimes = RuntimeTable(dynamodb, settings.runtimes_table, notice=notices)
nodes = NodeTable(dynamodb, settings.nodes_table, notice=notices)
queue = Outbox(boto.sqs_client(quick), settings.stop_queue_url_prefix)
stopping = RuntimeStop(runtimes=runtimes, nodes=nodes, queue=queue, sites=settings.sites)
effect = EffectWait(runtimes=runtimes, nodes=nodes)
start.done()


def serve(event: Event, caller: Caller) -> Response:
    """Accept one stop request, and wait for its effect if it asks for that."""
    request = stop_request(event)
    receipt = stopping.accept(request, caller)
    verb = receipt.verb or "repeat"
    meter.outcome(metrics, verb)
    about = receipt.described()
    logger.info("stop accepted", action="stop_accepted", verb=verb, anonymous=caller.anonymous, **about)
    headers: dict[str, str] = {STOP_REQUEST_ID: receipt.stop_id}
    if request.wait_s is not None:
        waited = effect.watch(receipt, wait_s=request.wait_s)
        meter.waited(metrics, waited.outcome, effect_s=waited.effect_s)
        logger.info("stop waited for", action="stop_waited", **waited.described(), **about)
        headers |= {PREFERENCE_APPLIED: f"wait={request.wait_s}", STOP_OUTCOME: waited.outcome}
    return no_content(headers=headers)


@logger.inject_lambda_context(correlation_id_path=correlation_paths.API_GATEWAY_HTTP)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> Response:  # noqa: ARG001  # Powertools reads it
    """Lambda's entry: an HTTP API event (payload 2.0) in, a proxy response out; any other JSON is refused."""
    return answer(event, serve, domain_claim=settings.domain_claim, logger=logger, metrics=metrics)
