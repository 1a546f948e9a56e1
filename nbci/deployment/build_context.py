"""The build context of an image that serves a release: a folder that Docker needs nothing beside.

Nothing in it is a secret: the token is handed to the container by its name, when that is started.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.deployment.locked_requirements import image_python, locked_requirements
from nbci.deployment.release_folder import copy_file, copy_release
from nbci.digests import bytes_digest
from nbci.dot_nbci import TEMPORARY_PREFIX
from nbci.errors import IntegrityError, UsageError
from nbci.store.files import disk_errors, remove
from nbci.store.safe_paths import place_inside

if TYPE_CHECKING:
    from nbci.deployment.target import Bundle, Surroundings
    from nbci.pipeline.deploy_document import ImageOptions

CONTEXT = "context"
PORT = 8080
"""Where the server listens inside of its container."""
VERSION_LABEL = "io.nbci.version"
MODEL_LABEL = "io.nbci.model"
SETTINGS_LABEL = "io.nbci.settings"
_USER = 10001
_HEALTH = (
    f"import urllib.request as r; r.urlopen('http://127.0.0.1:{PORT}/v2/health/ready', timeout=2)"
)
_HEALTH_TIMES = "--interval=5s --timeout=3s --start-period=30s --retries=3"


class Image(Struct, frozen=True, kw_only=True):
    """An image to be: its name with its tag, the folder that it is built of, and what was noted."""

    name: str
    folder: Path
    notes: tuple[str, ...] = ()


def settings_of(options: ImageOptions) -> str:
    """What tells the settings of an image and its container from others."""
    text = json.dumps([str(options), image_python()])
    return bytes_digest(text.encode())[:16]


def image_name(options: ImageOptions, around: Surroundings, version: str) -> str:
    """The image of a version; its tag is the version, in the letters that tags have."""
    name = options.image or around.label
    return f"{name}:{version.replace('+', '-')}"


def write_context(options: ImageOptions, around: Surroundings, bundle: Bundle) -> Image:
    """Write the folder anew, whole or not at all."""
    wheel = _wheel(options, around)
    requirements = locked_requirements(bundle.manifest)
    notes = []
    base = options.base or f"python:{image_python()}-slim"
    if "@sha256:" not in base:
        notes.append(f"the base image {base} is pinned by its tag only: base: NAME:TAG@sha256:...")
    if wheel is None:
        notes.append(f"nbci {requirements['nbci']} comes from the index that pip uses: or wheel:")
    else:
        # pip would look for it in an index, where it may not be, or be another one.
        del requirements["nbci"]
    with disk_errors(around.folder):
        around.folder.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=around.folder, prefix=TEMPORARY_PREFIX))
        release = place / "release"
        release.mkdir()
        copy_release(bundle, release)
        if wheel is not None:
            copy_file(wheel, place / "wheels" / wheel.name)
        lines = [f"{name}=={version}" for name, version in requirements.items()]
        (place / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        dockerfile = _dockerfile(options, bundle, base, has_wheel=wheel is not None)
        (place / "Dockerfile").write_text(dockerfile, encoding="utf-8")
        # Docker reads the folder as the user who asks it, and images as whoever runs them.
        os.chmod(place, 0o755)  # noqa: S103 - a release is no secret
        folder = around.folder / CONTEXT
        remove(folder)
        place.rename(folder)
    return Image(
        name=image_name(options, around, bundle.version), folder=folder, notes=tuple(notes)
    )


def _wheel(options: ImageOptions, around: Surroundings) -> Path | None:
    if options.wheel is None:
        return None
    try:
        path = place_inside(around.project, options.wheel)
    except IntegrityError as error:
        raise UsageError(f"the wheel {options.wheel!r} lies outside the project") from error
    if path.suffix != ".whl" or not path.is_file():
        raise UsageError(
            f"there is no wheel {options.wheel}", hint="pip wheel --no-deps -w dist nbci"
        )
    return path


def _dockerfile(options: ImageOptions, bundle: Bundle, base: str, *, has_wheel: bool) -> str:
    serve = [f"{bundle.model}@{bundle.version}", "--from", "/srv/release"]
    serve += ["--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104 - inside of its container
    serve += ["--workers", str(options.workers)]
    if options.open:
        serve.append("--open")
    lines = [
        "# Written by nbci deploy, which writes it anew each time.",
        f"FROM {base}",
        "ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1",
        f"RUN useradd --create-home --uid {_USER} nbci",
        "COPY requirements.txt /srv/requirements.txt",
        # All that is needed is in the file: pip is to choose nothing.
        "RUN pip install --no-deps --requirement /srv/requirements.txt",
    ]
    if has_wheel:
        lines += [
            "COPY wheels /srv/wheels",
            "RUN pip install --no-deps /srv/wheels/*.whl",
        ]
    lines += [
        f"COPY --chown={_USER}:{_USER} release /srv/release",
        # After what takes long to build: these differ from version to version.
        f"LABEL {MODEL_LABEL}={json.dumps(bundle.model)}",
        f"LABEL {VERSION_LABEL}={json.dumps(bundle.version)}",
        f"LABEL io.nbci.commit={json.dumps(bundle.commit)}",
        f"LABEL {SETTINGS_LABEL}={json.dumps(settings_of(options))}",
        f"USER {_USER}:{_USER}",
        "WORKDIR /home/nbci",
        f"EXPOSE {PORT}",
        f"HEALTHCHECK {_HEALTH_TIMES} CMD {json.dumps(['python', '-c', _HEALTH])}",
        f"ENTRYPOINT {json.dumps(['nbci', 'serve'])}",
        f"CMD {json.dumps(serve)}",
    ]
    return "\n".join(lines) + "\n"
