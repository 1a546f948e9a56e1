"""Names that Python and IPython provide, and code that reaches names in untraceable ways."""

from __future__ import annotations

import ast
import builtins
import re
from typing import TYPE_CHECKING

from nbci.dataflow.syntax import are_constants

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DUNDERS = frozenset(
    "__annotations__ __builtin__ __builtins__ __class__ __debug__ __doc__ __file__ __loader__ "
    "__module__ __name__ __package__ __qualname__ __spec__".split()
)
_IPYTHON = frozenset(
    {"get_ipython", "display", "exit", "quit", "In", "Out", "_", "__", "___", "open"}
)
_HISTORY = re.compile(r"_(i{1,3}|\d+|i\d+|oh|dh|ih|exit_code)")
PROVIDED = frozenset(dir(builtins)) | _DUNDERS | _IPYTHON
BROUGHT_BY_SOME_KERNELS = {
    **dict.fromkeys(("sc", "spark", "sqlContext"), "kernels for Spark bring it"),
    **dict.fromkeys(("dbutils", "displayHTML", "table"), "Databricks' kernels bring it"),
}
SUBCLASSES = "__subclasses__"
"""Stands for all classes among the names that code reads.

Code that asks a class for its subclasses names none of them.
"""
NAMESPACES = frozenset({"globals", "locals", "vars", "dir"})
_SHELL_CALLS = frozenset(
    {
        "push",
        "ex",
        "ev",
        "run_cell",
        "run_code",
        "run_line_magic",
        "run_cell_magic",
        "magic",
        "safe_execfile",
        "reset",
    }
)
# Those of the standard library, pytest, numba and torch that do not run what they decorate.
_SAFE_DECORATORS = frozenset(
    "abstractmethod asynccontextmanager cache cached_property classmethod contextmanager "
    "dataclass deleter fixture getter jit lru_cache njit no_grad override overload property "
    "setter singledispatch staticmethod total_ordering wraps".split()
)
# `warnings.catch_warnings` catches no exceptions, unlike others with such a name.
_SWALLOWING = re.compile("suppress|raises|ignore|catch(?!_warnings)|swallow")
BUILTIN_EXCEPTIONS: dict[str, type[BaseException]] = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
# Handlers of these never catch a NameError, so a missing name still ends the step.
_BEYOND_NAME_ERROR = frozenset(
    name for name, kind in BUILTIN_EXCEPTIONS.items() if not issubclass(NameError, kind)
)
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
# Attributes and functions by which Python itself hands out a module's or a frame's names.
_FRAMES = frozenset(
    {"__globals__", "f_globals", "f_locals", "currentframe", "_getframe", "user_global_ns"}
)
# `DataFrame.query` and `.eval`, `pandas.eval` and `numexpr.evaluate` look up the caller's names.
_EVALUATORS = frozenset({"query", "eval", "evaluate"})
# What loads a pickle finds classes by their names; test runners list all that a module has.
_FINDING = re.compile(
    r"pickle|joblib|\bdill\b|shelve|torch\.load|load_model|mlflow"
    r"|testmod|unittest|pytest|__subclasses__|\bdir\(\)"
)
_AT_NAME = re.compile(r"(?<![\w.])@([A-Za-z_]\w*)")


def is_history(name: str) -> bool:
    """Whether IPython's history has the name: `_`, `_i2`, `_12`: it never travels."""
    return name in {"_", "__", "___", "In", "Out"} or _HISTORY.fullmatch(name) is not None


def is_provided(name: str) -> bool:
    """Whether Python or IPython defines the name in every kernel."""
    return name in PROVIDED or is_history(name)


def is_namespace(node: ast.AST) -> bool:
    """Whether the expression is the module's namespace as a dictionary.

    `globals()`, `locals()`, `vars()`, `dir()` and IPython's `user_ns` count as such.
    """
    match node:
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]):
            return name in NAMESPACES
        case ast.Attribute(attr="user_ns", value=ast.Call(func=ast.Name(id="get_ipython"))):
            return True
    return False


def module_of_names(node: ast.AST) -> str | None:
    """The module whose attributes are names of every cell, if the expression is one.

    Such modules are `__main__` and `builtins`.
    """
    match node:
        case ast.Name(id="__main__" | "builtins" | "__builtin__" | "__builtins__" as name):
            return name
        case ast.Subscript(
            value=ast.Attribute(attr="modules"),
            slice=ast.Constant(value="__main__" | "builtins" as name),
        ):
            return str(name)
    return None


