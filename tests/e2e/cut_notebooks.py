"""Random notebooks cut into steps.

Each cell is run as it is written, so that all it uses is there.
"""

from __future__ import annotations

import contextlib
import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

NAMES = tuple("abcdefgh")
LARGEST = 10**9

Made = tuple[str, dict[str, str | None]]
"""A statement, and the kinds that names have after it; None where a name is gone."""

PARAMETERS = "columns = ['x']\noptions = {'depth': 1, 'seen': []}\nrate = 3"
IMPORTS = """\
import collections, enum, functools, random
import numpy as np
queue = collections.deque([1])
by_name = collections.defaultdict(list)
"""
SEEDS = "random.seed(1)\nnp.random.seed(2)"
FUNCTIONS = """\
REGISTRY = []
BY_NAME = {}
SETTINGS = {'k': 1, 'inner': [1]}
log = REGISTRY
MISSING = object()
LIMIT = 2
def register(one):
    BY_NAME[one.__name__] = one
    return one
def record(x, kept=[]):
    kept.append(x)
    REGISTRY.append(len(kept))
    return len(kept)
def helper():
    return LIMIT
def calls_helper():
    return helper() + 1
def draw():
    return random.randint(0, 9) + int(np.random.randint(9))
def absent(x=MISSING):
    return x is MISSING
@functools.lru_cache
def counted(x):
    REGISTRY.append(x)
    return x + 1
@functools.singledispatch
def kind_of(x):
    return 0
def counter():
    n = 0
    def up():
        nonlocal n
        n += 1
        return n
    def now():
        return n
    return up, now
up, now = counter()
class Colour(enum.Enum):
    RED = 1
    BLUE = 2
class Base:
    made = 0
    kinds = []
    def __init__(self, v=0):
        Base.made += 1
        self.v = v
    def __init_subclass__(cls):
        Base.kinds.append(cls.__name__)
    def get(self):
        return self.v + helper()
class Child(Base):
    pass
shared = Base(1)
register(helper)
"""
SHOWN = (
    "columns, sorted(options), options['seen'], rate",
    "list(queue), dict(by_name)",
    "REGISTRY, log is REGISTRY, sorted(BY_NAME), SETTINGS",
    "calls_helper(), helper(), LIMIT",
    "absent(), absent(MISSING), record.__defaults__[0]",
    "counted(1), kind_of(1), kind_of('a')",
    "now(), up()",
    "Base.made, Base.kinds, Child.made, shared.v, shared.get(), type(shared) is Base",
    "BY_NAME['helper'](), BY_NAME['helper'] is helper",
    "Colour.RED is Colour(1), isinstance(Child(), Base)",
)


class Writer:
    """Writes statements and cells; every choice comes from `chance`.

    Without `draws` nothing seeds or draws.
    """

    def __init__(self, chance: random.Random, *, draws: bool = True) -> None:
        self.chance = chance
        self.draws = draws
        self.space: dict[str, Any] = {"__name__": "__main__"}
        self.kinds: dict[str, str] = {}
        self.count = 0

    def pick(self, *kinds: str) -> str | None:
        """A name of one of these kinds."""
        names = [name for name, kind in self.kinds.items() if kind in kinds]
        return self.chance.choice(names) if names else None

    def name(self) -> str:
        return self.chance.choice(NAMES)

    def number(self) -> str:
        """An expression that gives a number."""
        options = [str(self.chance.randint(-5, 9)), "rate", "LIMIT", "len(REGISTRY)", "helper()"]
        number, items, called, held = (
            self.pick(kind) for kind in ("number", "list", "function", "object")
        )
        if number:
            options += [number, number, f"({number} % 7)"]
        if items:
            options += [f"len({items})"]
        if called:
            options += [f"{called}()"]
        if held:
            options += [f"{held}.v", f"{held}.get()"]
        if star := self.pick("of a star import"):
            options += [f"round({star}(0.2, 0.4, 0.6)[1] * 9)"]
        return self.chance.choice(options)

    def shown(self) -> str:
        """A print of some names, or of what the cells of all steps made."""
        names = [name for name in self.kinds if self.chance.random() < 0.4][:3]
        parts = [_SHOWN_AS[self.kinds[name]].format(name) for name in names]
        return f"print({', '.join([*parts, self.chance.choice(SHOWN)])})"

    def works(self, source: str) -> bool:
        """Whether the code runs, and numbers stay small."""
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(source, "<cell>", "exec"), self.space)
        except Exception:  # noqa: BLE001  # the code is random
            return False
        return all(
            not isinstance(value, int) or abs(value) < LARGEST
            for value in list(self.space.values())
        )

    def cell(self, size: int) -> str | None:
        """A cell's source, or None if a statement failed.

        A failed statement spoils the state for all that could follow.
        """
        lines: list[str] = []
        while len(lines) < size:
            self.count += 1
            made = self.chance.choice(STATEMENTS)(self, self.count)
            if made is None:
                continue
            source, kinds = made
            if not self.works(source):
                return None
            for name, kind in kinds.items():
                self.kinds.pop(name, None)
                if kind is not None:
                    self.kinds[name] = kind
            lines.append(source)
        lines.append(self.shown())
        return "\n".join(lines) if self.works(lines[-1]) else None


