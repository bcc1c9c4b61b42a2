"""What a runtime's row proves about a stop that was accepted.

Pure. A row is written by the agent of its node alone, after the engine has told it: so what stands there has happened.
Called by `wait`.
"""

from enum import StrEnum

from ivr_runtimes.model import Runtime, Verb
from ivr_runtimes.stopping.acceptance import StopReceipt


class StopOutcome(StrEnum):
    """What became of a stop, as the header `Stop-Outcome` says it."""

    ENDED = "ended"
    """The runtime no longer runs."""
    POST_PROCESSING = "post_processing"
    """Its External Stop branch runs, and the engine has accepted this stop."""
    ALREADY_STOPPING = "already_stopping"
    """Its External Stop branch runs, by another stop."""
    PENDING = "pending"
    """Accepted, and not yet seen to have taken effect."""


def proven(receipt: StopReceipt, row: Runtime | None) -> StopOutcome | None:
    """Return what the present row of the receipt's runtime proves; None if nothing yet.

    A stop that was sent to end a branch waits for that end: the branch of the stop before it was there already.
    """
    if row is None or row.session != receipt.runtime.session:
        return StopOutcome.ENDED
    if not row.in_external_stop:
        return None
    if row.stop_id == receipt.stop_id:
        return StopOutcome.POST_PROCESSING
    return None if receipt.verb is Verb.TERMINATE else StopOutcome.ALREADY_STOPPING
