"""JSON as two readers cannot differ on: no member twice, no NaN, nested at most 512 levels deep, and exact numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fluo_kms.verify._malformed import Malformed

_MAX_LEVELS = 512
_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?)([0-9]+))?")
# Exponents of more digits are beyond every number that this reads, however many zeros its coefficient has.
_MAX_EXPONENT_DIGITS = 18


class NotJson(ValueError):
    """The text is not JSON."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it is spelled. A double would round it."""

    token: str


def parse_json(text: str, number: Callable[[str], Any] = Number) -> Any:
    """The value of a JSON text, with each number as `number` makes it of its spelling.

    Raises NotJson, also for too many levels, and Malformed for a member that is there twice.
    """
    twice: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                twice.append(name)
            found[name] = value
        return found

    try:
        value = json.loads(
            text, object_pairs_hook=members, parse_int=number, parse_float=number, parse_constant=_refuse_constant
        )
    except (RecursionError, ValueError):
        raise NotJson("not JSON") from None
    _check_levels(value)
    if twice:
        raise Malformed("is there twice, and parsers differ on which counts; send it once", twice[0])
    return value


def is_number(token: str) -> bool:
    """Whether a text is just what RFC 8259 calls a number."""
    return _NUMBER.fullmatch(token) is not None


def whole_number(token: str, least: int, most: int) -> int | None:
    """The exact value of a number in this range; None if it is none, is not whole, or lies outside.

    Neither a double nor a power of ten is computed: the exponent shifts the digits, which are few or refused.
    """
    match = _NUMBER.fullmatch(token)
    if match is None:
        return None
    sign, whole, fraction, exponent_sign, exponent = match.groups("")
    coefficient = (whole + fraction).lstrip("0")
    digits = coefficient.rstrip("0")
    if digits == "":
        return 0
    exponent = exponent.lstrip("0")
    if len(exponent) > _MAX_EXPONENT_DIGITS:
        return None
    zeros = int(f"{exponent_sign}{exponent or 0}") - len(fraction) + len(coefficient) - len(digits)
    if zeros < 0 or len(digits) + zeros > len(str(most)):
        return None
    value = int(f"{sign}{digits}{'0' * zeros}")
    return value if least <= value <= most else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_levels(value: Any) -> None:
    level, values = 0, [value]
    while values:
        containers = [each for each in values if isinstance(each, (dict, list))]
        if containers and level >= _MAX_LEVELS:
            raise NotJson("nested too deeply")
        values = [item for each in containers for item in (each.values() if isinstance(each, dict) else each)]
        level += 1
