"""A folder with releases side by side, and a link that says which of them is served."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.dot_nbci import TEMPORARY_PREFIX
from nbci.store.files import disk_errors, link_or_copy, remove

if TYPE_CHECKING:
    from nbci.deployment.target import Bundle

CURRENT = "current"
_RELEASES = "releases"


class ReleaseFolder:
    """Releases in `releases/VERSION`, and the link `current` to one of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def current(self) -> Path:
        """The link, which a server follows."""
        return self._folder / CURRENT

    @property
    def version(self) -> str | None:
        """The version that the link leads to; None where there is no link."""
        try:
            return Path(os.readlink(self.current)).name
        except OSError:
            return None

    def place(self, bundle: Bundle) -> None:
        """Put a release beside the others; what lies there under its version is replaced."""
        place = self._folder / _RELEASES / bundle.version
        with disk_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            name = tempfile.mkdtemp(dir=place.parent, prefix=TEMPORARY_PREFIX)
            copy_release(bundle, Path(name))
            # A running server has read what lies there: it needs the files no more.
            remove(place)
            os.rename(name, place)

    def point_to(self, version: str) -> None:
        """Turn the link to a version that lies here, in one step."""
        temporary = self._folder / f"{TEMPORARY_PREFIX}{CURRENT}"
        with disk_errors(self.current):
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(Path(_RELEASES) / version)
            os.replace(temporary, self.current)

    def keep_only(self, versions: set[str]) -> None:
        """Remove the releases that nobody goes back to."""
        # Models are large, and each deployment brings one.
        for place in (self._folder / _RELEASES).iterdir():
            if place.name not in versions:
                remove(place)


def copy_release(bundle: Bundle, target: Path) -> None:
    """Put a release's files and its evidence into an empty folder."""
    # mkdtemp lets only the owner in, and a container's user is another one.
    os.chmod(target, 0o755)  # noqa: S103 - a release is no secret
    for folder, _, names in os.walk(bundle.folder):
        for name in names:
            # What begins with a point is nbci's own, beside the release.
            if name.startswith("."):
                continue
            source = Path(folder) / name
            # Links where they can be: a model of gigabytes is not written twice.
            link_or_copy(source, target / source.relative_to(bundle.folder))


def copy_file(source: Path, target: Path) -> None:
    """A copy of a file for a build context, which has no links to anything outside."""
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
