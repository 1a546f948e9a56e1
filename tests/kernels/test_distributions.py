"""Which distributions modules come from, as their lists of files have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.kernels.distributions import distributions_of

if TYPE_CHECKING:
    from pathlib import Path


def install(site: Path, name: str, *paths: str) -> None:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    lines = [f"{path},sha256=x,1" for path in (*paths, f"{info.name}/METADATA")]
    (info / "RECORD").write_text("\n".join(lines))


def test_modules_of_a_list_of_files(tmp_path: Path) -> None:
    install(tmp_path, "single", "single.py", "__pycache__/single.cpython-311.pyc", "single.txt")
    install(tmp_path, "compiled", "fast.cpython-311-x86_64-linux-gnu.so", "../../../bin/fast")
    install(tmp_path, "one", "shared/one/a.py", "shared/one/b.py", "shared/one.data/c.py")
    install(tmp_path, "two", "shared/oneself.py", "shared/__pycache__/x.pyc", "shared/one_.py")
    install(tmp_path, "apart", "p/a/1.py", "p/b/1.py", "p/a/2.py", "px/a/1.py", "p.py")
    path = [str(tmp_path)]

    def owners(*modules: str) -> set[str]:
        return set(distributions_of(modules, path))

    assert owners("single") == {"single"}
    assert owners("fast") == {"compiled"}
    assert owners("shared") == {"one", "two"}
    assert owners("shared/one") == {"one"}
    assert owners("shared/oneself") == owners("shared/one_") == {"two"}
    assert owners("p") == owners("p/a") == owners("p/b") == owners("px") == {"apart"}
    assert owners("__pycache__", "shared/__pycache__", "bin", "..") == set()
