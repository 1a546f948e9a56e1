"""constraints.txt is what `make lock` makes of pyproject.toml, so it has a version for all that is
asked for there.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[1]
_PROJECT = tomllib.loads((_ROOT / "pyproject.toml").read_text())
_PINS = [
    Requirement(line)
    for line in (_ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def _asked_for() -> Iterator[str]:
    yield from _PROJECT["build-system"]["requires"]
    yield from _PROJECT["project"]["dependencies"]
    for requirements in _PROJECT["project"]["optional-dependencies"].values():
        yield from requirements
    for group in _PROJECT["dependency-groups"].values():
        # A table names another group, whose own turn comes.
        yield from (entry for entry in group if isinstance(entry, str))


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("text", sorted(set(_asked_for())))
def test_what_pyproject_asks_for_has_one_version(text: str, python: str) -> None:
    asked = Requirement(text)
    surroundings = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_system": "Linux",
    }
    pinned = [
        pin
        for pin in _PINS
        if canonicalize_name(pin.name) == canonicalize_name(asked.name)
        and (pin.marker is None or pin.marker.evaluate(surroundings))
    ]

    assert len(pinned) == 1, (
        f"{asked.name} has {len(pinned)} versions in constraints.txt: run `make lock`"
    )
    (version,) = (specifier.version for specifier in pinned[0].specifier)
    assert asked.specifier.contains(version), f"{text} does not allow {version}: run `make lock`"
