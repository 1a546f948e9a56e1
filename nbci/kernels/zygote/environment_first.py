"""Whether code changes the environment before it imports: then its imports must find that, and none
is done ahead.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_BYTES = 1 << 20

_CHANGES = re.compile(
    r"""
      \benviron\b\s*\[[^\n]*\]\s*(?:[-+|&^*/%@]|//|\*\*|<<|>>)?=(?!=)  # environ["X"] = "1"
    | \benviron\s*\.\s*(?:update|setdefault|pop|popitem|clear|__\w+item__)\b
    | \benviron\s*\|?=(?!=)
    | \bdel\s[^\n]*\benviron\b
    | ^\s*\w+\s*=\s*(?:\w+\.)*environ\s*(?:\#|$)                       # another name for it
    | \benviron\s+as\s
    | (?:[.]dict|(?<!dict)(?<!list)(?<!len)(?<!sorted))[(]\s*(?:\w+\.)*environ\s*[,)]  # given to somebody
    | \b(?:putenv|unsetenv|setenv|load_dotenv)\b
    | ^\s*%\s*(?:set_env|dotenv)\b
    | ^\s*%\s*env\s+[^\s=]+(?:[ \t]+\S|=)
    | \bmagic\(\s*["'](?:set_env|env|dotenv)\b
    | \bload_ext\s+dotenv\b
    """,
    re.VERBOSE | re.MULTILINE,
)
_IMPORTS = re.compile(
    r"(?:^([ \t]*)|[;:][ \t]*)(?:from[ \t]+([\w.]+)[ \t]+import[ \t]+([^\n#;]*)|import[ \t]+([^\n#;]+))",
    re.MULTILINE,
)
_SCRIPTS = re.compile(r"^\s*%\s*run\s+(?:-\w\s+)*([^\s'\"]+)", re.MULTILINE)
_BY_CALL = re.compile(r"\bimport_module\s*\(|\b__import__\s*\(")


def changes_environment_first(sources: Iterable[str], folders: Iterable[str | Path]) -> bool:
    """Whether cells, or modules and scripts of theirs in `folders`, may change the environment
    before an import.

    What is not sure counts: a kernel that imports for itself is right in any case.
    """
    text = "\n".join(sources)
    places = [Path(folder) for folder in folders]
    if any(_CHANGES.search(module) for module in _modules(text, places)):
        return True
    change = _CHANGES.search(text)
    return change is not None and any(place > change.start() for place in _last_imports(text))


def _last_imports(text: str) -> Iterator[int]:
    """Where code imports, at the latest: what is indented may be a function's, called at the end."""
    for match in _IMPORTS.finditer(text):
        yield len(text) if match[1] else match.end()
    for match in _BY_CALL.finditer(text):
        yield match.end()


def _modules(text: str, folders: list[Path]) -> Iterator[str]:
    """The texts of the modules and scripts in these folders that the text uses, and of those that
    they use.
    """
    pending = [text]
    seen: set[Path] = set()
    while pending:
        for path in _files(pending.pop(), folders):
            if path in seen or not path.is_file() or path.stat().st_size > MOST_BYTES:
                continue
            seen.add(path)
            module = path.read_text(encoding="utf-8", errors="replace")
            pending.append(module)
            yield module


def _files(text: str, folders: list[Path]) -> Iterator[Path]:
    for name in _imported(text):
        parts = name.strip(".").split(".")
        for folder in folders:
            for length in range(1, len(parts) + 1):
                place = folder.joinpath(*parts[:length])
                yield place.with_name(place.name + ".py")
                yield place / "__init__.py"
    for match in _SCRIPTS.finditer(text):
        for folder in folders:
            yield folder / match[1]
            yield folder / (match[1] + ".py")


def _imported(text: str) -> Iterator[str]:
    for match in _IMPORTS.finditer(text):
        module, parts, modules = match[2], match[3], match[4]
        if module:
            yield module
            yield from (f"{module}.{part}" for part in re.findall(r"\w+", parts))
        else:
            yield from (name.split()[0] for name in modules.split(",") if name.strip())


def import_folders(cwd: Path, env: dict[str, str]) -> list[Path]:
    """Where a kernel's own modules are found first."""
    others = [part for part in env.get("PYTHONPATH", "").split(os.pathsep) if part]
    return [cwd, *(cwd / part for part in others)]
