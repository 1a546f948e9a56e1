"""Types of parameters: inferred from a default or an annotation, and what values they accept."""

from __future__ import annotations

import ast
import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from nbci.errors import UsageError
from nbci.params.yaml_scalars import core_scalar
from nbci.params.yaml_text import read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable

Kind = Literal["int", "float", "str", "bool", "list", "dict", "tuple", "any"]

_TRUE = frozenset({"true", "yes", "1", "on"})
_FALSE = frozenset({"false", "no", "0", "off"})
_NULL = frozenset({"null", "none", "~"})
_MAX_INT_DIGITS = 4000


class MismatchError(ValueError):
    """A value does not have the type; the message is `float, not 'abc'`."""


class ParameterType(Struct, frozen=True, kw_only=True):
    """What a parameter accepts; `items` is the type of a list's items or a dict's values, `choices`
    all it may be.
    """

    kind: Kind
    optional: bool = False
    items: ParameterType | None = None
    choices: tuple[Any, ...] = ()

    def __str__(self) -> str:
        shown = self.kind + (f"[{self.items}]" if self.items else "")
        if self.choices:
            shown = "one of " + ", ".join(repr(choice) for choice in self.choices)
        return f"{shown} or None" if self.optional and self.kind != "any" else shown

    @property
    def annotation(self) -> str:
        """The type as Python writes it, which `type_named` reads; a type that accepts anything has
        none.
        """
        plain = f"{self.kind}[{self.items.annotation}]" if self.items else self.kind
        if self.choices:
            plain = f"Literal[{', '.join(repr(choice) for choice in self.choices)}]"
        return f"Optional[{plain}]" if self.optional else plain


def type_of(value: Any) -> ParameterType:
    """The type that a default value stands for; None may become anything."""
    names: dict[type, Kind] = {
        bool: "bool",
        int: "int",
        float: "float",
        str: "str",
        list: "list",
        dict: "dict",
        tuple: "tuple",
    }
    return ParameterType(kind=names.get(type(value), "any"), optional=value is None)


def type_named(name: str) -> ParameterType | None:
    """The type that a pipeline file or a `# type:` comment names, or None when nbci does not know
    it.
    """
    try:
        return type_annotated(ast.parse(name.strip(), mode="eval").body)
    except (SyntaxError, ValueError):
        return None


def type_annotated(annotation: ast.expr) -> ParameterType | None:
    """The type that a Python annotation names, or None when nbci does not know it (it is ignored
    then).
    """
    match annotation:
        case ast.Constant(value=None):
            return ParameterType(kind="any", optional=True)
        case ast.Constant(value=str(text)):
            return type_named(text)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return _plain(name)
        case ast.BinOp(op=ast.BitOr()):
            return _union([annotation.left, annotation.right])
        case ast.Subscript(value=ast.Name(id=name) | ast.Attribute(attr=name)):
            return _generic(name, annotation.slice)
        case _:
            return None


def _plain(name: str) -> ParameterType | None:
    kinds: dict[str, Kind] = {
        "int": "int",
        "float": "float",
        "str": "str",
        "bool": "bool",
        "list": "list",
        "List": "list",
        "Sequence": "list",
        "dict": "dict",
        "Dict": "dict",
        "Mapping": "dict",
        "tuple": "tuple",
        "Tuple": "tuple",
        "Any": "any",
    }
    if name not in kinds:
        return None
    return ParameterType(kind=kinds[name], optional=name == "Any")


def _union(members: list[ast.expr]) -> ParameterType | None:
    """A union of one type and None; of int and float it is float; other unions accept anything."""
    nulls = [
        member for member in members if isinstance(member, ast.Constant) and member.value is None
    ]
    types = [type_annotated(member) for member in members if member not in nulls]
    known = [found for found in types if found is not None]
    if not known or len(known) < len(types):
        return None
    optional = bool(nulls) or any(found.optional for found in known)
    if len({found.kind for found in known}) == 1 or {found.kind for found in known} == {
        "int",
        "float",
    }:
        chosen = next((found for found in known if found.kind == "float"), known[0])
        return ParameterType(
            kind=chosen.kind, optional=optional, items=chosen.items, choices=chosen.choices
        )
    return ParameterType(kind="any", optional=optional)


def _generic(name: str, argument: ast.expr) -> ParameterType | None:
    arguments = argument.elts if isinstance(argument, ast.Tuple) else [argument]
    if name == "Optional":
        return _union([*arguments, ast.Constant(value=None)])
    if name == "Union":
        return _union(arguments)
    if name == "Literal":
        return _literal(arguments)
    if name in ("Annotated", "Final") and arguments:
        return type_annotated(arguments[0])
    outer = _plain(name)
    if outer is None or outer.kind not in ("list", "dict", "tuple"):
        return None
    items = type_annotated(arguments[-1]) if outer.kind != "tuple" and arguments else None
    return ParameterType(kind=outer.kind, items=items)


