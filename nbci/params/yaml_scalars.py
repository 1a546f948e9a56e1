"""What plain scalars mean in the YAML 1.2 core schema.

`1e-3` is a number, `yes` and `2024-01-01` are text; for PyYAML, which follows YAML 1.1, it is the
other way round. The schema: https://yaml.org/spec/1.2.2/#103-core-schema
"""

from __future__ import annotations

import math
import re
from typing import Any

_INT = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_INFINITY = re.compile(r"([-+]?)\.(inf|Inf|INF)\Z")
_NAN = re.compile(r"\.(nan|NaN|NAN)\Z")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_BEGIN_NUMBERS = frozenset("+-.0123456789")


def core_scalar(text: str) -> Any:
    """What a plain (unquoted) scalar means in the YAML 1.2 core schema."""
    if text in _WORDS:
        return _WORDS[text]
    # Most scalars are words: one look instead of six regular expressions.
    if text[0] not in _BEGIN_NUMBERS:
        return text
    if _INT.match(text):
        return _integer(text)
    if _OCTAL.match(text):
        return int(text, 0)
    if _HEX.match(text):
        return int(text, 0)
    if _FLOAT.match(text):
        return float(text)
    if match := _INFINITY.match(text):
        return float(f"{match[1]}inf")
    if _NAN.match(text):
        return math.nan
    return text


def _integer(text: str) -> int | str:
    try:
        return int(text)
    except ValueError:  # more digits than Python converts (sys.set_int_max_str_digits)
        return text
