"""A static XML dialplan, as mod_dialplan_xml evaluates it: extensions in order, conditions on the number only."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple
from xml.etree import ElementTree

from emulators import ROOT

RECORDED: Final = ROOT / "tests" / "recordings" / "freeswitch" / "config" / "freeswitch.xml"
"""The configuration that the recordings were made with."""


class Action(NamedTuple):
    """One application of an extension."""

    application: str
    data: str


class Dialplan:
    """The contexts of a configuration file."""

    def __init__(self, file: Path = RECORDED) -> None:
        document = ElementTree.parse(file).getroot()  # noqa: S314  # our own recording's
        self._contexts = {one.get("name", ""): one for one in document.iter("context")}

    @staticmethod
    def params(file: Path) -> list[tuple[str, str]]:
        """Return the parameters in a file: name and value."""
        document = ElementTree.parse(file).getroot()  # noqa: S314  # our own sample's
        return [(one.get("name", ""), one.get("value", "")) for one in document.iter("param")]

    def xml(self, context: str) -> str:
        """Return what `xml_locate dialplan context name CONTEXT` answers."""
        found = self._contexts.get(context)
        return "can't find anything\n" if found is None else ElementTree.tostring(found, encoding="unicode").strip()

    def find(self, context: str, number: str) -> Sequence[Action] | None:
        """Return the actions of the first extension that takes the number."""
        for extension in self._contexts.get(context, ElementTree.Element("none")).iter("extension"):
            condition = extension.find("condition")
            found = None if condition is None else re.search(condition.get("expression", ""), number)
            if condition is not None and found:
                return [_action(one, number, found) for one in condition.iter("action")]
        return None


def _action(element: ElementTree.Element, number: str, found: re.Match[str]) -> Action:
    data = element.get("data", "").replace("${destination_number}", number)
    for group in range(1, found.re.groups + 1):
        data = data.replace(f"${group}", found[group] or "")
    return Action(element.get("application", ""), data)
