"""What IPython's magics and shell lines do to names, as far as their text tells."""

from __future__ import annotations

import ast
import re
import shlex
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.dataflow.syntax import names_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.dataflow.code import ParsedCell

_RUN_IN_PLACE = frozenset({"time", "prun", "capture"})
_RUN_APART = frozenset({"timeit", "memit", "lprun", "mprun"})
# They run in a process of their own, so only `--out` and its like bind names.
_SCRIPTS = frozenset("bash cmd perl powershell pypy python python2 python3 ruby script sh".split())
_HARMLESS_CELL = frozenset(
    "! HTML SVG file html javascript js latex markdown svg sx system writefile".split()
)
_HARMLESS_LINE = frozenset(
    "alias alias_magic autoawait autocall autoindent automagic autosave bookmark cat cd clear "
    "code_wrap colors conda config connect_info cp debug dhist dirs doctest_mode echo edit env "
    "gui hist history killbgscripts ldir less lf lk ll load_ext logoff logon logstart logstate "
    "logstop ls lsmagic lx magic mamba man matplotlib micromamba mkdir more mv notebook page "
    "pastebin pdb pdef pdoc pfile pinfo pinfo2 pip popd pprint precision profile psearch "
    "psource pushd pwd pycat quickref reload_ext rm rmdir save set_env subshell sx system tb "
    "tensorboard unalias unload_ext uv watermark who who_ls whos xmode !".split()
)
# The short options that take a value. `memit`, `mprun` (memory_profiler) and `lprun`
# (line_profiler) are no magics of IPython's own.
_OPTIONS_WITH_VALUE = {
    "timeit": "nrp",
    "prun": "lsTD",
    "memit": "rit",
    "lprun": "fmTDsu",
    "mprun": "fTc",
}
# What IPython's input transformation makes of `%`, `%%` and `!`.
_CALLS = frozenset({"run_line_magic", "run_cell_magic", "system", "getoutput"})
# `$$` is how IPython writes a plain dollar sign for the shell.
_DOLLAR = re.compile(r"(?<!\$)\$([A-Za-z_]\w*)")
_BRACES = re.compile(r"\{([^{}]+)\}")
_OPTION = re.compile(r"\s*(?:--[\w-]+|-([A-Za-z])([^\s]*))(?:\s+|$)")


class HiddenCode(Struct, frozen=True, kw_only=True):
    """Python in a magic's text; it starts `first_line` lines below the magic's own."""

    text: str
    first_line: int


class Effect(Struct, frozen=True, kw_only=True):
    """What one magic call does to names.

    `body` is the code it runs (`apart`: without binding its names), `reads` and `binds` are names
    in its text, `uncertain` is the reason why its effect is not certain, if so.
    """

    body: ParsedCell | None = None
    apart: bool = False
    reads: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    uncertain: str | None = None


class _Magic(Struct, frozen=True, kw_only=True):
    name: str
    line: str
    cell: str | None

    @property
    def shown(self) -> str:
        if self.cell is None:
            return f"%{self.name}"
        return f"%%{self.name}"


def hidden_code(call: ast.Call) -> HiddenCode | None:
    """The Python that the magic call runs, if any."""
    magic = _magic(call)
    if magic is None or magic.name not in _RUN_IN_PLACE | _RUN_APART:
        return None
    statement = _without_options(magic)[0]
    if magic.cell is None:
        # `capture` is a magic of cells only.
        if magic.name == "capture":
            return None
        return HiddenCode(text=statement, first_line=0)
    # The line of `%%timeit` is setup code, which runs before the cell.
    if magic.name == "timeit" and statement.strip():
        return HiddenCode(text=f"{statement}\n{magic.cell}", first_line=0)
    return HiddenCode(text=magic.cell, first_line=1)


def effect_of(call: ast.Call, body: ParsedCell | None) -> Effect | None:
    """What the call does to names; None when it is no magic call.

    `body` is its hidden code, parsed.
    """
    shell = _shell_text(call)
    if shell is not None:
        return Effect(reads=_interpolated_names(shell))
    magic = _magic(call)
    if magic is None:
        return None
    if magic.name in _RUN_APART:
        return Effect(body=body, apart=True, reads=_without_options(magic)[1])
    # The line of `%%capture` has at most three options and the name for the output.
    if magic.name == "capture":
        return Effect(body=body, binds=_names_in(magic.line.split()[:4]))
    if magic.name in _RUN_IN_PLACE:
        return Effect(body=body)
    return _effect_of_text(magic)