_SHOWN_AS = {
    "number": "{0}",
    "list": "{0}",
    "function": "{0}()",
    "object": "({0}.v, {0}.get())",
    "class": "{0}.made",
    "table": "[_f() for _f in {0}]",
    "dict of functions": "[_f() for _f in {0}.values()]",
    "of a star import": "{0}(0.2, 0.4, 0.6)",
}

STATEMENTS: list[Callable[[Writer, int], Made | None]] = []


def statement(make: Callable[[Writer, int], Made | None]) -> Callable[[Writer, int], Made | None]:
    """One of the makers of statements: they get a number that no other statement has."""
    STATEMENTS.append(make)
    return make


def cells_of(
    chance: random.Random, count: int, steps: int, *, draws: bool = True
) -> list[tuple[str, str]]:
    """Tags and source of each cell of a notebook of so many steps.

    First the cells that all steps share, then `count` cells in the steps; some seed and draw.
    """
    while True:
        writer = Writer(chance, draws=draws)
        first = [("parameters", PARAMETERS), ("imports", IMPORTS), ("functions", FUNCTIONS)]
        sources = [SEEDS] if draws else []
        assert all(writer.works(source) for source in [*(source for _, source in first), *sources])
        while len(sources) < count and (source := writer.cell(chance.randint(1, 4))) is not None:
            sources.append(source)
        if len(sources) == count:
            cuts = {0, *chance.sample(range(1, count), steps - 1)}
            return [
                *first,
                *(
                    (f"step:s{at}" if at in cuts else "", source)
                    for at, source in enumerate(sources)
                ),
            ]


def printed_whole(cells: list[tuple[str, str]]) -> str:
    """What the cells print from top to bottom."""
    printed = io.StringIO()
    space: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.redirect_stdout(printed):
        for _, source in cells:
            exec(compile(source, "<cell>", "exec", dont_inherit=True), space)
    return without_addresses(printed.getvalue())


