"""What star imports of the project's own modules bind; what holds for later steps."""

from __future__ import annotations

import pytest

from nbci.dataflow.code import parse_cell
from nbci.dataflow.inherited_imports import inherited_imports
from nbci.dataflow.names import names_of
from nbci.dataflow.star_imports import star_import_names

_FILES = {
    "nb/features.py": "import os\nfrom math import sqrt as root\ndef clean(df): ...\n_hidden = 1\n"
    "class Model: ...\n",
    "listed.py": "__all__ = ['one', \"_two\"]\none = _two = three = 1\n",
    "grown.py": "__all__ = ['one']\n__all__ += ['two']\none = two = 1\n",
    "package/__init__.py": "from .inner import *\nfrom . import other\n",
    "package/inner.py": "x = 1\n",
    "package/deep/__init__.py": "from ..inner import *\nfrom package.inner import x as y\n",
    "outer.py": "from math import *\n",
    "circle.py": "from circle import *\nx = 1\n",
    "perhaps.py": "import sys\nif sys.argv:\n    x = 1\n",
    "either.py": "try:\n    from a import x\nexcept ImportError:\n    x = None\n",
    "made.py": "globals().update(x=1)\n",
    "broken.py": "x = (\n",
}


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("features", ("Model", "clean", "os", "root")),
        ("listed", ("one", "_two")),
        ("package", ("other", "x")),
        ("package.deep", ("x", "y")),
        ("either", ("x",)),
        ("grown", None),
        ("outer", None),
        ("circle", None),
        ("perhaps", None),
        ("made", None),
        ("broken", None),
        ("math", None),
    ],
)
def test_what_a_star_binds_is_known_of_own_modules_where_it_is_sure(
    module: str, names: tuple[str, ...] | None
) -> None:
    def read(path: str) -> bytes | None:
        return _FILES[path].encode() if path in _FILES else None

    found = star_import_names([f"x = 1\nfrom {module} import *"], ["nb", "."], read)
    assert found == ({} if names is None else {module: names})
    cell = parse_cell(f"from {module} import *", stars=found)
    assert names_of([cell]).imports == frozenset(names or ())
    assert bool(names_of([cell]).uncertain) is (names is None)


def test_later_steps_run_star_imports_of_those_before_and_futures_of_all_above() -> None:
    cells = {
        "a": [(1, parse_cell("from math import *\nx = 1\nfrom __future__ import annotations"))],
        "b": [(2, parse_cell("from os import *"))],
        "c": [(3, parse_cell("1"))],
        "d": [(4, parse_cell("2"))],
    }
    before = {"a": (), "b": (), "c": ("a",), "d": ("b", "c")}
    handed = inherited_imports(cells, before, ["a", "b", "c", "d"])
    assert {name: [one.text for one in found] for name, found in handed.items()} == {
        "a": [],
        "b": ["from __future__ import annotations"],
        "c": ["from math import *", "from __future__ import annotations"],
        "d": ["from math import *", "from __future__ import annotations", "from os import *"],
    }
    assert inherited_imports({"a": [(1, parse_cell("import os"))]}, {"a": ()}, ["a"]) == {}
    may_fail = parse_cell("from gone import *", may_fail=True)
    assert inherited_imports({"a": [(1, may_fail)]}, {"a": ()}, ["a"]) == {}
