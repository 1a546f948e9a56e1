"""What a step was seen to use beside what it declares, as parts of its record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.dot_nbci import NBCI_FOLDER
from nbci.engine.observed.import_folders import forms_of
from nbci.engine.observed.kinds import BY_NAME, RUN_ID, STEP_NAME
from nbci.engine.observed.states import GONE, facets_of
from nbci.engine.steps.deps import with_data
from nbci.pipeline.paths import is_in
from nbci.records.run_record import Part
from nbci.secrets import credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from nbci.engine.observed.states import Surroundings
    from nbci.kernels.job import Seen, Sight
    from nbci.plan.model import PlannedStep
    from nbci.secrets import Mask

_NOT_OUTS = (".git/", f"{NBCI_FOLDER}/", ".ipynb_checkpoints/")
OF_NBCI = {"NBCI_RUN": RUN_ID, "NBCI_STEP": STEP_NAME}
"""Variables that nbci sets for a step, each with the kind of what it tells."""
_OF_THE_KERNEL = frozenset((*OF_NBCI, "NBCI_KERNEL", "JPY_PARENT_PID", "JPY_SESSION_NAME"))
"""Variables that differ for every kernel."""
_ALWAYS = ("TZ",)
"""Variables that C code reads wherever a program asks for the local time."""


def observed_parts(
    step: PlannedStep, seen: Seen, distributions: Mapping[str, str], surroundings: Surroundings
) -> tuple[Part, ...]:
    """What the step used beside what it declares, each with its state at the step's end.

    For a step with an environment its lock file stands for interpreter and packages, so that it
    need not be made only to see that nothing has changed.
    """
    labels = _Labels(surroundings.root, step, seen.search_path)
    found = [
        *_interpreter(step, seen, distributions),
        *_files(labels, seen),
        *_process(step, seen, surroundings),
    ]
    # Known only now, when all files have been named.
    if labels.has_neighbours:
        found.append(("place", str(surroundings.root), ""))
    return tuple(_as_part(entry, surroundings) for entry in _without_covered(found))


def _files(labels: _Labels, seen: Seen) -> Iterator[_Observed]:
    for path in seen.modules:
        # A module may have been made and removed again by the step, as a test's are.
        if os.path.exists(path):
            yield ("module", labels.of(path), "")
    yield from labels.of_sights(_sights_that_last(seen))


def _process(step: PlannedStep, seen: Seen, surroundings: Surroundings) -> Iterator[_Observed]:
    """Variables, files that the step does not declare, and what nbci cannot compare."""
    for name in _variables(step, seen, surroundings.environ):
        yield ("variable", name, "")
    for path in undeclared(surroundings.root, step, seen.written):
        yield ("written", path, "")
    for name in seen.variables:
        # A step whose `env` sets the variable itself reads what its key has already.
        if name in OF_NBCI and name not in (step.env or {}):
            yield (OF_NBCI[name], name, "")
    for host in seen.network:
        yield ("network", host, "")
    for name in seen.programs:
        yield ("program", name, "")
    for name in seen.unwatched:
        yield ("unwatched", name, "")
    if seen.has_secret_paths:
        yield ("secret path", "", "")


def _as_part(observed: _Observed, surroundings: Surroundings) -> Part:
    """The observation with its state now, where that is not known in full."""
    kind, label, state = observed
    part = Part(kind=kind, label=label, digest=state)
    # A state that ends in a bar has the suffixes that count, and lacks the names.
    if state and not state.endswith("|"):
        return part
    return replace(part, digest=BY_NAME[kind].state(surroundings, part))


_Observed = tuple[str, str, str]
"""Kind, label, and the state where its kind cannot tell it without; else no text."""


def _interpreter(
    step: PlannedStep, seen: Seen, distributions: Mapping[str, str]
) -> Iterator[_Observed]:
    if step.environment is not None:
        yield ("environment", step.environment, "")
        return
    yield ("kernel", step.kernel, "")
    yield ("interpreter", seen.interpreter, "")
    for folder in seen.site_folders:
        yield ("site", folder, "")
    for name, version in distributions.items():
        yield ("package", name, version)


def _sights_that_last(seen: Seen) -> Iterator[Sight]:
    """What was seen, without what was not there until the step itself made it.

    Of such a file it counts that it is there now, not that it was absent before.
    """
    written = set(seen.written)
    for sight in seen.sights:
        kind, path, _ = sight
        if kind != "absent" or path not in written:
            yield sight


def _without_covered(observed: Iterable[_Observed]) -> Iterator[_Observed]:
    """Each observation once, without those that another one of the same path covers.

    Where the content counts, an observation that says less is not needed.
    """
    found = dict.fromkeys(observed)
    modules, read = set(), set()
    for kind, label, _ in found:
        if kind == "module":
            modules.add(label)
        if kind in ("module", "file", "folder"):
            read.add(label)

    for entry in found:
        kind, label, state = entry
        is_read_as_module = kind == "file" and label in modules
        asks_type_only = kind == "stat" and state.startswith("type=") and " " not in state
        if not is_read_as_module and not (asks_type_only and label in read):
            yield entry


class _Labels:
    """Names files as the records do.

    `has_neighbours` is set once a file was named that lies beside the project.
    """

    def __init__(self, root: Path, step: PlannedStep, search_path: Iterable[str]) -> None:
        self._root = str(root)
        self._declared = (*with_data(root, step.deps), *step.writes)
        self._outs = step.writes
        self._certain = tuple(f"{folder}/" for folder in search_path if folder)
        self.has_neighbours = False

    def of(self, path: str) -> str:
        """The label of a path.

        It is relative to the project for its own files, so that it holds in another checkout, and
        absolute for others.
        """
        if path == self._root:
            return "."
        if path.startswith(f"{self._root}/"):
            return path[len(self._root) + 1 :]
        if not f"{path}/".startswith(self._certain):
            self.has_neighbours = self.has_neighbours or _is_near(self._root, path)
        return path

    def of_sights(self, sights: Iterable[Sight]) -> Iterator[_Observed]:
        """Each of them under its name, without what the step declares anyway."""
        for kind, path, more in sights:
            if kind == "place":
                yield (kind, self._root, "")
                continue
            if kind == "umask":
                yield (kind, "", "")
                continue
            # What is declared counts by its content; a folder of inputs may still be listed.
            known = self._outs
            if kind in ("file", "absent"):
                known = self._declared
            label = self.of(path)
            if label.startswith(f"{NBCI_FOLDER}/") or is_in(label, known):
                continue
            yield (kind, label, _first_state(kind, path, more))


def _first_state(kind: str, path: str, more: tuple[str, ...]) -> str:
    """The state of what is asked by names of its own: facets of a path, modules of a folder."""
    if kind == "absent":
        return GONE
    if kind == "stat":
        return facets_of(path, more)
    if kind == "folder":
        # The suffixes of the names that count, and a bar: the digest of the names follows it.
        return "".join(f"{suffix}|" for suffix in more)
    if kind == "import":
        return forms_of(path, more)
    return ""


def _is_near(root: str, path: str) -> bool:
    """Whether the same code in another folder may lead to another file.

    That is so when the two paths have more in common than the root.
    """
    return os.path.commonpath((root, path)) != os.sep


def _variables(step: PlannedStep, seen: Seen, environ: Mapping[str, str]) -> Iterator[str]:
    """The variables that count by their values.

    Left out are secrets, and those that the step's settings set, since the key has them.
    """
    # Of secrets not even a digest is written down.
    unfit = {*_OF_THE_KERNEL, *(step.env or {}), *step.secrets, *credentials(environ)}
    yield from sorted({*seen.variables, *_ALWAYS} - unfit)


def outside(seen: Seen, cache: Path) -> Seen:
    """What was seen without the values that nbci itself read and wrote."""
    folder = f"{cache}/"

    def is_elsewhere(path: str) -> bool:
        return not path.startswith(folder)

    return replace(
        seen,
        sights=_sights_at(seen.sights, is_elsewhere),
        written=tuple(filter(is_elsewhere, seen.written)),
    )


def _sights_at(sights: Iterable[Sight], is_fit: Callable[[str], bool]) -> tuple[Sight, ...]:
    return tuple(sight for sight in sights if is_fit(sight[1]))


def without_secret_paths(seen: Seen, mask: Mask) -> Seen:
    """What was seen at paths that hold no secret.

    A path may hold a secret, as the address of a database in a file does.
    """

    def is_fit(path: str) -> bool:
        return mask.text(path) == path

    fit = replace(
        seen,
        modules=tuple(filter(is_fit, seen.modules)),
        sights=_sights_at(seen.sights, is_fit),
        stamps={path: seen.stamps[path] for path in filter(is_fit, seen.stamps)},
        written=tuple(filter(is_fit, seen.written)),
        network=tuple(filter(is_fit, seen.network)),
    )
    return replace(fit, has_secret_paths=fit != seen)


def undeclared(root: Path, step: PlannedStep, paths: Iterable[str]) -> list[str]:
    """Those of the project's files that the step does not declare, and that are still there."""
    known = (*with_data(root, step.deps), *step.writes)
    found = []
    for path in sorted(paths):
        label = path.removeprefix(f"{root}/")
        # Bytecode is Python's, and folders of tools are no results of the step.
        if label == path or label.startswith(_NOT_OUTS) or label.endswith(".pyc"):
            continue
        # A file that was removed again, such as a temporary one, leaves nothing to bring back.
        if not is_in(label, known) and os.path.isfile(path):
            found.append(label)
    return found


def written_beside(workspace: Path, checkout: Path, paths: Iterable[str]) -> list[str]:
    """Those of the files that lie in the checkout, but not in the workspace, which is below it."""
    found = []
    for path in sorted(paths):
        label = path.removeprefix(f"{checkout}/")
        if label == path or path.startswith(f"{workspace}/"):
            continue
        # Python writes bytecode beside modules that an editable install takes from the checkout.
        if not label.startswith(_NOT_OUTS) and not label.endswith(".pyc"):
            found.append(path)
    return found
