"""What AWS expands of the template's loops, which is less than its page, cfn-lint and SAM say.

Both forms are put in place in a loop's own keys, `${X}` also within `Fn::Sub`, and `Ref` of the identifier anywhere
(aws-cloudformation/cloudformation-coverage-roadmap 2150, cfn-language-discussion 162).
"""

from collections.abc import Iterator
from typing import Any

import pytest

from ivr_local.intrinsics import FOR_EACH
from ivr_local.template import Stack

Place = tuple[str, ...]


def loops(tree: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every loop's identifier and fragment, inner ones included."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if str(key).startswith(FOR_EACH):
                yield value[0], value[2]
            yield from loops(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from loops(item)


def texts(tree: Any, place: Place = ()) -> Iterator[tuple[Place, str]]:
    """Every text of a value, and every key in it, with the keys that lead there."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield (*place, "(key)"), str(key)
            yield from texts(value, (*place, str(key)))
    elif isinstance(tree, list):
        for item in tree:
            yield from texts(item, place)
    elif isinstance(tree, str):
        yield place, tree


@pytest.fixture(scope="module")
def values(document: dict[str, Any]) -> list[tuple[str, Place, str]]:
    """Each loop's identifier, with the place and the text of all that its fragment's keys hold."""
    found = [
        (identifier, (key, *place), text)
        for identifier, fragment in loops(document)
        for key, value in fragment.items()
        for place, text in texts(value)
    ]
    assert len(found) > 100
    return found


def test_no_value_has_the_form_that_works_in_keys_alone(document: dict[str, Any]) -> None:
    keys = {key for _, fragment in loops(document) for key in fragment}
    assert [(place, text) for place, text in texts(document) if "&{" in text and text not in keys] == []


def test_an_identifier_in_a_text_stands_in_a_sub(values: list[tuple[str, Place, str]]) -> None:
    named = [(place, text) for identifier, place, text in values if f"${{{identifier}}}" in text]
    assert named
    assert [(place, text) for place, text in named if place[-1] != "Fn::Sub"] == []


def test_nothing_of_a_loop_is_left_in_what_it_makes(stack: Stack) -> None:
    made = [text for _, text in texts({**stack.resources, **stack.outputs}) if "{Site}" in text]
    assert made == []


def test_descriptions_of_outputs_are_plain_text(document: dict[str, Any]) -> None:
    """A function is not allowed there, and nothing is put in the loop's place."""
    outputs = document["Outputs"]
    described = [*(fragment for _, fragment in loops(outputs)), {k: v for k, v in outputs.items() if FOR_EACH not in k}]
    for name, output in (pair for some in described for pair in some.items()):
        assert isinstance(output["Description"], str), name
        assert "{" not in output["Description"], name