def _effect_of_text(magic: _Magic) -> Effect:
    reads = _interpolated_names(magic.line)
    if magic.cell is not None:
        if magic.name in _SCRIPTS:
            return Effect(reads=reads, binds=_script_outputs(magic.line))
        if magic.name in _HARMLESS_CELL:
            return Effect(reads=reads)
        return Effect(reads=reads, uncertain=f"{magic.shown} may define names")
    if magic.name in _HARMLESS_LINE:
        return Effect(reads=reads)
    words = magic.line.split()
    if magic.name == "autoreload":
        # Only this mode puts names into the namespace that a module has got since.
        if "3" in words or "complete" in words:
            return Effect(uncertain="%autoreload 3 may define names")
        return Effect()
    if magic.name == "aimport":
        return Effect(binds=_names_in(words))
    if magic.name == "store":
        why = "%store may define names"
        if "-r" in magic.line:
            return Effect(binds=_names_in(words), uncertain=why)
        return Effect(reads=_names_in(words), uncertain=why)
    return Effect(reads=reads, uncertain=f"{magic.shown} may define or remove names")


def _names_in(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word.isidentifier())


def _magic(call: ast.Call) -> _Magic | None:
    texts = _texts(call)
    match call.func:
        case ast.Attribute(attr="run_line_magic") if texts is not None and len(texts) == 2:
            return _Magic(name=texts[0], line=texts[1], cell=None)
        case ast.Attribute(attr="run_cell_magic") if texts is not None and len(texts) == 3:
            return _Magic(name=texts[0], line=texts[1], cell=texts[2])
    return None


def _shell_text(call: ast.Call) -> str | None:
    texts = _texts(call)
    match call.func:
        case ast.Attribute(attr="system" | "getoutput") if texts is not None and len(texts) == 1:
            return texts[0]
    return None


def _texts(call: ast.Call) -> list[str] | None:
    """The arguments of `get_ipython().…("…", …)` when all are literal strings."""
    match call.func:
        case ast.Attribute(attr=attr, value=ast.Call(func=ast.Name(id="get_ipython"))) if (
            attr in _CALLS
        ):
            texts = []
            for argument in call.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    texts.append(argument.value)
            if len(texts) == len(call.args) and not call.keywords:
                return texts
    return None


def _without_options(magic: _Magic) -> tuple[str, tuple[str, ...]]:
    """The statement after the magic's options, and the names in the options (`%lprun -f NAME`)."""
    rest, reads = magic.line, []
    while found := _OPTION.match(rest):
        rest = rest[found.end() :]
        letter, value = found.group(1), found.group(2)
        if letter and letter in _OPTIONS_WITH_VALUE.get(magic.name, ""):
            if not value:
                value, _, rest = rest.partition(" ")
            if magic.name in {"lprun", "mprun"} and letter in "fm":
                reads.append(value.split(".")[0])
    return rest.strip(), _names_in(reads)


def _script_outputs(line: str) -> tuple[str, ...]:
    try:
        words = shlex.split(line)
    # A quote without its end.
    except ValueError:
        words = line.split()
    names = []
    for word, following in zip(words, [*words[1:], ""], strict=False):
        option, _, value = word.partition("=")
        if option in {"--out", "--err", "--proc"}:
            names.append(value or following)
    return _names_in(names)


def _interpolated_names(line: str) -> tuple[str, ...]:
    """The names whose values IPython puts in for `$name` and `{expression}`.

    Where that fails, IPython leaves the text as it is.
    """
    names = set(_DOLLAR.findall(line))
    for expression in _BRACES.findall(line):
        try:
            tree = ast.parse(expression.partition("!")[0].strip() or "0", mode="eval")
        except (SyntaxError, ValueError):
            continue
        names |= names_in(tree)
    return tuple(sorted(names))