def unfollowable(call: ast.Call) -> str | None:
    """Why it is not known which names the call reaches; None if it is."""
    match call.func:
        case ast.Name(id="exec" | "eval" as name):
            return f"{name}() may use any name"
        case ast.Name(id="init_session") | ast.Attribute(attr="init_session"):
            return "init_session() may define names"
        case ast.Name(id="setattr" | "delattr" as name) if call.args and module_of_names(
            call.args[0]
        ):
            return f"{name}({ast.unparse(call.args[0])}, …) may define or remove names"
        case ast.Attribute(attr=attr, value=ast.Call(func=ast.Name(id="get_ipython"))) if (
            attr in _SHELL_CALLS
        ):
            return f"get_ipython().{attr}() may define names"
        case ast.Attribute(attr=attr, value=value) if is_namespace(value) and attr != "get":
            return f"{ast.unparse(value)}.{attr}() may use any name"
    return None


def reads_any_name(node: ast.expr, *, at_module_level: bool) -> str | None:
    """Why the expression's value may lead to names of the module that the code does not show.

    None if it does not.
    """
    match node:
        case ast.Call(func=ast.Name(id="exec" | "eval" as name)):
            return f"{name}() may use any name"
        case ast.Call(func=ast.Name(id="globals" | "vars" | "locals" as name), args=[]):
            # Inside a function, `vars()` and `locals()` have that function's names only.
            if at_module_level or name == "globals":
                return f"{name}() has every name"
        case ast.Call(
            func=ast.Attribute(attr=attr, value=ast.Call(func=ast.Name(id="get_ipython")))
        ):
            if attr in _SHELL_CALLS:
                return f"get_ipython().{attr}() may use any name"
        case ast.Call(func=ast.Attribute(attr=attr)) if attr in _EVALUATORS:
            if not _is_given_as_text(node):
                return f".{attr}() may use any name"
        case ast.Attribute(attr="user_ns"):
            return "user_ns has every name"
        case ast.Attribute(attr=attr) if attr in _FRAMES:
            return f"{attr} leads to every name"
        case ast.Subscript(
            value=ast.Attribute(attr="modules"), slice=ast.Constant(value="__main__") | ast.Name()
        ):
            return f"{ast.unparse(node)} has every name"
    return None


def finds_definitions(source: str) -> bool:
    """Whether the code may find functions and classes that it does not name.

    Pickles, test runners and listings of names do.
    """
    return _FINDING.search(source) is not None


def names_in_formula(text: str) -> Iterator[str]:
    """The names in a text that a library looks up where it was called from.

    They are all names of a formula (`y ~ x`), and in other texts those after `@`.
    """
    pattern = _AT_NAME
    # patsy and formulaic split formulas at the tilde.
    if "~" in text:
        pattern = _NAME
    yield from pattern.findall(text)


def names_in_evaluated(call: ast.Call) -> Iterator[str]:
    """The names in texts that the call evaluates, as `pandas.eval` and `numexpr.evaluate` do."""
    match call.func:
        case ast.Attribute(attr=attr) if attr in _EVALUATORS:
            for text in _texts_in(call.args):
                yield from names_in_expression(text)


def names_in_expression(text: str) -> Iterator[str]:
    """The names in a text that is Python's, as in an annotation."""
    yield from _NAME.findall(text)


def _is_given_as_text(call: ast.Call) -> bool:
    """Whether what the call evaluates is a literal text, or nothing.

    Then its names can be read from the code.
    """
    given = call.args[:1]
    for keyword in call.keywords:
        # pandas calls the parameter `expr`, numexpr `ex`.
        if keyword.arg in {"expr", "ex"}:
            given.append(keyword.value)
    return are_constants(given)


def names_in_query(call: ast.Call) -> Iterator[str]:
    """The names behind `@` in the text that pandas' `query` and `eval` take."""
    match call.func:
        case ast.Attribute(attr="query" | "eval"):
            for text in _texts_in(call.args):
                yield from _AT_NAME.findall(text)


def _texts_in(arguments: Iterable[ast.expr]) -> Iterator[str]:
    """The literal texts in the arguments, at any depth."""
    for argument in arguments:
        for node in ast.walk(argument):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def may_call(decorator: ast.expr) -> bool:
    """Whether the decorator may call what it decorates, for all we know."""
    return context_name(decorator) not in _SAFE_DECORATORS


def swallows(context: ast.expr) -> bool:
    """Whether the context of a `with` has a name as of one that swallows exceptions."""
    return _SWALLOWING.search(context_name(context).lower()) is not None


def context_name(context: ast.expr) -> str:
    """The last part of the name that a `with` or a decorator has or calls."""
    if isinstance(context, ast.Call):
        return _last_name(context.func)
    return _last_name(context)


def may_catch_name_error(handler: ast.ExceptHandler) -> bool:
    """Whether the handler may catch a NameError."""
    kinds = [handler.type]
    if isinstance(handler.type, ast.Tuple):
        kinds = [*handler.type.elts]
    return not all(map(_is_beyond_name_error, kinds))


def _is_beyond_name_error(kind: ast.expr | None) -> bool:
    # None: a bare `except:` catches everything.
    return isinstance(kind, ast.Name) and kind.id in _BEYOND_NAME_ERROR


def _last_name(node: ast.AST) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
