"""Wheels made by tests, so that real environments are made without a network."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import ipykernel

if TYPE_CHECKING:
    from collections.abc import Mapping

_METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
_WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def make_wheel(folder: Path, name: str, version: str, files: Mapping[str, str]) -> Path:
    """A wheel that installs these files."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": _METADATA.format(name=name, version=version),
        f"{info}/WHEEL": _WHEEL,
    }
    record = "".join(f"{inside},,\n" for inside in (*contents, f"{info}/RECORD"))
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in {**contents, f"{info}/RECORD": record}.items():
            archive.writestr(inside, text)
    return path


def make_ipykernel_wheel(folder: Path) -> Path:
    """The ipykernel of the tests' own environment as a wheel, by reference: quick, and nothing is
    downloaded.
    """
    real = Path(ipykernel.__file__)
    source = (
        f"__path__ = [{str(real.parent)!r}]\n__file__ = {str(real)!r}\n"
        "exec(open(__file__).read())\n"
    )
    return make_wheel(
        folder,
        "ipykernel",
        "1.0",
        {"ipykernel/__init__.py": source, "beside.pth": f"{real.parent.parent}\n"},
    )
