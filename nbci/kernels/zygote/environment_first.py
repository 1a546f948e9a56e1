"""Tells whether code changes the environment before it imports; nothing is preloaded for it then.

Its imports must find the changed variables, and a zygote would have imported without them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_BYTES = 1 << 20
"""Larger modules are not read: their kernel's start would have to wait for that."""

# Patterns, not a syntax tree: cells hold magics, which are no Python, and are read at each start.
_CHANGES = re.compile(
    r"""
      \benviron\b\s*\[[^\n]*\]\s*(?:[-+|&^*/%@]|//|\*\*|<<|>>)?=(?!=)  # environ["X"] = "1"
    | \benviron\s*\.\s*(?:update|setdefault|pop|popitem|clear|__\w+item__)\b
    | \benviron\s*\|?=(?!=)
    | \bdel\s[^\n]*\benviron\b
    | ^\s*\w+\s*=\s*(?:\w+\.)*environ\s*(?:\#|$)                       # another name for it
    | \benviron\s+as\s
    # given to a function, but for a few that only read it
    | (?:[.]dict|(?<!dict)(?<!list)(?<!len)(?<!sorted))[(]\s*(?:\w+\.)*environ\s*[,)]
    | \b(?:putenv|unsetenv|setenv|load_dotenv)\b
    | ^\s*%\s*(?:set_env|dotenv)\b
    | ^\s*%\s*env\s+[^\s=]+(?:[ \t]+\S|=)
    | \bmagic\(\s*["'](?:set_env|env|dotenv)\b
    | \bload_ext\s+dotenv\b
    """,
    re.VERBOSE | re.MULTILINE,
)
_IMPORTS = re.compile(
    r"(?:^([ \t]*)|[;:][ \t]*)"
    r"(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+([^\n#;]*)|import[ \t]+([^\n#;]+))",
    re.MULTILINE,
)
_SCRIPTS = re.compile(r"^\s*%\s*run\s+(?:-\w\s+)*([^\s'\"]+)", re.MULTILINE)
_BY_CALL = re.compile(r"\bimport_module\s*\(|\b__import__\s*\(")


def changes_environment_first(sources: Iterable[str], folders: Iterable[str | Path]) -> bool:
    """Whether cells, or the modules in `folders` behind them, may set variables before an import.

    What is not sure counts: a kernel that imports for itself is right in any case.
    """
    text = "\n".join(sources)
    places = [Path(folder) for folder in folders]
    # Of a module the order is not looked at: when its functions are called is not known here.
    if any(_CHANGES.search(module) for module in _modules(text, places)):
        return True
    change = _CHANGES.search(text)
    return change is not None and any(end > change.start() for end in _ends_of_imports(text))


def _ends_of_imports(text: str) -> Iterator[int]:
    """Where code imports, at the latest."""
    for match in _IMPORTS.finditer(text):
        # An indented import may be that of a function, which the last line may call.
        if match[1]:
            yield len(text)
        else:
            yield match.end()
    for match in _BY_CALL.finditer(text):
        yield match.end()


def _modules(text: str, folders: list[Path]) -> Iterator[str]:
    """The texts of modules and scripts in these folders that the text uses, directly or not."""
    pending = [text]
    seen: set[Path] = set()
    while pending:
        for path in _candidate_files(pending.pop(), folders):
            if path in seen or not path.is_file() or path.stat().st_size > MOST_BYTES:
                continue
            seen.add(path)
            module = path.read_text(encoding="utf-8", errors="replace")
            pending.append(module)
            yield module


def _candidate_files(text: str, folders: list[Path]) -> Iterator[Path]:
    """Where what the text imports and runs would lie; most of these files do not exist."""
    for name in _imported_names(text):
        parts = name.strip(".").split(".")
        for folder in folders:
            # An import of `a.b` runs `a/__init__.py` first.
            for length in range(1, len(parts) + 1):
                place = folder.joinpath(*parts[:length])
                yield place.with_name(place.name + ".py")
                yield place / "__init__.py"

    for match in _SCRIPTS.finditer(text):
        for folder in folders:
            yield folder / match[1]
            # IPython adds the suffix where it is left out.
            yield folder / (match[1] + ".py")


def _imported_names(text: str) -> Iterator[str]:
    for match in _IMPORTS.finditer(text):
        module, members, modules = match[2], match[3], match[4]
        if module:
            yield module
            # A member may be a submodule.
            for member in re.findall(r"\w+", members):
                yield f"{module}.{member}"
            continue
        for name in modules.split(","):
            if name.strip():
                yield name.split()[0]


def import_folders(cwd: Path, env: dict[str, str]) -> list[Path]:
    """Where a kernel's own modules are found first."""
    others = [part for part in env.get("PYTHONPATH", "").split(os.pathsep) if part]
    return [cwd, *(cwd / part for part in others)]
