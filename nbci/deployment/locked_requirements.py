"""The distributions that serve a release, each at one version, as pip takes them.

They are those of nbci's extra `serve` and all that they need, at the versions of this machine,
where the release is tried, and which its promotion was made with.
"""

from __future__ import annotations

import functools
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING

import nbci
from nbci.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nbci.records.manifest import Manifest

_ROOT = "nbci"
_EXTRA = "serve"


def image_python() -> str:
    """The version of Python that the requirements are for, such as `3.12`."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def locked_requirements(manifest: Manifest) -> dict[str, str]:
    """Versions by the normal names of distributions; nbci itself is the first.

    A release that a notebook answers for also gets what its steps were seen to use, at the
    versions that they used.
    """
    found = {_ROOT: nbci.__version__}
    found |= dict(sorted(_needed(_ROOT, _EXTRA).items()))
    if manifest.served_by is not None:
        for step in manifest.steps:
            # The model was made with these, and its file may be read by no others.
            for name, version in (step.distributions or {}).items():
                found[_normal(name)] = version
    return found


@functools.cache
def _needed(root: str, extra: str) -> Mapping[str, str]:
    """All that a distribution with an extra needs, as it is installed here."""
    from packaging.requirements import Requirement

    found: dict[str, str] = {}
    waiting: list[tuple[str, frozenset[str]]] = [(root, frozenset((extra,)))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        # Distributions need each other in circles.
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            installed = distribution(name)
        except PackageNotFoundError as error:
            raise UsageError(
                f"{name} is not installed here, so its version cannot be told",
                hint="pip install 'nbci[serve]'",
            ) from error
        if name != root:
            found[name] = installed.version
        for text in installed.requires or ():
            requirement = Requirement(text)
            marker = requirement.marker
            # An extra's requirements have it in their marker.
            if marker is None or any(marker.evaluate({"extra": each}) for each in extras or ("",)):
                waiting.append((_normal(requirement.name), frozenset(requirement.extras)))
    return found


def _normal(name: str) -> str:
    """The name as indexes have it: https://peps.python.org/pep-0503/#normalized-names."""
    return re.sub(r"[-_.]+", "-", name).lower()
