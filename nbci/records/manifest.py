"""The evidence of a release: what was promoted, made of what, how it was judged, and by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from msgspec import Struct, field

from nbci.dot_nbci import NBCI_FOLDER
from nbci.handoff.values import ValueRef
from nbci.records.cause import Cause
from nbci.records.chosen import Chosen, Confirmed
from nbci.records.proof import Agreement
from nbci.records.run_record import FileRef, Metric, ParameterValue
from nbci.records.verdict import Verdict

FORMAT = 1

MANIFEST_PATH = f"{NBCI_FOLDER}/release.json"
"""Where a release commit has it, under the project's root."""
CARD_PATH = f"{NBCI_FOLDER}/release.md"
"""Beside it the same for people."""
PROFILE_PATH = "nbci-profile.json"
"""Where DVC has the profile; the release commit has its `.dvc` file.

It is no path in `.nbci`, into which nothing is put that comes from a remote.
"""


class EvidenceStep(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One step behind the model: what it ran, took and gave.

    `run` is the run that made it, when it was reused.
    """

    name: str
    notebook: str
    result: str
    key: str | None = None
    run: str | None = None
    started_utc: str | None = None
    ended_utc: str | None = None
    host: str | None = None
    kernel: str | None = None
    kernel_version: str | None = None
    after: tuple[str, ...] = ()
    params: Mapping[str, Any] | None = None
    takes: tuple[ValueRef, ...] = ()
    gives: tuple[ValueRef, ...] = ()
    deps: tuple[FileRef, ...] = ()
    outs: tuple[FileRef, ...] = ()
    metrics: tuple[Metric, ...] = ()
    distributions: Mapping[str, str] | None = None


class Promoter(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Who promoted, as git knows them, and the user and machine that did it."""

    name: str
    email: str
    user: str | None = None
    host: str | None = None


class ReleaseProof(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The proof of the run: what carrying it out again gave for the steps behind the model.

    `run` is the second run, on `host`; `digest` is that of its proof.json (SHA-256), `seal` that of
    its seal. Numbers that differ by the share `tolerance` at most count as equal.
    """

    run: str
    agreement: Agreement
    sentence: str
    tolerance: float
    digest: str
    seal: str
    started_utc: str | None = None
    host: str | None = None
    steps: tuple[str, ...] = ()


class ServedBy(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What answers for a model that is not ONNX: the function `predict` of a notebook.

    `files` are the notebook and what else it needs, with DVC's digests.
    """

    notebook: str
    files: tuple[FileRef, ...]


class Manifest(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A release: what was promoted, made by which run of which commit, and how it was judged.

    `files` are the model, with DVC's digests, `sample` is what it has to answer as recorded,
    `served_by` the notebook that answers where it is not ONNX, `profile` what its data look like (a
    `ReleaseProfile`); `sources` are the notebooks and pipeline files. `commit` is what was built,
    `branch` the branch that it was built for; `seal` is the digest of the run's records, which
    `seal_signature` signs (an SSH signature) where the run was signed. `metrics` are those of the
    run by full name, `declared` their units and directions as the pipeline has them, `verdict` what
    the gates answered. `details` is what was found when the model was tried: its framework,
    signature, how it answered. `proof` is that of the run, where it was carried out again; `chosen`
    is the search that its values are from, where it is of one, and `confirmed` what they gave where
    no trial had looked. `because` is the decision that started the run, where no person did.
    """

    model: str
    version: str
    run: str
    pipeline: str
    target: str
    commit: str
    promoted_utc: str
    by: Promoter
    nbci: str
    format: int = field(default_factory=lambda: FORMAT)
    branch: str | None = None
    stage: str | None = None
    build_url: str | None = None
    seal: str | None = None
    seal_signature: str | None = None
    files: tuple[FileRef, ...] = ()
    sample: FileRef | None = None
    profile: FileRef | None = None
    served_by: ServedBy | None = None
    sources: Mapping[str, str] | None = None
    params: tuple[ParameterValue, ...] = ()
    metrics: Mapping[str, float] | None = None
    declared: Mapping[str, Mapping[str, str]] | None = None
    verdict: Verdict | None = None
    platform: str | None = None
    python: str | None = None
    steps: tuple[EvidenceStep, ...] = ()
    details: Mapping[str, Any] | None = None
    proof: ReleaseProof | None = None
    chosen: Chosen | None = None
    confirmed: Confirmed | None = None
    because: Cause | None = None

    @property
    def served(self) -> Mapping[str, str]:
        """The paths of what answers, by the names under which it is served.

        A notebook that answers for the model, else its ONNX files.
        """
        if self.served_by is not None:
            return {self.model: self.served_by.notebook}
        paths = self._onnx_paths()
        # One file is the model; several are told apart by their own names.
        if len(paths) == 1:
            return {self.model: paths[0]}
        return {f"{self.model}.{name}": path for path, name in file_names(paths).items()}

    def _onnx_paths(self) -> list[str]:
        """The ONNX files, also those that lie in a folder which a step made."""
        tried = (self.details or {}).get("trials", ())
        paths = [str(trial["path"]) for trial in tried if str(trial["path"]).endswith(".onnx")]
        # What the evidence has no digest of is compared by nobody.
        inside = [path for path in paths if _lies_in(path, self.files)]
        return inside or [ref.path for ref in self.files if ref.path.endswith(".onnx")]

    def step(self, name: str) -> EvidenceStep | None:
        """The step of that name."""
        for step in self.steps:
            if step.name == name:
                return step
        return None


def _lies_in(path: str, files: Sequence[FileRef]) -> bool:
    """Whether the path is one of the files, or lies in a folder that is one of them."""
    place = PurePosixPath(path)
    if ".." in place.parts:
        return False
    return any(place.is_relative_to(ref.path) for ref in files)


def file_names(paths: Sequence[str]) -> dict[str, str]:
    """What tells the files of one model apart: their names, or their paths where those are alike.

    >>> file_names(["out/encoder.onnx", "out/decoder.onnx"])
    {'out/encoder.onnx': 'encoder', 'out/decoder.onnx': 'decoder'}
    >>> file_names(["a/m.onnx", "b/m.onnx"])
    {'a/m.onnx': 'a/m', 'b/m.onnx': 'b/m'}
    """
    names = {path: PurePosixPath(path).stem for path in paths}
    if len(set(names.values())) < len(names):
        return {path: str(PurePosixPath(path).with_suffix("")) for path in paths}
    return names
