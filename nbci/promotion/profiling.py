"""Measure the profile of a release: of what its model learnt from, and of its answers.

What is measured is what the run read or made, by its digest, whatever lies in the workspace now.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from msgspec.structs import asdict, replace

from nbci.errors import IntegrityError, Location, UsageError, nearest
from nbci.formatting.numbers import listed
from nbci.pipeline.paths import overlap
from nbci.records.codec import to_json
from nbci.records.manifest import PROFILE_PATH
from nbci.records.profile import Profile, ReleaseProfile
from nbci.store.file_index import FileIndex, project_index
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pyarrow as pa

    from nbci.behaviour.predictions import Predictions
    from nbci.pipeline.models import Model
    from nbci.profiles.data_files import Table
    from nbci.promotion.candidate import Candidate
    from nbci.records.run_record import FileRef, RunRecord

FEATURE_ROWS = 500
_DIGITS = 5
_BATCH_ROWS = 65_536
_NAMED = 5


def data_of(spec: Model, record: RunRecord) -> dict[str, tuple[FileRef, ...]]:
    """By each path of the model's `profile`, what the run recorded of the files there.

    UsageError for a path that no step of the run read or made.
    """
    known: dict[str, FileRef] = {}
    for step in record.steps:
        # What a step made is what later steps read.
        known |= {ref.path: ref for ref in step.deps}
        known |= {ref.path: ref for ref in step.outs}
    found = {}
    for path in spec.profile:
        refs = [ref for name, ref in known.items() if overlap(path.rstrip("/"), name)]
        if not refs:
            close = nearest(path, known)
            hint = f"declare it as a dep or an out of a step; there are: {listed([*known], _NAMED)}"
            if close:
                hint = f"did you mean {close}?"
            raise UsageError(
                f"no step of run {record.run} read or made {path}, "
                f"whose profile the model {spec.name} asks for",
                hint=hint,
            )
        found[path] = tuple(refs)
    return found


def make_profile(candidate: Candidate, scratch: Path) -> FileRef | None:
    """Measure the profile and keep it as an object; None where the model asks for none."""
    if not candidate.spec.profile:
        return None
    folder = scratch / "data"
    folder.mkdir()
    profile = _training_profile(candidate, folder)
    profile = _with_answers(candidate, folder, profile)
    write_atomic(scratch / PROFILE_PATH, to_json(profile))
    return candidate.artifacts.keep(scratch, PROFILE_PATH, FileIndex(scratch / ".digests"))


def _training_profile(candidate: Candidate, folder: Path) -> ReleaseProfile:
    from nbci.profiles.data_files import open_table
    from nbci.profiles.domain import sample_features
    from nbci.profiles.measure import measure_files

    measured: list[Profile] = []
    features: tuple[tuple[float, ...], ...] = ()
    for path, refs in candidate.data.items():
        _bring(candidate, refs, folder)
        table = open_table(folder / path)
        profile = measure_files(table)
        _refuse_unreadable(path, table, profile)
        if table.are_images and not features:
            rows = sample_features(table.batches(), profile, most=FEATURE_ROWS)
            features = tuple(map(tuple, rows.round(_DIGITS).tolist()))
        sources = {ref.path: ref.digest for ref in refs}
        measured.append(replace(profile, sources=sources))
    return _joined(measured, features)


def _refuse_unreadable(path: str, table: Table, profile: Profile) -> None:
    """A profile of nothing would let everything pass."""
    if profile.rows and any(column.values for column in profile.columns):
        return
    why = "it has no rows"
    if table.problems:
        why = table.problems[0]
    raise UsageError(f"there is nothing in {path} to make a profile of: {why}")


def _joined(measured: Sequence[Profile], features: tuple[tuple[float, ...], ...]) -> ReleaseProfile:
    """The columns of all tables; UsageError where two of them have a column of one name."""
    columns: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for profile in measured:
        for column in profile.columns:
            if column.name in columns:
                raise UsageError(
                    f"two of the model's profiles have a column {column.name!r}",
                    hint="name the folder that holds the parts of one table",
                )
            columns[column.name] = column
        sources |= profile.sources or {}
    return ReleaseProfile(
        rows=max(profile.rows for profile in measured),
        columns=tuple(columns.values()),
        sources=sources,
        features=features,
    )


def _with_answers(candidate: Candidate, folder: Path, profile: ReleaseProfile) -> ReleaseProfile:
    """The profile with that of the predictions which evaluated the model, where a step has them."""
    from nbci.behaviour.estimated_performance import LEAST_CASES, calibrate
    from nbci.behaviour.predictions_file import read_predictions
    from nbci.profiles.measure import measure_table

    ref = _predictions_ref(candidate)
    if ref is None:
        return profile
    _bring(candidate, [ref], folder)
    suffix = PurePosixPath(ref.path).suffix
    predictions = read_predictions(folder / ref.path, ref.path, suffix=suffix)
    answers = measure_table(_answer_batches(predictions))
    evaluation = Profile(**{**asdict(answers), "role": "evaluation"})
    calibration = None
    # Few cases, or none with a score, estimate nothing: the monitor says so when it is asked to.
    if predictions.confidence is not None and len(predictions) >= LEAST_CASES:
        calibration = calibrate(predictions)
    return replace(
        profile,
        evaluation=replace(evaluation, sources={ref.path: ref.digest}),
        calibration=calibration,
    )


def _predictions_ref(candidate: Candidate) -> FileRef | None:
    """The predictions of the model's `evaluate` step, or of the only step that declares some."""
    steps = [step for step in candidate.plan.steps if step.predictions is not None]
    if candidate.spec.evaluate is not None:
        name = candidate.spec.evaluate
        steps = [step for step in steps if name in (step.name, step.name.partition("/")[0])]
    if len(steps) != 1:
        return None
    return candidate.record.outs.get(steps[0].predictions or "")


def _answer_batches(predictions: Predictions) -> Iterable[pa.RecordBatch]:
    """Labels, answers and scores; classes as the categories that they are, also where numbers."""
    import pyarrow as pa

    columns: dict[str, pa.Array] = {}
    for name, values in (("label", predictions.labels), ("prediction", predictions.predictions)):
        columns[name] = pa.array(values)
        if predictions.classes:
            classes = pa.array(predictions.classes)
            columns[name] = pa.DictionaryArray.from_arrays(pa.array(values), classes)
    if predictions.confidence is not None:
        columns["score"] = pa.array(predictions.confidence)
    table: Iterable[pa.RecordBatch] = pa.table(columns).to_batches(_BATCH_ROWS)
    return table


def _bring(candidate: Candidate, refs: Iterable[FileRef], folder: Path) -> None:
    """Put the files into the folder as the run had them.

    IntegrityError names what is neither kept nor in the workspace as it was.
    """
    artifacts, root = candidate.artifacts, candidate.project.root
    index, there = FileIndex(folder / ".digests"), project_index(candidate.project)
    for ref in refs:
        if artifacts.missing_objects(ref.digest):
            place = root / ref.path
            # What git tracks is in no cache of DVC.
            if not place.exists() or there.fingerprint(root, ref.path).digest != ref.digest:
                raise IntegrityError(
                    "what the run read is not here any more, or was altered: "
                    "its profile cannot be measured",
                    where=Location(ref.path),
                    hint="run again",
                )
            artifacts.keep(root, ref.path, there)
        artifacts.restore(folder, ref, index)
