"""JSON as two readers cannot differ on: no member twice, no NaN, nested at most 512 levels deep."""

from __future__ import annotations

import json
import math
from typing import Any

from fluo_kms.verify._malformed import Malformed

_MAX_LEVELS = 512
# A whole number of more digits is beyond every double, and Python refuses to read one of more than 4,300.
_MAX_DIGITS = 400


class NotJson(ValueError):
    """The text is not JSON."""


def parse_json(text: str) -> Any:
    """The value of a JSON text. Raises NotJson, and Malformed for a member that is there twice or too many levels."""
    twice: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                twice.append(name)
            found[name] = value
        return found

    try:
        value = json.loads(text, object_pairs_hook=members, parse_int=_whole, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep() from None
    except ValueError:
        raise NotJson("not JSON") from None
    if twice:
        raise Malformed("is there twice, and parsers differ on which counts; send it once", twice[0])
    _check_levels(value)
    return value


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _check_levels(value: Any) -> None:
    level, values = 0, [value]
    while values:
        if level > _MAX_LEVELS:
            raise _too_deep()
        containers = [each for each in values if isinstance(each, (dict, list))]
        values = [item for each in containers for item in (each.values() if isinstance(each, dict) else each)]
        level += 1


def _too_deep() -> Malformed:
    return Malformed("the JSON is nested too deeply")
