"""Sessions without botocore's handlers for other services: ours call what botocore's own would call."""

import botocore.session
import pytest
from botocore import handlers

from ivr_runtimes.stores import hooks

KINDS = sorted({name.partition(".")[0] for name, *_ in handlers.BUILTIN_HANDLERS} - {"docs"})
"""Of events that botocore's own handlers listen to: documentation is written for those alone who ask for it."""


def called(session, event):
    """The handlers of botocore's own for an event: Powertools, if it is loaded, adds one made for each session."""
    emitter = session.get_component("event_emitter")
    found = emitter._emitter._handlers.prefix_search(emitter._alias_event_name(event))
    return [handler for handler in found if handler.__module__.startswith("botocore.")]


@pytest.mark.parametrize("service", sorted(hooks.SERVICES))
def test_every_event_of_our_services_calls_what_it_calls_in_botocore(service) -> None:
    ours, botocores = hooks.new_session(), botocore.session.Session()
    model = botocore.session.Session().get_service_model(service)
    assert len(KINDS) > 8
    for kind in KINDS:
        for event in (kind, f"{kind}.{service}", *(f"{kind}.{service}.{name}" for name in model.operation_names)):
            assert called(ours, event) == called(botocores, event), event


def test_most_handlers_are_left_out() -> None:
    assert called(hooks.new_session(), "before-parameter-build.s3.PutObject") == called(
        hooks.new_session(), "before-parameter-build"
    )
    left = [name for name, *_ in handlers.BUILTIN_HANDLERS if hooks.concerns(name)]
    assert len(left) < len(handlers.BUILTIN_HANDLERS) / 4


@pytest.mark.parametrize(
    ("event", "concerns"),
    [
        ("request-created", True),
        ("after-call.sqs.*", True),
        ("before-call.*.PutItem", True),
        ("choose-signer.sts.AssumeRoleWithWebIdentity", True),
        ("before-sign.s3", False),
        ("docs.*.dynamodb.complete-section", False),
    ],
)
def test_an_event_concerns_us_by_its_service(event, concerns) -> None:
    assert hooks.concerns(event) is concerns
