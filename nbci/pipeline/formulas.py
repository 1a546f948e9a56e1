"""Formulas: a small part of Python's expressions, parsed by Python and never run by it.

One grammar for conditions of `when:`, for gates over several metrics and for searches: names,
numbers, texts and lists with `== != < <= > >= in`, `and`, `or`, `not`, `+ - * / %`. A name may be
dotted (`matrix.model`, `eval.f1`), a metric's full name (`digits/train:accuracy`), that of several
steps (`train/*:accuracy`), or anything in `${...}`. What a name means is for the caller to say.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from nbci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Formulas come from files of strangers (forks): Python's parser and the walks below recurse.
MAX_LENGTH = 1000
MAX_DEPTH = 100
ALLOWED = "compare names, numbers, text and lists with == != < <= > >= in, and, or, not, + - * / %"
UNDECIDABLE = (TypeError, ArithmeticError, ValueError, RecursionError)
"""What `evaluate` raises where the values do not fit.

For example, text is compared with a number, or a number is divided by zero.
"""

# A `*` for steps begins or ends a part between slashes, where no `*` for a product can stand.
_STEPS = r"(?:[a-z0-9_][a-z0-9_-]*\*?|\*)(?:/\*?[a-z0-9_-]*\*?)*"
# Texts in quotes are found first, so that nothing in them is taken for a name.
_QUOTED_OR_NAME = re.compile(
    r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*" | (?<!\$)\$\{\s*([^{}'"]*[^{}'"\s])\s*\}"""
    rf"""| (?<![\w.])({_STEPS}:[A-Za-z_]\w*(?:\.\w+)*)""",
    re.VERBOSE,
)
_PLAIN_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\Z")
_FULL_NAME = re.compile(rf"{_STEPS}:[A-Za-z_]\w*(\.\w+)*\Z", re.ASCII)
_KEYWORDS = frozenset(("and", "or", "not", "in", "is", "if", "else", "True", "False", "None"))

ComparisonWord = Literal["==", "!=", "<", "<=", ">", ">=", "is", "is not", "in", "not in"]
ArithmeticWord = Literal["+", "-", "*", "/", "%"]


class Constant(Struct, frozen=True, kw_only=True):
    """A number, a text, True, False or None."""

    value: bool | int | float | str | None


class Name(Struct, frozen=True, kw_only=True):
    """Something that the caller gives a value: a parameter, a metric."""

    name: str


class Listing(Struct, frozen=True, kw_only=True):
    """A list."""

    items: tuple[Formula, ...]


class Unary(Struct, frozen=True, kw_only=True):
    """`not`, or a sign."""

    op: Literal["not", "-", "+"]
    operand: Formula


class Arithmetic(Struct, frozen=True, kw_only=True):
    """A calculation with two numbers; `+` also joins two texts."""

    op: ArithmeticWord
    left: Formula
    right: Formula


class Combination(Struct, frozen=True, kw_only=True):
    """Conditions joined by `and` or `or`; two or more."""

    op: Literal["and", "or"]
    operands: tuple[Formula, ...]


class Comparison(Struct, frozen=True, kw_only=True):
    """`first < second <= third`: each with its neighbour, as in Python."""

    first: Formula
    rest: tuple[tuple[ComparisonWord, Formula], ...]


Formula = Constant | Name | Listing | Unary | Arithmetic | Combination | Comparison

_COMPARISONS: dict[ComparisonWord, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "is": operator.is_,
    "is not": operator.is_not,
    "in": lambda item, container: item in container,
    "not in": lambda item, container: item not in container,
}
_ARITHMETIC: dict[ArithmeticWord, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}
_COMPARISON_WORDS: dict[type[ast.cmpop], ComparisonWord] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.In: "in",
    ast.NotIn: "not in",
}
_ARITHMETIC_WORDS: dict[type[ast.operator], ArithmeticWord] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Mod: "%",
}


