"""The summary of a run: every id in exactly one outcome, those that failed by name.

Owns its texts and its JSON, and the exit code.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ivrctl.errors import EXIT_OK, FailedError
from ivrctl.show import JSON_INDENT, as_json
from ivrctl.stopping.course import Target
from ivrctl.stopping.outcomes import OUTCOMES, Result
from ivrctl.terminal import Terminal

NAMED: Final = 20
"""On a terminal, done stops are named one by one up to so many; others always."""


class Summary:
    """The results of all targets; an id without one was not sent."""

    def __init__(self, targets: Sequence[Target], results: Mapping[str, Result]) -> None:
        self.results = [results.get(each.id, Result(each.id, "not_sent")) for each in targets]

    @property
    def failed(self) -> list[Result]:
        """What is not done."""
        return [each for each in self.results if not each.done]

    @property
    def exit_code(self) -> int:
        """0 if all is done, else 1."""
        return FailedError.exit_code if self.failed else EXIT_OK

    def counts(self) -> dict[str, int]:
        """Count the outcomes, in the documented order."""
        counted = Counter(each.outcome for each in self.results)
        return {name: counted[name] for name in OUTCOMES if counted[name]}

    def line(self) -> str:
        """Say it in a line."""
        told = ", ".join(f"{count} {name}" for name, count in self.counts().items()) or "nothing to stop"
        return f"{len(self.results) - len(self.failed)} of {len(self.results)} done: {told}"

    def write(self, output: str, terminal: Terminal, *, journal: str | None) -> None:
        """Print the results and say the summary."""
        if output == "json":
            document: dict[str, Any] = {"total": len(self.results), "outcomes": self.counts(), "journal": journal}
            document["stops"] = [each._asdict() for each in self.results]
            terminal.print(as_json(document, indent=JSON_INDENT))
        elif output == "table":
            whole = terminal.width() is None or len(self.results) <= NAMED
            for each in self.results if whole else self.failed:
                text = f"{each.id}  {each.outcome}"
                terminal.print(terminal.coloured(text, "green" if each.done else "red"))
        for each in self.failed:
            if each.detail:
                terminal.say(f"{each.id}: {each.outcome}: {each.detail}", colour="red")
        terminal.say(self.line(), colour="red" if self.failed else "green")
        if self.failed and journal:
            terminal.say(f"to go on: ivrctl stop --resume {journal}")
