"""CloudFormation as a language: reads a template's YAML and computes the intrinsic functions in it.

Owns the short tags, `Fn::ForEach`, `Ref`, `Fn::GetAtt`, `Fn::Sub`, `Fn::Join`, `Fn::Split`, `Fn::Select`, conditions
with `Fn::If`, and the parameters' constraints. Each works as AWS documents it; where AWS itself differs from its pages,
as AWS does. Knows nothing of what the resources are for. An unknown function, tag, reference or attribute is an error,
so that nothing is passed on half expanded. `template` calls it.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Final

import yaml

FOR_EACH: Final = "Fn::ForEach::"

NO_VALUE: Final = object()
"""What `!Ref AWS::NoValue` yields: the member or item that holds it is left out."""

Tree = Any
"""What YAML holds: mappings, lists and scalars."""


class TemplateError(Exception):
    """The template, or what is given for its parameters, cannot be expanded; the message names the place."""


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Tree:
    match node:
        case yaml.ScalarNode():
            value: Tree = loader.construct_scalar(node)
        case yaml.SequenceNode():
            value = loader.construct_sequence(node, deep=True)
        case yaml.MappingNode():
            value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def load(path: Path) -> dict[str, Tree]:
    """Read a template; its short tags (`!Ref x`) come out in the long form (`{"Ref": "x"}`)."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  # a SafeLoader subclass
    except yaml.YAMLError as error:
        raise TemplateError(f"{path.name} is not YAML: {error}") from error
    if not isinstance(document, dict):
        raise TemplateError(f"{path.name} holds no template")
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The meaning of names in a template.

    `values` has the parameters and pseudo parameters. `attribute(logical_id, name)` gives a resource's attribute; with
    the name `Ref`, what a reference yields. `conditions` are the template's, as written.
    """

    values: Mapping[str, str | list[str]]
    attribute: Callable[[str, str], str]
    conditions: Mapping[str, Tree] = field(default_factory=dict)

    def ref(self, name: str) -> Tree:
        """Return what `!Ref name` yields."""
        if name == "AWS::NoValue":
            return NO_VALUE
        return self.values[name] if name in self.values else self.attribute(name, "Ref")

    def holds(self, name: str) -> bool:
        """Tell whether a condition of the template holds."""
        if name not in self.conditions:
            raise TemplateError(f"the template has no condition {name}")
        return _truth(self.conditions[name], self)


def parameter_values(declared: Mapping[str, Tree], given: Mapping[str, str]) -> dict[str, str | list[str]]:
    """Return each parameter's value, given or default, checked by its constraints; a list if its type is one."""
    if unknown := sorted(set(given) - set(declared)):
        raise TemplateError(f"the template declares no parameter {', '.join(unknown)}")
    return {name: _parameter(name, spec, given.get(name)) for name, spec in declared.items()}


def _parameter(name: str, spec: Mapping[str, Tree], given: str | None) -> str | list[str]:
    text = given if given is not None else spec.get("Default")
    if text is None:
        raise TemplateError(f"parameter {name} has no default: give it a value")
    listed = spec["Type"] == "CommaDelimitedList"
    parts = [part.strip() for part in str(text).split(",")] if listed else [str(text)]
    for part in parts:
        _check(name, spec, part)
    return parts if listed else parts[0]


def _check(name: str, spec: Mapping[str, Tree], value: str) -> None:
    """Check one value by its constraints. Those of a list apply to each of its items, as in CloudFormation."""
    if (pattern := spec.get("AllowedPattern")) and not re.fullmatch(pattern, value):
        raise TemplateError(f"parameter {name}: {value!r} does not match {pattern}")
    if "AllowedValues" in spec and value not in map(str, spec["AllowedValues"]):
        raise TemplateError(f"parameter {name}: {value!r} is none of {', '.join(map(str, spec['AllowedValues']))}")
    if spec["Type"] == "Number":
        _check_number(name, spec, value)


def _check_number(name: str, spec: Mapping[str, Tree], value: str) -> None:
    if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value):
        raise TemplateError(f"parameter {name}: {value!r} is not a number")
    if not spec.get("MinValue", -inf) <= float(value) <= spec.get("MaxValue", inf):
        raise TemplateError(f"parameter {name}: {value} is not from {spec.get('MinValue')} to {spec.get('MaxValue')}")


def unroll(tree: Tree, scope: Scope) -> Tree:
    """Expand every `Fn::ForEach`, inner ones included (transform AWS::LanguageExtensions)."""
    if isinstance(tree, list):
        return [unroll(item, scope) for item in tree]
    if not isinstance(tree, dict):
        return tree
    unrolled: dict[str, Tree] = {}
    for key, value in tree.items():
        entries = _loop(key, value, scope) if str(key).startswith(FOR_EACH) else {key: unroll(value, scope)}
        if twice := unrolled.keys() & entries.keys():
            raise TemplateError(f"{', '.join(map(str, sorted(twice)))} comes out twice")
        unrolled |= entries
    return unrolled


def _loop(key: str, loop: Tree, scope: Scope) -> dict[str, Tree]:
    match loop:
        case [str(identifier), collection, dict(body)]:
            items = resolve(collection, scope)
        case _:
            raise TemplateError(f"{key} takes an identifier, a list and a mapping")
    if not isinstance(items, list):
        raise TemplateError(f"{key} runs over {items!r}, which is no list")
    entries: dict[str, Tree] = {}
    for item in items:
        bound = unroll(_fragment(body, identifier, item), scope)
        if twice := entries.keys() & bound.keys():
            raise TemplateError(f"{key}: {', '.join(sorted(twice))} comes out twice")
        entries |= bound
    return entries


