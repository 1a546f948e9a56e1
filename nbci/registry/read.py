"""The registry of a repository: its tags, and the manifest that each release carries."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from nbci.errors import IntegrityError, Location, UsageError, nearest
from nbci.git.process import GitFailed
from nbci.records.codec import from_json
from nbci.records.manifest import FORMAT, MANIFEST_PATH, Manifest
from nbci.registry.events import Event, ModelState, fold
from nbci.registry.grammar import parse_tag, tag_patterns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.git.process import Git
    from nbci.registry.grammar import Reference

_FIELDS = (
    "refname:strip=2", "objecttype", "objectname", "*objectname", "taggername", "taggeremail:trim", "taggerdate:unix",
    "contents",
)  # fmt: skip
_FORMAT = "%00".join(f"%({name})" for name in _FIELDS) + "%00%01"


def read_models(git: Git) -> tuple[ModelState, ...]:
    """The models of the repository, from the tags that are here."""
    return fold(read_events(git))


def read_events(git: Git) -> tuple[Event, ...]:
    """Every annotated tag that is an event of the registry; other tags, and lightweight ones, are
    none.
    """
    listed = git("for-each-ref", f"--format={_FORMAT}", "refs/tags")
    events = []
    for record in listed.split("\0\1"):
        name, _, rest = record.removeprefix("\n").partition("\0")
        parsed = parse_tag(name)
        if parsed is None or not rest.startswith("tag\0"):
            continue
        _, tag, commit, tagger, email, seconds, message = rest.split("\0", 6)
        events.append(
            Event(
                **asdict(parsed),
                tag=name,
                object=tag,
                commit=commit,
                seconds=int(seconds or 0),
                name=tagger,
                email=email,
                message=message,
            )
        )
    return tuple(events)


def find_model(models: Iterable[ModelState], name: str) -> ModelState:
    """The model of that name; UsageError that names the nearest."""
    known = {model.model: model for model in models}
    if name in known:
        return known[name]
    close = nearest(name, known)
    raise UsageError(
        f"there is no released model {name!r}",
        hint=f"did you mean {close!r}?"
        if close
        else f"the models are: {', '.join(known) or 'none yet'}",
    )


def find_commit(model: ModelState, reference: Reference) -> str:
    """The commit of the version or stage that is meant; of a bare name, the latest version's."""
    if reference.stage is not None:
        stage = model.stages.get(reference.stage)
        if stage is None:
            raise UsageError(
                f"nothing of {model.model} is in stage {reference.stage}",
                hint=f"its stages are: {', '.join(model.stages) or 'all empty'}",
            )
        return stage.current.commit
    wanted = reference.version or "latest"
    version = model.latest if wanted == "latest" else model.version(wanted)
    if version is None:
        names = ", ".join(version.version for version in model.versions)
        raise UsageError(
            f"{model.model} has no version {wanted}", hint=f"its versions are: {names or 'none'}"
        )
    return version.commit


def read_manifest(git: Git, commit: str, prefix: str | None = None) -> Manifest | None:
    """The evidence of a release; None for a commit that nbci did not make.

    IntegrityError when it is not readable.
    """
    path = f"{git.prefix if prefix is None else prefix}{MANIFEST_PATH}"
    try:
        text = git.bytes("cat-file", "blob", operands=[f"{commit}:{path}"])
    except GitFailed:
        return None
    return parse_manifest(text, f"{commit[:10]}:{path}")


def parse_manifest(text: bytes, shown: str) -> Manifest:
    """The manifest that this text is."""
    manifest = from_json(text, Manifest, shown)
    if manifest.format != FORMAT:
        raise IntegrityError(
            f"the manifest has format {manifest.format}, this nbci reads {FORMAT}",
            where=Location(shown),
        )
    return manifest


def fetch_models(git: Git, remote: str, models: Iterable[str] | None) -> None:
    """Bring the tags of these models (None: all) from the remote; GitFailed when it cannot be
    reached.

    A tag that is here with other content stays as it is, and is an IntegrityError.
    """
    patterns = (
        ["refs/tags/*"]
        if models is None
        else [each for model in models for each in tag_patterns(model)]
    )
    specs = [f"{pattern}:{pattern}" for pattern in patterns]
    depth = ["--depth=1"] if git.is_shallow else []
    if depth and not git.remote_tags(remote, patterns):
        return  # git fetch --depth fails, without a word, where nothing matches
    try:
        git("fetch", "--no-tags", "--no-write-fetch-head", *depth, operands=[remote, *specs])
    except GitFailed as error:
        clobbered = [
            line for line in error.complaint.splitlines() if "would clobber existing tag" in line
        ]
        if not clobbered:
            raise
        tag = clobbered[0].split("]")[-1].split("->")[0].strip()
        raise IntegrityError(
            f"the tag {tag} here is another than on {remote}: one of them was moved",
            hint=f"find out which is right; to take the remote's: git fetch {remote} +refs/tags/{tag}:refs/tags/{tag}",
        ) from error
