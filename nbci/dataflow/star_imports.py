"""What `from MODULE import *` binds, where the module is one of the project's own."""

from __future__ import annotations

import ast
import posixpath
import re
from typing import TYPE_CHECKING

from nbci.dataflow.code import CellSyntaxError, parse_cell
from nbci.dataflow.names import names_of
from nbci.dataflow.syntax import is_star_import

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from nbci.dataflow.code import Stars

_STAR = re.compile(r"^[ \t]*from[ \t]+([A-Za-z_][\w.]*)[ \t]+import[ \t]*\(?[ \t]*\*", re.MULTILINE)


def star_import_names(
    texts: Iterable[str], folders: Sequence[str], read: Callable[[str], bytes | None]
) -> Stars:
    """The names that the star imports in these texts bind, by module.

    Only modules that `read` can read are in the result. `folders` are where Python looks for
    modules of the project, `read` gives the content of a file, None where there is none. A module
    of which not all is sure is left out.
    """
    modules: dict[str, None] = {}
    for text in texts:
        modules |= dict.fromkeys(_STAR.findall(text))
    project = _Modules(folders, read)
    found = {}
    for module in modules:
        names = project.public(module)
        if names is not None:
            found[module] = names
    return found


class _Modules:
    def __init__(self, folders: Sequence[str], read: Callable[[str], bytes | None]) -> None:
        self.folders = folders
        self.read = read
        self.pending: set[str] = set()

    def public(self, module: str) -> tuple[str, ...] | None:
        """The names that a star import of the module binds; None where they are not certain."""
        found = self._source(module)
        # A module is pending while modules import each other in a circle.
        if found is None or module in self.pending:
            return None
        self.pending.add(module)
        try:
            return self._names(module, *found)
        finally:
            self.pending.discard(module)

    def _source(self, module: str) -> tuple[str, bool] | None:
        """The module's text, and whether it is a package."""
        place = module.replace(".", "/")
        for folder in self.folders:
            for path, is_package in ((f"{place}/__init__.py", True), (f"{place}.py", False)):
                data = self.read(posixpath.normpath(posixpath.join(folder, path)))
                if data is not None:
                    return data.decode("utf-8-sig", errors="replace"), is_package
        return None

    def _names(self, module: str, text: str, is_package: bool) -> tuple[str, ...] | None:
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        mentions = _mentions_of_all(tree)
        # A second mention of `__all__` may change it, in ways that cannot be followed.
        if mentions > 1:
            return None
        if mentions:
            return _listed_names(tree)
        package = module
        if not is_package:
            package = module.rpartition(".")[0]
        inner: dict[str, tuple[str, ...]] = {}
        for node in ast.walk(tree):
            if is_star_import(node):
                names = self.public(_absolute(node, package))
                if names is None:
                    return None
                inner["." * node.level + (node.module or "")] = names
        return _public_names(text, inner)


def _mentions_of_all(tree: ast.AST) -> int:
    count = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "__all__":
            count += 1
    return count


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    # One point is the package itself, each further one a package around it.
    parts = package.split(".")
    parts = parts[: len(parts) - node.level + 1]
    if node.module:
        parts.append(node.module)
    return ".".join(parts)


def _listed_names(tree: ast.Module) -> tuple[str, ...] | None:
    """What `__all__ = […]` lists."""
    for node in tree.body:
        match node:
            case ast.Assign(
                targets=[ast.Name(id="__all__")], value=ast.List(elts=items) | ast.Tuple(elts=items)
            ):
                texts = []
                for item in items:
                    if not (isinstance(item, ast.Constant) and isinstance(item.value, str)):
                        return None
                    texts.append(item.value)
                return tuple(texts)
    return None


def _public_names(text: str, inner: Stars) -> tuple[str, ...] | None:
    try:
        names = names_of([parse_cell(text, stars=inner)])
    except CellSyntaxError:
        return None
    # Without `__all__`, a star import leaves out names that begin with an underscore.
    public = sorted(name for name in names.binds if not name.startswith("_"))
    if names.uncertain or not names.surely_binds.issuperset(public):
        return None
    return tuple(public)
