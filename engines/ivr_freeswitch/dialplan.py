"""Whether an External Stop branch is there, as `xml_locate` tells it of a static dialplan.

Owns the reading of a context's XML: an extension is known to take a number if each of its conditions asks for the
number alone and lets it pass. Called by `bridge`, because a transfer to nowhere is answered with +OK too and kills the
call.
"""

import re
from typing import Final
from xml.etree import ElementTree

NUMBER: Final = "destination_number"


def takes(context_xml: str, extension: str) -> bool:
    """Whether an extension of the context is known to take the number; False for what is no context."""
    try:
        context = ElementTree.fromstring(context_xml)  # noqa: S314  # the engine's own configuration
    except ElementTree.ParseError:
        return False
    return any(_passes(one, extension) for one in context.iter("extension"))


def _passes(extension: ElementTree.Element, number: str) -> bool:
    conditions = extension.findall("condition")
    return bool(conditions) and all(_holds(condition, number) for condition in conditions)


def _holds(condition: ElementTree.Element, number: str) -> bool:
    """Whether a condition is known to hold: one without attributes holds for every number."""
    if not set(condition.attrib) - {"break"}:
        return True
    if set(condition.attrib) - {"break"} != {"field", "expression"} or condition.get("field") != NUMBER:
        return False
    try:
        return re.search(condition.get("expression", ""), number) is not None
    except re.error:
        return False
