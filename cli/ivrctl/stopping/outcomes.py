"""How a stop can end: the closed set of outcomes that journal, output and docs/cli.md share."""

from typing import Final, NamedTuple


class Outcome(NamedTuple):
    """What an outcome means, and whether the stop counts as done. What is not done `--resume` tries again."""

    done: bool
    meaning: str


OUTCOMES: Final[dict[str, Outcome]] = {
    "ended": Outcome(True, "the script has ended: the API has said so, or no longer lists it"),
    "post_processing": Outcome(
        True, "its External Stop branch runs, which says goodbye; `--completely` would end that"
    ),
    "already_ended": Outcome(True, "it was not running any more when the stop came"),
    "accepted": Outcome(True, "the API has taken the stop; with `--no-wait` that is enough"),
    "pending": Outcome(False, "the API has taken the stop, but it was not seen to take effect within `--wait`"),
    "unreachable": Outcome(False, "the script's node has not been heard of; the call may still run"),
    "throttled": Outcome(False, "the API had too many requests to take the stop"),
    "unknown": Outcome(False, "no clear answer came: the stop may or may not be on its way"),
    "refused": Outcome(False, "the API refuses the stop; the reason stands beside it"),
    "not_sent": Outcome(False, "the run was interrupted before it was this one's turn, or in the middle of it"),
}


class Result(NamedTuple):
    """The outcome of one id, with the API's reason where there is one."""

    id: str
    outcome: str
    detail: str = ""

    @property
    def done(self) -> bool:
        """Whether the stop counts as done."""
        return OUTCOMES[self.outcome].done
