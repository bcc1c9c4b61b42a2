"""What a macro is told of a template's parameters.

Page: "Create a CloudFormation macro definition" (`templateParameterValues`): the values, lists where they are lists.
"""

from collections.abc import Mapping
from typing import Any


def for_macro(declared: Mapping[str, Mapping[str, Any]], values: Mapping[str, str]) -> dict[str, str | list[str]]:
    """Return the values of the parameters that a template declares, as a macro such as SAM gets them."""
    return {
        name: value.split(",") if declared[name]["Type"] == "CommaDelimitedList" else value
        for name, value in values.items()
        if name in declared
    }