def _fragment(body: Mapping[str, Tree], identifier: str, item: str) -> dict[str, Tree]:
    """Replace a loop's identifier in keys: `${X}` by the item, `&{X}` by its letters and digits (for logical ids).

    AWS's page promises both forms in values as well. In fact `&{X}` stays as it is in values
    (cloudformation-coverage-roadmap 2150, cfn-language-discussion 162).
    """
    bare = re.sub(r"\W|_", "", item)
    return {
        key.replace(f"${{{identifier}}}", item).replace(f"&{{{identifier}}}", bare): _inner(
            key, value, identifier, item
        )
        for key, value in body.items()
    }


def _inner(key: str, value: Tree, identifier: str, item: str) -> Tree:
    match value:
        case [inner, collection, dict(body)] if key.startswith(FOR_EACH):
            return [inner, _bind(collection, identifier, item), _fragment(body, identifier, item)]
        case _:
            return _bind(value, identifier, item)


def _bind(tree: Tree, identifier: str, item: str) -> Tree:
    """Replace a loop's identifier in a value: where it is a `Ref`, and within `Fn::Sub`, but not in plain text."""
    match tree:
        case {"Ref": name} if name == identifier:
            return item
        case {"Fn::Sub": str(text)}:
            return {"Fn::Sub": text.replace(f"${{{identifier}}}", item)}
        case {"Fn::Sub": [str(text), dict(names)]} if identifier not in names:
            return {"Fn::Sub": [text.replace(f"${{{identifier}}}", item), _bind(names, identifier, item)]}
        case dict():
            return {key: _inner(str(key), value, identifier, item) for key, value in tree.items()}
        case list():
            return [_bind(value, identifier, item) for value in tree]
        case _:
            return tree


def resolve(tree: Tree, scope: Scope) -> Tree:
    """Compute every intrinsic function in an unrolled tree."""
    match tree:
        case dict():
            functions = [key for key in tree if key == "Ref" or str(key).startswith("Fn::")]
            if not functions:
                members = {key: resolve(value, scope) for key, value in tree.items()}
                return {key: value for key, value in members.items() if value is not NO_VALUE}
            if len(tree) > 1 or functions[0] not in _FUNCTIONS:
                raise TemplateError(f"cannot expand {functions[0]} in {tree}")
            return _FUNCTIONS[functions[0]](tree[functions[0]], scope)
        case list():
            return [item for item in (resolve(item, scope) for item in tree) if item is not NO_VALUE]
        case _:
            return tree


def _ref(name: Tree, scope: Scope) -> Tree:
    return scope.ref(name)


def _if(argument: Tree, scope: Scope) -> Tree:
    match argument:
        case [str(condition), then, otherwise]:
            return resolve(then if scope.holds(condition) else otherwise, scope)
        case wrong:
            raise TemplateError(f"Fn::If takes a condition's name and two values, not {wrong!r}")


def _truth(condition: Tree, scope: Scope) -> bool:
    """Evaluate a condition; its functions are allowed nowhere else (page "Condition functions")."""
    match condition:
        case {"Fn::Equals": [one, other]}:
            return bool(resolve(one, scope) == resolve(other, scope))
        case {"Fn::Not": [inner]}:
            return not _truth(inner, scope)
        case {"Fn::And": [*inner]}:
            return all(_truth(one, scope) for one in inner)
        case {"Fn::Or": [*inner]}:
            return any(_truth(one, scope) for one in inner)
        case {"Condition": str(name)}:
            return scope.holds(name)
        case wrong:
            raise TemplateError(f"{wrong!r} is no condition")


def _get_att(argument: Tree, scope: Scope) -> str:
    match resolve(argument, scope):
        case [str(logical_id), str(name)]:
            return scope.attribute(logical_id, name)
        case wrong:
            raise TemplateError(f"Fn::GetAtt takes a logical id and an attribute, not {wrong!r}")


def _sub(argument: Tree, scope: Scope) -> str:
    match argument:
        case str(text):
            own: dict[str, Tree] = {}
        case [str(text), dict(names)]:
            own = resolve(names, scope)
        case _:
            raise TemplateError(f"Fn::Sub takes a string, or a string and a mapping, not {argument!r}")

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("!"):
            return f"${{{name[1:]}}}"
        found = own[name] if name in own else _ref_or_attribute(name, scope)
        if not isinstance(found, str):
            raise TemplateError(f"Fn::Sub: {name} is {found!r}, which is no string")
        return found

    return re.sub(r"\$\{([^}]*)\}", value, text)


def _ref_or_attribute(name: str, scope: Scope) -> Tree:
    logical_id, dot, attribute = name.partition(".")
    return scope.attribute(logical_id, attribute) if dot else scope.ref(name)


def _join(argument: Tree, scope: Scope) -> str:
    match resolve(argument, scope):
        case [str(delimiter), [*parts]] if all(isinstance(part, str) for part in parts):
            return delimiter.join(parts)
        case wrong:
            raise TemplateError(f"Fn::Join takes a delimiter and a list of strings, not {wrong!r}")


def _split(argument: Tree, scope: Scope) -> list[str]:
    match resolve(argument, scope):
        case [str(delimiter), str(text)] if delimiter:
            return text.split(delimiter)
        case wrong:
            raise TemplateError(f"Fn::Split takes a delimiter and a string, not {wrong!r}")


def _select(argument: Tree, scope: Scope) -> Tree:
    match resolve(argument, scope):
        case [int(index) | str(index), [*parts]] if str(index).isdigit() and int(index) < len(parts):
            return parts[int(index)]
        case wrong:
            raise TemplateError(f"Fn::Select takes an index and a list that is long enough, not {wrong!r}")


_FUNCTIONS: Final[dict[str, Callable[[Tree, Scope], Tree]]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::Join": _join,
    "Fn::Split": _split,
    "Fn::Select": _select,
    "Fn::If": _if,
}