def without_addresses(text: str) -> str:
    """The text without the places in memory that Python shows."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


# variables


@statement
def a_number(w: Writer, u: int) -> Made:
    name = w.name()
    return f"{name} = {w.number()}", {name: "number"}


@statement
def a_list(w: Writer, u: int) -> Made:
    name = w.name()
    return f"{name} = [{w.number()}, {w.number()}]", {name: "list"}


@statement
def another_name(w: Writer, u: int) -> Made | None:
    old, new = w.pick("number", "list", "function", "object", "class", "table"), w.name()
    return (f"{new} = {old}", {new: w.kinds[old]}) if old else None


@statement
def change_a_list(w: Writer, u: int) -> Made | None:
    items = w.pick("list")
    return (f"{items}.append({w.number()})", {}) if items else None


@statement
def remove(w: Writer, u: int) -> Made | None:
    name = w.pick("number", "list", "function", "object")
    return (f"del {name}", {name: None}) if name and w.chance.random() < 0.3 else None


# random numbers, and names that no code binds by itself


@statement
def a_seed(w: Writer, u: int) -> Made | None:
    if not w.draws or w.chance.random() > 0.3:
        return None
    return w.chance.choice((f"random.seed({u})", f"np.random.seed({u})")), {}


@statement
def a_drawn_number(w: Writer, u: int) -> Made | None:
    if not w.draws:
        return None
    name = w.name()
    drawn = (
        "random.randint(0, 99)",
        "int(np.random.randint(99))",
        "round(random.gauss(0, 9))",
        "draw()",
    )
    return f"{name} = {w.chance.choice(drawn)}", {name: "number"}


@statement
def a_star_import(w: Writer, u: int) -> Made:
    return "from colorsys import *", {"rgb_to_hsv": "of a star import"}


# functions, alone and in containers


@statement
def a_function(w: Writer, u: int) -> Made:
    name = w.name()
    return f"def {name}():\n    return {w.number()}", {name: "function"}


@statement
def a_function_that_binds(w: Writer, u: int) -> Made | None:
    name, number = w.name(), w.pick("number")
    if number in (None, name):
        return None
    return f"def {name}():\n    global {number}\n    {number} += 1\n    return {number}", {
        name: "function"
    }


@statement
def a_function_that_changes(w: Writer, u: int) -> Made | None:
    name, items = w.name(), w.pick("list")
    if items in (None, name):
        return None
    return f"def {name}(x=1):\n    {items}.append(x)\n    return len({items})", {name: "function"}


@statement
def functions_in_a_list(w: Writer, u: int) -> Made | None:
    called = w.pick("function")
    number = w.pick("number") or "rate"
    return (
        (f"t{u} = [{called}, lambda: {number} + {u % 5}]", {f"t{u}": "table"}) if called else None
    )


@statement
def a_function_into_a_list(w: Writer, u: int) -> Made | None:
    table, number = w.pick("table"), w.pick("number")
    return (f"{table}.append(lambda: {number})", {}) if table and number else None


@statement
def functions_in_a_dict(w: Writer, u: int) -> Made | None:
    number = w.pick("number")
    if number is None:
        return None
    return f"d{u} = {{'k': lambda: {number}, 'h': helper}}", {f"d{u}": "dict of functions"}


@statement
def a_factory(w: Writer, u: int) -> Made | None:
    name, number = w.name(), w.pick("number")
    if number in (None, name):
        return None
    return (
        (
            f"def make{u}():\n    def inner():\n        return {number} + helper()\n"
            f"    return inner\n{name} = make{u}()"
        ),
        {name: "function"},
    )


@statement
def closures_that_share(w: Writer, u: int) -> Made:
    first, second = w.chance.sample(NAMES, 2)
    return f"{first}, {second} = counter()", {first: "function", second: "function"}


@statement
def a_partial(w: Writer, u: int) -> Made | None:
    called, name = w.pick("function"), w.name()
    return (
        (f"import functools\n{name} = functools.partial({called})", {name: "function"})
        if called
        else None
    )


@statement
def a_bound_method(w: Writer, u: int) -> Made | None:
    held, name = w.pick("object"), w.name()
    return (f"{name} = {held}.get", {name: "function"}) if held else None


# classes and objects


@statement
def a_class(w: Writer, u: int) -> Made:
    name = w.name()
    base = w.pick("class") or w.chance.choice(("Base", "Child"))
    source = (
        f"class K{u}({base}):\n    def get(self):\n        return self.v - {w.number()}\n"
        f"{name} = K{u}({u % 7})"
    )
    return source, {f"K{u}": "class", name: "object"}


@statement
def an_object(w: Writer, u: int) -> Made:
    name = w.name()
    return f"{name} = {w.chance.choice(('Base', 'Child'))}({w.number()})", {name: "object"}


@statement
def change_an_object(w: Writer, u: int) -> Made:
    return f"{w.pick('object') or 'shared'}.v = {w.number()}", {}


@statement
def change_a_class(w: Writer, u: int) -> Made:
    kind = w.pick("class") or w.chance.choice(("Base", "Child"))
    return w.chance.choice(
        (f"{kind}.made = {w.number()}", f"{kind}.get = lambda self: self.v * {u % 3}")
    ), {}


# what the cells of all steps made


@statement
def change_what_cells_made(w: Writer, u: int) -> Made:
    changes = (
        f"columns.append('{u}')",
        f"options['seen'].append({w.number()})",
        f"options['k{u % 3}'] = {w.number()}",
        f"rate = rate + {u % 3}",
        f"queue.append({w.number()})",
        f"by_name['n{u % 3}'].append({w.number()})",
        f"record({w.number()})",
        f"REGISTRY.append({w.number()})",
        f"SETTINGS['inner'].append({w.number()})",
        f"LIMIT = {u % 9}",
        f"def helper():\n    return LIMIT * {u % 4}",
        "up()",
        f"counted({u % 4})",
        f"shared.v += {u % 4}",
        f"record.__dict__['n'] = {u}",
        f"kind_of.register(int, lambda x: x + {u % 5})",
        f"@register\ndef r{u}():\n    return {w.number()}",
        "calls_helper = (lambda old: lambda: old() + 1)(calls_helper)",
    )
    return w.chance.choice(changes), {}


@statement
def name_what_cells_made(w: Writer, u: int) -> Made:
    name = w.name()
    kinds = {
        "REGISTRY": "list",
        "SETTINGS['inner']": "list",
        "options['seen']": "list",
        "shared": "object",
        "helper": "function",
        "calls_helper": "function",
        "now": "function",
        "BY_NAME": "dict of functions",
    }
    what = w.chance.choice(list(kinds))
    return f"{name} = {what}", {name: kinds[what]}