def parse(text: str, kind: str = "condition") -> Formula:
    """The formula that a text is; UsageError, which calls it a `kind`, when it is none."""
    if len(text) > MAX_LENGTH:
        raise UsageError(f"this {kind} is longer than {MAX_LENGTH} characters")
    reader = _Reader(text, kind)
    try:
        # Python warns of invalid escapes in texts, which regular expressions are full of.
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(reader.plain, mode="eval").body
        return reader.formula(tree)
    # Which of these nesting too deep raises differs between versions of Python.
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"{text!r} is no {kind}", hint=ALLOWED) from error


class _Reader:
    """Turns Python's syntax tree into a formula.

    Names that Python does not have, such as `step:metric`, have stand-ins while it parses.
    """

    def __init__(self, text: str, kind: str) -> None:
        self.text = text
        self.kind = kind
        self.depth = 0
        # Stand-ins must not be names that the text has.
        self.prefix = "_name"
        while self.prefix in text:
            self.prefix += "_"
        self.names: dict[str, str] = {}
        self.plain = _QUOTED_OR_NAME.sub(self._stand_in, text).strip()

    def _stand_in(self, match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name is None:
            return match[0]
        stand_in = f"{self.prefix}{len(self.names)}_"
        self.names[stand_in] = name
        return stand_in

    def formula(self, node: ast.expr) -> Formula:
        """The node as a formula; ValueError where it is nested too deep to be walked through."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ValueError("nested too deep")
        found = self._formula(node)
        self.depth -= 1
        return found

    def _formula(self, node: ast.expr) -> Formula:
        match node:
            case ast.Constant(value=value) if value is None or isinstance(
                value, bool | int | float | str
            ):
                return Constant(value=value)
            case ast.Name() | ast.Attribute():
                return Name(name=self._name(node))
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return Listing(items=tuple(map(self.formula, items)))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Unary(op="not", operand=self.formula(operand))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Unary(op="-", operand=self.formula(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return Unary(op="+", operand=self.formula(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC_WORDS:
                return Arithmetic(
                    op=_ARITHMETIC_WORDS[type(op)],
                    left=self.formula(left),
                    right=self.formula(right),
                )
            case ast.BoolOp(op=ast.And(), values=operands):
                return Combination(op="and", operands=tuple(map(self.formula, operands)))
            case ast.BoolOp(op=ast.Or(), values=operands):
                return Combination(op="or", operands=tuple(map(self.formula, operands)))
            case ast.Compare(left=left, ops=ops, comparators=others):
                words = [_COMPARISON_WORDS[type(op)] for op in ops]
                rest = tuple(zip(words, map(self.formula, others), strict=True))
                return Comparison(first=self.formula(left), rest=rest)
        raise self._refusal(node)

    def _name(self, node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return self.names.get(name, name)
            case ast.Attribute(value=ast.Name() | ast.Attribute() as inner, attr=attr):
                return f"{self._name(inner)}.{attr}"
        raise self._refusal(node)

    def _refusal(self, node: ast.expr) -> UsageError:
        def name(match: re.Match[str]) -> str:
            return f"${{{self.names[match[0]]}}}"

        shown = re.sub(rf"{self.prefix}\d+_", name, ast.unparse(node))
        return UsageError(
            f"{shown!r} is not allowed in the {self.kind} {self.text!r}", hint=ALLOWED
        )


def evaluate(
    formula: Formula, value_of: Callable[[str], Any], text_of: Callable[[str], Any] = str
) -> Any:
    """The formula's value; `value_of` gives that of a name, `text_of` that of a text.

    One of UNDECIDABLE where the values do not fit together. As in Python, `and` and `or` look no
    further than needed.
    """

    def value(inner: Formula) -> Any:
        return evaluate(inner, value_of, text_of)

    match formula:
        case Constant(value=str(text)):
            return text_of(text)
        case Constant(value=constant):
            return constant
        case Name(name=name):
            return value_of(name)
        case Listing(items=items):
            return list(map(value, items))
        case Combination(op="and", operands=operands):
            return all(map(value, operands))
        case Combination(operands=operands):
            return any(map(value, operands))
        case Unary(op="not", operand=operand):
            return not value(operand)
        case Unary(op="-", operand=operand):
            return -value(operand)
        case Unary(operand=operand):
            return +value(operand)
        case Comparison():
            return _compare(formula, value)
        case Arithmetic(op=op, left=left, right=right):
            return _calculate(op, value(left), value(right))


def _compare(comparison: Comparison, value: Callable[[Formula], Any]) -> bool:
    left = value(comparison.first)
    for word, operand in comparison.rest:
        right = value(operand)
        if not _COMPARISONS[word](left, right):
            return False
        left = right
    return True


def _calculate(op: ArithmeticWord, left: Any, right: Any) -> Any:
    """Arithmetic on numbers, `+` on texts."""
    are_numbers = isinstance(left, int | float) and isinstance(right, int | float)
    are_texts = isinstance(left, str) and isinstance(right, str)
    # A text times a number, or a list plus itself again and again, could fill the memory.
    if not are_numbers and not (op == "+" and are_texts):
        raise TypeError("arithmetic is for numbers, `+` also joins texts")
    return _ARITHMETIC[op](left, right)


def parts(formula: Formula) -> Iterator[Formula]:
    """The formula and every formula in it, in the order that they are written."""
    yield formula
    for inner in _operands(formula):
        yield from parts(inner)


def _operands(formula: Formula) -> tuple[Formula, ...]:
    match formula:
        case Listing(items=operands) | Combination(operands=operands):
            return operands
        case Unary(operand=operand):
            return (operand,)
        case Arithmetic(left=left, right=right):
            return (left, right)
        case Comparison(first=first, rest=rest):
            return (first, *(operand for _, operand in rest))
        case _:
            return ()


def names(formula: Formula) -> tuple[str, ...]:
    """The names in the formula, each once."""
    return tuple(dict.fromkeys(part.name for part in parts(formula) if isinstance(part, Name)))


def is_yes_or_no(formula: Formula) -> bool:
    """Whether the formula is true or false whatever its names are, and no number or text."""
    # A gate that is a number would hold for every number but 0.
    match formula:
        case Comparison() | Unary(op="not") | Constant(value=bool()):
            return True
        case Combination(operands=operands):
            return all(map(is_yes_or_no, operands))
        case _:
            return False


def formula_text(formula: Formula) -> str:
    """The formula as text, which `parse` reads as the same formula."""
    match formula:
        case Constant(value=value):
            return _constant_text(value)
        case Name(name=name):
            return _name_text(name)
        case Listing(items=items):
            return f"[{', '.join(map(formula_text, items))}]"
        case Unary(op="not", operand=operand):
            return f"not {_operand_text(operand)}"
        case Unary(op=op, operand=operand):
            return f"{op}{_operand_text(operand)}"
        case Arithmetic(op=op, left=left, right=right):
            return f"{_operand_text(left)} {op} {_operand_text(right)}"
        case Combination(op=op, operands=operands):
            return f" {op} ".join(map(_operand_text, operands))
        case Comparison(first=first, rest=rest):
            text = _operand_text(first)
            for word, operand in rest:
                text += f" {word} {_operand_text(operand)}"
            return text


def _constant_text(value: bool | int | float | str | None) -> str:
    # Python prints infinity as a name; this number is too large, so it is read as infinity.
    if isinstance(value, float):
        return repr(value).replace("inf", "1e999")
    return repr(value)


def _operand_text(formula: Formula) -> str:
    """In parentheses unless they change nothing: what binds tighter need not be known then."""
    text = formula_text(formula)
    if isinstance(formula, Constant | Name | Listing):
        return text
    return f"({text})"


def _name_text(name: str) -> str:
    if name.isascii() and (_FULL_NAME.match(name) or _is_plain(name)):
        return name
    return f"${{{name}}}"


def _is_plain(name: str) -> bool:
    """Whether Python's parser takes it for a name, or attributes of one."""
    return _PLAIN_NAME.match(name) is not None and _KEYWORDS.isdisjoint(name.split("."))
