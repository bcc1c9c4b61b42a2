"""What CloudFormation says of a reference to something that the template does not have.

Pages: "Ref", "Fn::GetAtt" and "Fn::Sub" of the template reference: each names a parameter, a pseudo parameter or a
resource of the same template. CloudFormation judges that before it makes anything.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

VARIABLE: Final = re.compile(r"\$\{([^!}][^}]*)\}")
SECTIONS: Final = ("Resources", "Outputs")


class UndefinedError(ValueError):
    """CloudFormation would refuse the template."""


def check(template: Mapping[str, Any]) -> None:
    """Judge a template whose transforms are done; raises `UndefinedError`."""
    known = {*template.get("Parameters", {}), *template.get("Resources", {})}
    named = {name for section in SECTIONS for name in _named(template.get(section, {}))}
    if unknown := sorted(name for name in named - known if not name.startswith("AWS::")):
        raise UndefinedError(f"Template format error: Unresolved resource dependencies [{', '.join(unknown)}]")


def _named(tree: Any) -> Iterator[str]:
    match tree:
        case {"Ref": str(name)} if len(tree) == 1:
            yield name
        case {"Fn::GetAtt": str(path) | [str(path), *_]} if len(tree) == 1:
            yield path.partition(".")[0]
        case {"Fn::Sub": str(text)}:
            yield from _variables(text, {})
        case {"Fn::Sub": [str(text), dict(own)]}:
            yield from _variables(text, own)
            yield from _named(own)
        case dict():
            for value in tree.values():
                yield from _named(value)
        case list():
            for item in tree:
                yield from _named(item)


def _variables(text: str, own: Mapping[str, Any]) -> Iterator[str]:
    yield from (name.partition(".")[0] for name in VARIABLE.findall(text) if name not in own)
