"""Types of parameters: inferred from a default or an annotation, and what values they accept."""

from __future__ import annotations

import ast
import json
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct
from msgspec.structs import replace

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
    """What a parameter accepts.

    `items` is the type of a list's items or a dict's values, `choices` are all that it may be.
    """

    kind: Kind
    optional: bool = False
    items: ParameterType | None = None
    choices: tuple[Any, ...] = ()

    def __str__(self) -> str:
        shown: str = self.kind
        if self.choices:
            shown = f"one of {', '.join(map(repr, self.choices))}"
        elif self.items:
            shown = f"{self.kind}[{self.items}]"
        if self.optional and self.kind != "any":
            return f"{shown} or None"
        return shown

    @property
    def annotation(self) -> str:
        """The type as Python writes it, which `type_named` reads."""
        plain: str = self.kind
        if self.choices:
            plain = f"Literal[{', '.join(map(repr, self.choices))}]"
        elif self.items:
            plain = f"{self.kind}[{self.items.annotation}]"
        if self.optional:
            return f"Optional[{plain}]"
        return plain


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
    # by the exact type: a bool is an int, too, in Python
    return ParameterType(kind=names.get(type(value), "any"), optional=value is None)


def type_named(name: str) -> ParameterType | None:
    """The type that a pipeline file or a `# type:` comment names; None for an unknown one."""
    try:
        return type_annotated(ast.parse(name.strip(), mode="eval").body)
    except (SyntaxError, ValueError):
        return None


def type_annotated(annotation: ast.expr) -> ParameterType | None:
    """The type that a Python annotation names; None for an unknown one, which is ignored."""
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
    optional = False
    known: list[ParameterType] = []
    for member in members:
        if isinstance(member, ast.Constant) and member.value is None:
            optional = True
            continue
        found = type_annotated(member)
        if found is None:
            return None
        known.append(found)
    if not known:
        return None

    optional = optional or any(found.optional for found in known)
    kinds = {found.kind for found in known}
    if len(kinds) > 1 and kinds != {"int", "float"}:
        return ParameterType(kind="any", optional=optional)
    chosen = known[0]
    # A float parameter takes each int as well, and turns it into a float.
    for found in reversed(known):
        if found.kind == "float":
            chosen = found
    return replace(chosen, optional=optional)


def _generic(name: str, argument: ast.expr) -> ParameterType | None:
    arguments = [argument]
    if isinstance(argument, ast.Tuple):
        arguments = argument.elts
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
    items = None
    # The last argument of a dict is its values' type; those of a tuple differ item by item.
    if outer.kind != "tuple" and arguments:
        items = type_annotated(arguments[-1])
    return ParameterType(kind=outer.kind, items=items)


def _literal(arguments: list[ast.expr]) -> ParameterType | None:
    try:
        values = list(map(ast.literal_eval, arguments))
    except ValueError:
        return None
    choices = tuple(value for value in values if value is not None)
    kinds = {type_of(choice).kind for choice in choices}
    kind: Kind = "any"
    if len(kinds) == 1:
        (kind,) = kinds
    return ParameterType(kind=kind, optional=None in values, choices=choices)


def conform(value: Any, wanted: ParameterType) -> Any:
    """The value as the type has it (an int becomes a float, a list a tuple), or MismatchError."""
    if value is None:
        if wanted.optional:
            return None
        raise _mismatch(value, wanted)
    converted = _CONVERTERS[wanted.kind](value, wanted)
    if wanted.choices and not any(_same(converted, choice) for choice in wanted.choices):
        raise _mismatch(value, wanted)
    return converted


def conform_metric(value: Any, wanted: ParameterType) -> Any:
    """The value as the type has it, or MismatchError.

    Metrics are floats, also where a text or a bool is asked for.
    """
    if isinstance(value, float) and wanted.kind == "str" and value.is_integer():
        return str(int(value))
    if isinstance(value, float) and wanted.kind == "str":
        return repr(value)
    if isinstance(value, float) and wanted.kind == "bool" and value in {0.0, 1.0}:
        return bool(value)
    return conform(value, wanted)


def parse_text(text: str, wanted: ParameterType) -> Any:
    """The value that text from a command line or the environment stands for, or MismatchError."""
    if wanted.optional and wanted.kind != "str" and text.strip().lower() in _NULL:
        return None
    # `~` is a text, too: of words for None, only those that are never meant as text.
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
    # In Python, 1 == 1.0 == True.
    return type(left) is type(right) and bool(left == right)


def _mismatch(value: Any, wanted: ParameterType) -> MismatchError:
    return MismatchError(f"{wanted}, not {_short_repr(value)}")


def _short_repr(value: Any) -> str:
    shown = repr(value)
    if len(shown) <= 60:
        return shown
    return shown[:57] + "..."


def _to_int(value: Any, wanted: ParameterType) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _mismatch(value, wanted)


def _to_float(value: Any, wanted: ParameterType) -> Any:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:  # an int may have any number of digits
            raise _mismatch(value, wanted) from None
    raise _mismatch(value, wanted)


def _exactly(kind: type) -> Callable[[Any, ParameterType], Any]:
    def check(value: Any, wanted: ParameterType) -> Any:
        if type(value) is not kind:
            raise _mismatch(value, wanted)
        return value

    return check


def _to_list(value: Any, wanted: ParameterType) -> Any:
    if not isinstance(value, list | tuple):
        raise _mismatch(value, wanted)
    if wanted.items is None:
        return list(value)
    return [conform(item, wanted.items) for item in value]


def _to_tuple(value: Any, wanted: ParameterType) -> Any:
    if not isinstance(value, list | tuple):
        raise _mismatch(value, wanted)
    return tuple(value)


def _to_dict(value: Any, wanted: ParameterType) -> Any:
    if not isinstance(value, dict):
        raise _mismatch(value, wanted)
    if wanted.items is None:
        return dict(value)
    return {key: conform(item, wanted.items) for key, item in value.items()}


_CONVERTERS: dict[Kind, Callable[[Any, ParameterType], Any]] = {
    "int": _to_int,
    "float": _to_float,
    "str": _exactly(str),
    "bool": _exactly(bool),
    "list": _to_list,
    "dict": _to_dict,
    "tuple": _to_tuple,
    "any": lambda value, wanted: value,
}


def _bool_of(text: str) -> Any:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    return text


def _number_of(text: str, wanted: ParameterType) -> Any:
    """An int or a float; text that is neither comes back as it is, for `conform` to refuse."""
    word = text.strip()
    try:
        # With base 0, Python refuses `007`, which people write.
        if word.lower().startswith(("0x", "0o", "0b")):
            return int(word, 0)
        return int(word)
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
    # `1e999999999` would be an int that fills the memory.
    if not number.is_finite() or number.adjusted() >= _MAX_INT_DIGITS:
        return text
    if number != number.to_integral_value():
        return text
    return int(number)


def _structure_of(text: str) -> Any:
    """JSON, else YAML; text that is neither but looks like no structure is itself."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return read_yaml(text, "value").data
    except UsageError as error:
        # Such a text was meant as structure, and has a mistake that is worth telling.
        if text.lstrip().startswith(("[", "{", '"', "'")):
            raise MismatchError(
                f"JSON or YAML, not {_short_repr(text)} ({error.message})"
            ) from error
        return text
