"""What a step was seen to use beside what it declares, as parts of its record."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nbci.engine.observed.kinds import BY_NAME, GONE, RUN_ID, STEP_NAME, facets_of, forms_of
from nbci.engine.steps.deps import with_data
from nbci.records.run_record import Part
from nbci.secrets import credentials

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from nbci.engine.observed.kinds import Surroundings
    from nbci.kernels.job import Seen, Sight
    from nbci.plan.model import PlannedStep
    from nbci.secrets import Mask

_NOT_OUTS = (".git/", ".nbci/", ".ipynb_checkpoints/")
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
    root, environ = surroundings.root, surroundings.environ
    labels = _Labels(root, step, seen.search_path)
    named = [
        *_interpreter(step, seen, distributions),
        *(("module", labels.of(path), "") for path in seen.modules if os.path.exists(path)),
        *labels.of_sights(_lasting(seen)),
        *(("variable", name, "") for name in _variables(step, seen, environ)),
        *(("written", path, "") for path in undeclared(root, step, seen.written)),
        *(
            (OF_NBCI[name], name, "")
            for name in seen.variables
            if name in OF_NBCI and name not in (step.env or {})
        ),
        *(("network", host, "") for host in seen.network),
        *(("program", name, "") for name in seen.programs),
        *(("unwatched", name, "") for name in seen.unwatched),
        *((("secret path", "", ""),) if seen.has_secret_paths else ()),
    ]
    if labels.has_neighbours:
        named.append(("place", str(root), ""))
    named = _without_double(named)
    parts = tuple(Part(kind=kind, label=label, digest=state) for kind, label, state in named)
    return tuple(_as_it_is(surroundings, part) for part in parts)


def _as_it_is(surroundings: Surroundings, part: Part) -> Part:
    is_whole = part.digest and not part.digest.endswith("|")
    return part if is_whole else replace(part, digest=BY_NAME[part.kind].state(surroundings, part))


_Named = tuple[str, str, str]
"""Kind, label, and the state where its kind cannot tell it without."""


def _interpreter(
    step: PlannedStep, seen: Seen, distributions: Mapping[str, str]
) -> Iterator[_Named]:
    if step.environment is not None:
        yield ("environment", step.environment, "")
        return
    yield ("kernel", step.kernel, "")
    yield ("interpreter", seen.interpreter, "")
    yield from (("site", folder, "") for folder in seen.site_folders)
    yield from (("package", name, version) for name, version in distributions.items())


def _lasting(seen: Seen) -> Iterator[Sight]:
    """What was seen, without what was not there until the step itself made it.

    Of such a file it counts that it is there now, not that it was absent before.
    """
    written = set(seen.written)
    yield from (sight for sight in seen.sights if sight[0] != "absent" or sight[1] not in written)


def _without_double(named: Iterable[_Named]) -> list[_Named]:
    """Each observation once, without those that another one of the same path covers.

    Where the content counts, an observation that says less is not needed.
    """
    found = dict.fromkeys(named)
    modules = {label for kind, label, _ in found if kind == "module"}
    read = modules | {label for kind, label, _ in found if kind in ("file", "folder")}
    return [
        entry
        for entry in found
        if not (entry[0] == "file" and entry[1] in modules)
        and not (
            entry[0] == "stat"
            and entry[1] in read
            and entry[2].startswith("type=")
            and " " not in entry[2]
        )
    ]


class _Labels:
    """Names files as the records do.

    `has_neighbours` is set once a file was named that lies beside the project.
    """

    def __init__(self, root: Path, step: PlannedStep, search_path: Iterable[str]) -> None:
        self._root = str(root)
        self._declared = (*with_data(root, step.deps), *step.outs, *step.metrics)
        self._outs = (*step.outs, *step.metrics)
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

    def of_sights(self, sights: Iterable[Sight]) -> Iterator[_Named]:
        """Each of them under its name, without what the step declares anyway."""
        for kind, path, more in sights:
            if kind in ("place", "umask"):
                yield (kind, self._root if kind == "place" else "", "")
                continue
            known = self._declared if kind in ("file", "absent") else self._outs
            label = self.of(path)
            if label.startswith(".nbci/") or _is_in(label, known):
                continue
            yield (kind, label, _first_state(kind, path, more))


def _first_state(kind: str, path: str, more: tuple[str, ...]) -> str:
    """The state of what is asked by names of its own: facets of a path, modules of a folder."""
    if kind == "absent":
        return GONE
    if kind == "stat":
        return facets_of(path, more)
    if kind == "folder":
        return "|".join((*more, "")) if more else ""
    return forms_of(path, more) if kind == "import" else ""


def _is_near(root: str, path: str) -> bool:
    """Whether the same code in another folder may lead to another file.

    That is so when the two paths have more in common than the root.
    """
    return os.path.commonpath((root, path)) != os.sep


def _is_in(label: str, names: Iterable[str]) -> bool:
    return any(label == name or label.startswith(f"{name}/") for name in names)


def _variables(step: PlannedStep, seen: Seen, environ: Mapping[str, str]) -> Iterator[str]:
    """The variables that count by their values.

    Left out are secrets, and those that the step's settings set, since the key has them.
    """
    unfit = {*_OF_THE_KERNEL, *(step.env or {}), *step.secrets, *credentials(environ)}
    yield from (name for name in sorted({*seen.variables, *_ALWAYS}) if name not in unfit)


def outside(seen: Seen, cache: Path) -> Seen:
    """What was seen without the values that nbci itself read and wrote."""
    folder = f"{cache}/"
    return replace(
        seen,
        sights=tuple(sight for sight in seen.sights if not sight[1].startswith(folder)),
        written=tuple(path for path in seen.written if not path.startswith(folder)),
    )


def without_secret_paths(seen: Seen, mask: Mask) -> Seen:
    """What was seen at paths that hold no secret.

    A path may hold a secret, as the address of a database in a file does.
    """

    def is_fit(path: str) -> bool:
        return mask.text(path) == path

    fit = replace(
        seen,
        modules=tuple(filter(is_fit, seen.modules)),
        sights=tuple(sight for sight in seen.sights if is_fit(sight[1])),
        stamps={path: stamp for path, stamp in seen.stamps.items() if is_fit(path)},
        written=tuple(filter(is_fit, seen.written)),
        network=tuple(filter(is_fit, seen.network)),
    )
    return replace(fit, has_secret_paths=fit != seen)


def undeclared(root: Path, step: PlannedStep, paths: Iterable[str]) -> list[str]:
    """Those of the project's files that the step does not declare, and that are still there."""
    # A file that was removed again, such as a temporary one, leaves nothing to bring back.
    known = (*with_data(root, step.deps), *step.outs, *step.metrics)
    inside = [path[len(str(root)) + 1 :] for path in paths if path.startswith(f"{root}/")]
    return [
        path
        for path in sorted(inside)
        if not path.startswith(_NOT_OUTS)
        and not path.endswith(".pyc")
        and not _is_in(path, known)
        and (root / path).is_file()
    ]
