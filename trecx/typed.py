"""What a user gives by name, held to the names and type hints of what takes it."""

import collections.abc
import difflib
import inspect
import math
import numbers
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from trecx.errors import InputError


def nearest(name: str, known) -> str:
    """The end of an error message: the closest of the `known` names, and all if they are few."""
    known = list(known)
    if not known:
        return "there are none"
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return hint + (f"known: {', '.join(known)}" if len(known) <= 12 else f"{len(known)} exist")


def option_hints(function: Callable) -> dict[str, Any]:
    """Keyword-only parameter -> its type hint. The others are not for users to set."""
    maker = function.__init__ if isinstance(function, type) else function
    hints = typing.get_type_hints(maker)
    return {
        name: hints.get(name, Any)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def require_options(what: str, function: Callable, options: Mapping[str, Any]) -> None:
    """InputError unless `function` can be called with `options` for its keyword-only parameters.

    what: takes them, for the message. One that takes any keyword is held to those it names.
    """
    require_types(f"the options of {what}", {"options": Mapping[str, Any]}, {"options": options})
    hints = option_hints(function)
    parameters = inspect.signature(function).parameters
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for name in options:
        if name not in hints and not takes_any:
            raise InputError(f"{what} has no option {name!r}; {nearest(name, hints)}")
    for name in hints.keys() - options.keys():
        if parameters[name].default is inspect.Parameter.empty:
            raise InputError(f"{what} needs the option {name!r}")
    require_types(what, hints, {n: value for n, value in options.items() if n in hints})


def require_types(what: str, hints: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """InputError for the first of `values` that is not as its hint says; numbers must be finite."""
    for name, value in values.items():
        if not fits(value, hints[name]):
            raise InputError(f"{what}: {name} must be {_words(hints[name])}, got {value!r}")


def fits(value: Any, hint: Any) -> bool:
    """Whether `value` is what the type hint says; a list may stand for a tuple, as JSON has none,
    and a whole number for a float. NaN and infinity are no numbers here."""
    if hint is Any:
        return True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, choice) for choice in arguments)
    if hint in _NUMBERS:
        number = isinstance(value, _NUMBERS[hint]) and not isinstance(value, bool)
        return number and math.isfinite(value)
    if origin is tuple and arguments[-1] is not Ellipsis:
        sequence = isinstance(value, (list, tuple)) and len(value) == len(arguments)
        return sequence and all(map(fits, value, arguments))
    if origin in (tuple, collections.abc.Sequence):
        return isinstance(value, (list, tuple)) and all(fits(item, arguments[0]) for item in value)
    return isinstance(value, origin or hint)


_NUMBERS = {int: numbers.Integral, float: numbers.Real}
_NAMES = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    types.NoneType: "null",
}


def _words(hint: Any) -> str:
    """A type hint for people."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_words, arguments)))
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"[{', '.join(map(_words, arguments))}]"
    if origin in (tuple, collections.abc.Sequence):
        return f"a list of {_words(arguments[0])}"
    if origin is collections.abc.Mapping:
        return "an object with named fields"
    return _NAMES.get(hint, f"a {hint.__name__}")
