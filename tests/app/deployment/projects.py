"""A project with releases that were never run: tags, evidence, and files in the user's cache."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import msgspec

from nbci.app.deployment.deploy import Deployments, DeployRequest, deploy
from nbci.app.serving.released import served_folder
from nbci.git.process import Git
from nbci.records.codec import to_json
from nbci.records.manifest import MANIFEST_PATH
from tests.deployment.bundles import make_bundle

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = """\
steps:
  fit: {notebook: fit.ipynb}
models:
  linear: {path: linear.onnx, stage: production}
  other: {path: other.onnx}
deploy:
  shelf: {model: linear, process: {port: 0}, ready_within: 20s}
  second: {model: linear, agent: gpu, process: {port: 0}}
"""


class ReleasedProject:
    """A clone and its bare origin; `release` makes a version of the model `linear`."""

    def __init__(self, root: Path) -> None:
        self.root = root / "project"
        self.origin = root / "origin.git"
        self.told: list[str] = []
        self._number = 0
        subprocess.run(["git", "init", "-q", "--bare", self.origin], check=True)
        subprocess.run(["git", "init", "-q", self.root], check=True)
        (self.root / "p.yaml").write_text(PIPELINE)
        (self.root / ".gitignore").write_text(".nbci\n")
        self.git = Git(self.root)
        self.git("add", ".")
        self.git("commit", "-qm", "a project")
        self.git("remote", "add", "origin", str(self.origin))

    def release(self, version: str) -> None:
        self._number += 1
        made = make_bundle(self.root / ".nbci" / version, version)
        manifest = msgspec.structs.replace(made.manifest, run=f"R{self._number}")
        place = self.root / MANIFEST_PATH
        self.git("checkout", "-q", "--detach")
        place.parent.mkdir(exist_ok=True)
        place.write_text(to_json(manifest))
        self.git("add", "-f", MANIFEST_PATH)
        self.git("commit", "-qm", f"release {version}")
        commit = self.git("rev-parse", "HEAD")
        self.git("tag", "-a", "-m", "m", f"linear@{version}")
        self.git("tag", "-a", "-m", "m", f"linear#production#{self._number}")
        self.git("checkout", "-q", "main")
        self.git("push", "-q", "--tags", "origin", "main")
        # As if a server had brought it from the DVC remote before.
        cached = self.cached(commit)
        cached.parent.mkdir(parents=True, exist_ok=True)
        made.folder.rename(cached)

    def cached(self, commit: str) -> Path:
        return served_folder(commit, os.environ)

    def deploy(self, reference: str, *words: str, **options: object) -> Deployments:
        """As the command does; the first word is the place."""
        fields = {"reference": reference, "target": words[0] if words else None, **options}
        environ = {**os.environ, **fields.pop("environ", {})}  # type: ignore[dict-item] # a dict
        request = msgspec.convert(fields, DeployRequest)
        return deploy(self.root, request, environ, self.told.append)

    def tags(self) -> list[str]:
        """Those of deployments, at the origin."""
        return sorted(Git(self.origin)("tag", "--list", "*deployed*").splitlines())
