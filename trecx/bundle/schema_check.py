"""Checks a JSON value against a JSON schema; the few keywords that trecx's own schemas use.

Small so that the run time needs no package for it. `problems` raises on a keyword that it does not
know, so a schema cannot ask for a check that is not made; the tests compare with `jsonschema`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

_TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "integer": lambda v: (
        not isinstance(v, bool)
        and (isinstance(v, int) or (isinstance(v, float) and v.is_integer()))
    ),
}
_IGNORED = {"$schema", "$defs", "title", "description"}


def problems(value: object, schema: dict) -> Iterator[str]:
    """Every way in which `value` breaks `schema`, as "path: what is wrong"."""
    return _check(value, schema, schema, "")


def _check(value: object, schema: dict, root: dict, path: str) -> Iterator[str]:
    for keyword, rule in schema.items():
        if keyword in _IGNORED:
            continue
        yield from _KEYWORDS[keyword](value, rule, root, path, schema)


def _fail(path: str, message: str) -> str:
    return f"{path or 'manifest'}: {message}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _ref(value, rule, root, path, _schema):
    target = root
    for part in rule.removeprefix("#/").split("/"):
        target = target[part]
    yield from _check(value, target, root, path)


def _any_of(value, rule, root, path, _schema):
    found = [list(_check(value, option, root, path)) for option in rule]
    if all(found):
        yield from found[-1]


def _type(value, rule, _root, path, _schema):
    names = [rule] if isinstance(rule, str) else rule
    if not any(_TYPES[name](value) for name in names):
        yield _fail(path, f"{' or '.join(names)} expected, {_short(value)} found")


def _const(value, rule, _root, path, _schema):
    if value != rule or isinstance(value, bool) != isinstance(rule, bool):
        yield _fail(path, f"{rule!r} expected, {_short(value)} found")


def _required(value, rule, _root, path, _schema):
    if isinstance(value, dict):
        for name in rule:
            if name not in value:
                yield _fail(path, f"{name!r} is missing")


def _properties(value, rule, root, path, _schema):
    if isinstance(value, dict):
        for name, schema in rule.items():
            if name in value:
                yield from _check(value[name], schema, root, f"{path}.{name}".lstrip("."))


def _additional_properties(value, _rule, _root, path, schema):
    if isinstance(value, dict):
        for name in value:
            if name not in schema["properties"]:
                yield _fail(path, f"{_short(name)} is not known")


def _items(value, rule, root, path, _schema):
    if isinstance(value, list):
        for i, item in enumerate(value):
            yield from _check(item, rule, root, f"{path}[{i}]")


def _min_items(value, rule, _root, path, _schema):
    if isinstance(value, list) and len(value) < rule:
        yield _fail(path, f"at least {rule} items expected, {len(value)} found")


def _min_length(value, rule, _root, path, _schema):
    if isinstance(value, str) and len(value) < rule:
        yield _fail(path, f"at least {rule} characters expected, {_short(value)} found")


def _pattern(value, rule, _root, path, _schema):
    # JSON schema's $ is the very end; Python's would let a line feed follow.
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", rule), value):
        yield _fail(path, f"{_short(value)} does not match {rule}")


def _bound(test: Callable[[float, float], bool], words: str):
    def check(value, rule, _root, path, _schema):
        if _TYPES["number"](value) and not (math.isfinite(value) and test(value, rule)):
            yield _fail(path, f"{words} {rule} expected, {_short(value)} found")

    return check


_KEYWORDS = {
    "$ref": _ref,
    "anyOf": _any_of,
    "type": _type,
    "const": _const,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional_properties,
    "items": _items,
    "minItems": _min_items,
    "minLength": _min_length,
    "pattern": _pattern,
    "minimum": _bound(lambda value, rule: value >= rule, "at least"),
    "maximum": _bound(lambda value, rule: value <= rule, "at most"),
    "exclusiveMinimum": _bound(lambda value, rule: value > rule, "more than"),
}