def _literal(arguments: list[ast.expr]) -> ParameterType | None:
    try:
        choices = tuple(ast.literal_eval(argument) for argument in arguments)
    except ValueError:
        return None
    kinds = {type_of(choice).kind for choice in choices if choice is not None}
    kind = kinds.pop() if len(kinds) == 1 else "any"
    return ParameterType(
        kind=kind, optional=None in choices, choices=tuple(c for c in choices if c is not None)
    )


def conform(value: Any, wanted: ParameterType) -> Any:
    """The value as the type has it (an int becomes a float, a list a tuple), or MismatchError."""
    if value is None:
        if wanted.optional:
            return None
        raise _mismatch(value, wanted)
    converted = _CONFORMING[wanted.kind](value, wanted)
    if wanted.choices and not any(_same(converted, choice) for choice in wanted.choices):
        raise _mismatch(value, wanted)
    return converted


def conform_metric(value: Any, wanted: ParameterType) -> Any:
    """The value as the type has it, or MismatchError; metrics are floats, also where a text or a
    bool is asked for.
    """
    if isinstance(value, float) and wanted.kind == "str":
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, float) and wanted.kind == "bool" and value in {0.0, 1.0}:
        return bool(value)
    return conform(value, wanted)


def parse_text(text: str, wanted: ParameterType) -> Any:
    """The value that text from a command line or the environment stands for, or MismatchError."""
    if wanted.optional and wanted.kind != "str" and text.strip().lower() in _NULL:
        return None
    if wanted.optional and wanted.kind == "str" and text.lower() in ("null", "none"):
        return None
    if wanted.kind == "str":
        return conform(text, wanted)
    if wanted.kind == "bool":
        return conform(_bool_of(text), wanted)
    if wanted.kind in ("int", "float"):
        return conform(_number_of(text, wanted), wanted)
    return conform(_structure_of(text), wanted)


def _same(left: Any, right: Any) -> bool:
    return type(left) is type(right) and bool(left == right)


def _mismatch(value: Any, wanted: ParameterType) -> MismatchError:
    return MismatchError(f"{wanted}, not {_shown(value)}")


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def _int(value: Any, wanted: ParameterType) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _mismatch(value, wanted)


def _float(value: Any, wanted: ParameterType) -> Any:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise _mismatch(value, wanted) from None
    raise _mismatch(value, wanted)


def _exactly(kind: type) -> Callable[[Any, ParameterType], Any]:
    def check(value: Any, wanted: ParameterType) -> Any:
        if type(value) is not kind:
            raise _mismatch(value, wanted)
        return value

    return check


def _list(value: Any, wanted: ParameterType) -> Any:
    if not isinstance(value, list | tuple):
        raise _mismatch(value, wanted)
    return [conform(item, wanted.items) if wanted.items else item for item in value]


def _tuple(value: Any, wanted: ParameterType) -> Any:
    if not isinstance(value, list | tuple):
        raise _mismatch(value, wanted)
    return tuple(value)


def _dict(value: Any, wanted: ParameterType) -> Any:
    if not isinstance(value, dict):
        raise _mismatch(value, wanted)
    return {
        key: conform(item, wanted.items) if wanted.items else item for key, item in value.items()
    }


_CONFORMING: dict[Kind, Callable[[Any, ParameterType], Any]] = {
    "int": _int,
    "float": _float,
    "str": _exactly(str),
    "bool": _exactly(bool),
    "list": _list,
    "dict": _dict,
    "tuple": _tuple,
    "any": lambda value, wanted: value,
}


def _bool_of(text: str) -> Any:
    word = text.strip().lower()
    return True if word in _TRUE else False if word in _FALSE else text


def _number_of(text: str, wanted: ParameterType) -> Any:
    """An int or a float; text that is neither comes back as it is, for `conform` to refuse."""
    word = text.strip()
    try:
        return int(word, 0) if word.lower().startswith(("0x", "0o", "0b")) else int(word)
    except ValueError:
        pass
    if wanted.kind == "int":
        return _whole_number(word, text)
    value = core_scalar(word)
    if isinstance(value, float):
        return value
    try:
        return float(word)
    except ValueError:
        return text


def _whole_number(word: str, text: str) -> Any:
    try:
        number = Decimal(word)
    except InvalidOperation:
        return text
    whole = (
        number.is_finite()
        and number.adjusted() < _MAX_INT_DIGITS
        and number == number.to_integral_value()
    )
    return int(number) if whole else text


def _structure_of(text: str) -> Any:
    """JSON, else YAML; text that is neither but looks like no structure is itself."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return read_yaml(text, "value").data
    except UsageError as error:
        if text.lstrip().startswith(("[", "{", '"', "'")):
            raise MismatchError(f"JSON or YAML, not {_shown(text)} ({error.message})") from error
        return text
