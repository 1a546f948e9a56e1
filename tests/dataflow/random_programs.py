"""Random small programs, and what really happens to names when they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

VALUES = ("a", "b", "c", "d", "e")
FUNCTIONS = ("f", "g", "h")
CLASSES = ("K", "L")
NAMES = (*VALUES, *FUNCTIONS, *CLASSES)


class Programs:
    """A source of programs; every choice comes from `chance`."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def program(self, statements: int = 7) -> str:
        """A module's text."""
        return "\n".join(self.block(0, statements))

    def block(self, depth: int, statements: int = 3, *, where: str = "module") -> list[str]:
        """Lines of a block without indentation."""
        return [
            line
            for _ in range(self.chance.randint(1, statements))
            for line in self.statement(depth, where)
        ]

    def inner(self, depth: int, *, where: str, statements: int = 2) -> list[str]:
        return ["    " + line for line in self.block(depth + 1, statements, where=where)]

    def name(self) -> str:
        return self.chance.choice(VALUES)

    def expression(self, depth: int = 0) -> str:  # noqa: PLR0912  # one case a kind of expression
        kinds = ["name"] * 4 + ["number"] * 2
        if depth < 2:
            kinds += [
                "sum",
                "call",
                "list",
                "generator",
                "walrus",
                "lambda",
                "choice",
                "and",
                "nested",
                "dict",
                "kcall",
            ]
        inner = self.expression
        match self.chance.choice(kinds):
            case "name":
                return self.chance.choice(NAMES)
            case "number":
                return str(self.chance.randint(0, 1))
            case "sum":
                return f"({inner(depth + 1)} + {inner(depth + 1)})"
            case "call":
                return f"{self.chance.choice(FUNCTIONS)}({inner(depth + 1)})"
            case "kcall":
                return f"{self.chance.choice(CLASSES)}().m({inner(depth + 1)})"
            case "list":
                return f"[{inner(depth + 1)} for {self.name()} in range(2) if {inner(depth + 1)}]"
            case "generator":
                return f"sum({self.name()} for {self.name()} in [{inner(depth + 1)}])"
            case "walrus":
                return (
                    f"[({self.name()} := q) for q in [{inner(depth + 1)}]]"
                    if self._may_walrus
                    else inner(depth + 1)
                )
            case "lambda":
                return f"(lambda {self.name()}: {inner(depth + 1)})({inner(depth + 1)})"
            case "choice":
                return f"({inner(depth + 1)} if {inner(depth + 1)} else {inner(depth + 1)})"
            case "and":
                return (
                    f"({inner(depth + 1)} {self.chance.choice(['and', 'or'])} {inner(depth + 1)})"
                )
            case "dict":
                return f"{{{inner(depth + 1)}: {inner(depth + 1)} for {self.name()} in [1]}}"
            case _:
                return (
                    f"[[{self.name()} for {self.name()} in [{inner(depth + 1)}]]"
                    f" for {self.name()} in [1]]"
                )

    _may_walrus = True

    def statement(self, depth: int, where: str) -> list[str]:
        simple = (
            ["assign"] * 4 + ["expr"] * 2 + ["aug", "del", "walrus", "import", "pair", "annotated"]
        )
        compound = (
            ["if", "for", "while", "try", "finally", "with", "match", "def", "class", "lambda"]
            if depth < 2
            else []
        )
        kinds = simple + compound
        if where == "function":
            kinds = [*kinds, "global", "return", "raise"]
        kind = self.chance.choice(kinds)
        return list(getattr(self, f"_{kind}")(depth, where))

    def _assign(self, depth: int, where: str) -> Iterator[str]:
        yield f"{self.name()} = {self._value(where)}"

    def _value(self, where: str) -> str:
        self._may_walrus = where != "class"
        text = self.expression()
        self._may_walrus = True
        return text

    def _pair(self, depth: int, where: str) -> Iterator[str]:
        yield f"{self.name()}, *{self.name()} = [1, {self._value(where)}]"

    def _annotated(self, depth: int, where: str) -> Iterator[str]:
        yield f"{self.name()}: {self.name()} = {self._value(where)}"

    def _expr(self, depth: int, where: str) -> Iterator[str]:
        yield self._value(where)

    def _aug(self, depth: int, where: str) -> Iterator[str]:
        yield f"{self.name()} += {self._value(where)}"

    def _del(self, depth: int, where: str) -> Iterator[str]:
        yield f"del {self.chance.choice(NAMES)}"

    def _walrus(self, depth: int, where: str) -> Iterator[str]:
        yield f"({self.name()} := {self._value(where)})"

    def _import(self, depth: int, where: str) -> Iterator[str]:
        yield f"import os.path as {self.name()}"

    def _if(self, depth: int, where: str) -> Iterator[str]:
        yield f"if {self._value(where)}:"
        yield from self.inner(depth, where=where)
        if self.chance.random() < 0.5:
            yield "else:"
            yield from self.inner(depth, where=where)

    def _for(self, depth: int, where: str) -> Iterator[str]:
        yield f"for {self.name()} in [{self._value(where)}][{self.chance.randint(0, 1)}:]:"
        yield from self.inner(depth, where=where)
        if self.chance.random() < 0.4:
            yield "    " + self.chance.choice(["break", "continue"])
        if self.chance.random() < 0.3:
            yield "else:"
            yield from self.inner(depth, where=where)

    def _while(self, depth: int, where: str) -> Iterator[str]:
        yield f"while {self._value(where)}:"
        yield from self.inner(depth, where=where)
        yield "    break"

    def _try(self, depth: int, where: str) -> Iterator[str]:
        yield "try:"
        yield from self.inner(depth, where=where)
        kind = self.chance.choice(["NameError", "Exception", "ValueError", "(TypeError, KeyError)"])
        yield f"except {kind}{self.chance.choice(['', f' as {self.name()}'])}:"
        yield from self.inner(depth, where=where)
        if self.chance.random() < 0.3:
            yield "else:"
            yield from self.inner(depth, where=where)

    def _finally(self, depth: int, where: str) -> Iterator[str]:
        yield "try:"
        yield from self.inner(depth, where=where)
        yield "finally:"
        yield from self.inner(depth, where=where)

    def _with(self, depth: int, where: str) -> Iterator[str]:
        yield f"with suppress(Exception) as {self.name()}:"
        yield from self.inner(depth, where=where)

    def _match(self, depth: int, where: str) -> Iterator[str]:
        yield f"match {self._value(where)}:"
        yield f"    case [{self.name()}, *_]:"
        yield from ("    " + line for line in self.inner(depth, where=where))
        yield f"    case {self.chance.choice(['_', self.name(), '0'])}:"
        yield from ("    " + line for line in self.inner(depth, where=where))

    def _def(self, depth: int, where: str) -> Iterator[str]:
        if self.chance.random() < 0.2:
            yield "@apply"
        default = f"={self._value(where)}" if self.chance.random() < 0.3 else "=0"
        yield f"def {self.chance.choice(FUNCTIONS)}({self.name()}{default}):"
        yield from self.inner(depth, where="function", statements=3)
        if self.chance.random() < 0.2:
            yield "    yield 1"

    def _class(self, depth: int, where: str) -> Iterator[str]:
        base = self.chance.choice(["", "", f"({self.chance.choice(CLASSES)})"])
        yield f"class {self.chance.choice(CLASSES)}{base}:"
        yield from self.inner(depth, where="class")
        yield f"    def m(self, {self.name()}=0):"
        yield from ("    " + line for line in self.inner(depth, where="function"))

    def _lambda(self, depth: int, where: str) -> Iterator[str]:
        yield f"{self.chance.choice(FUNCTIONS)} = lambda {self.name()}=0: {self._value(where)}"

    def _global(self, depth: int, where: str) -> Iterator[str]:
        yield f"globals()[{self.name()!r}] = {self._value(where)}"

    def _return(self, depth: int, where: str) -> Iterator[str]:
        yield f"return {self._value(where)}"

    def _raise(self, depth: int, where: str) -> Iterator[str]:
        yield f"raise {self.chance.choice(['NameError', 'ValueError', 'TypeError'])}"


def with_globals(text: str, chance: random.Random) -> str:
    """The program with `global` declarations atop some functions, where that is allowed."""
    lines = []
    for line in text.split("\n"):
        lines.append(line)
        if line.lstrip().startswith("def ") and chance.random() < 0.5:
            name = next(
                (name for name in VALUES if f"({name}=" not in line and f" {name}=" not in line),
                None,
            )
            if name is not None:
                lines.append(" " * (len(line) - len(line.lstrip()) + 4) + f"global {name}")
    return "\n".join(lines)


class Given(int):
    """A value that comes from outside; it can do whatever the programs ask of it."""

    def __call__(self, *args: object, **kwargs: object) -> Given:
        return Given(1)

    def m(self, *args: object) -> Given:
        return Given(1)

    def __mro_entries__(self, bases: object) -> tuple[type, ...]:
        return ()


class Recording(dict[str, Any]):
    """A namespace that notes which of the values that it started with are read."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self.given = given
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if key in self.given and self.given[key] is value:
            self.read.add(key)
        return value
