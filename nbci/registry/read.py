"""Read the registry of a repository: its tags, and the manifest in each release."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from nbci.errors import IntegrityError, Location, UsageError, spelling_hint
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
    "refname:strip=2",
    "objecttype",
    "objectname",
    "*objectname",
    "taggername",
    "taggeremail:trim",
    "taggerdate:unix",
    "contents",
)
# A message may hold line breaks, so fields end with NUL and a record with NUL and \x01.
_FORMAT = "%00".join(f"%({name})" for name in _FIELDS) + "%00%01"


def read_models(git: Git) -> tuple[ModelState, ...]:
    """The models of the repository, from the tags that are here."""
    return fold(read_events(git))


def read_events(git: Git) -> tuple[Event, ...]:
    """Read the registry's events from the annotated tags.

    Lightweight tags are no events: they say neither who set them nor when.
    """
    listed = git("for-each-ref", f"--format={_FORMAT}", "refs/tags")
    events = []
    for record in listed.split("\0\1"):
        name, _, rest = record.removeprefix("\n").partition("\0")
        parsed = parse_tag(name)
        # other tags of the repository, and lightweight ones
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

    hint = spelling_hint(name, known, f"the models are: {', '.join(known) or 'none yet'}")
    raise UsageError(f"there is no released model {name!r}", hint=hint)


def find_commit(model: ModelState, reference: Reference) -> str:
    """The commit of the version or stage that is meant; of a bare name, the latest version's."""
    if reference.stage is not None:
        stage = model.held(reference.stage)
        if stage is None:
            raise UsageError(
                f"nothing of {model.model} is in stage {reference.stage}",
                hint=f"its stages are: {', '.join(model.stages) or 'all empty'}",
            )
        return stage.current.commit
    wanted = reference.version or "latest"
    version = model.latest
    if wanted != "latest":
        version = model.version(wanted)
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
    if prefix is None:
        prefix = git.prefix
    path = f"{prefix}{MANIFEST_PATH}"
    try:
        text = git.bytes("cat-file", "blob", operands=[f"{commit}:{path}"])
    except GitFailed:
        return None
    return parse_manifest(text, f"{commit[:10]}:{path}")


def parse_manifest(text: bytes, shown: str) -> Manifest:
    """Parse a manifest; IntegrityError when it is unreadable or of another format."""
    manifest = from_json(text, Manifest, shown)
    if manifest.format != FORMAT:
        raise IntegrityError(
            f"the manifest has format {manifest.format}, this nbci reads {FORMAT}",
            where=Location(shown),
        )
    return manifest


def fetch_models(git: Git, remote: str, models: Iterable[str] | None) -> None:
    """Fetch the tags of these models (None: all) from the remote.

    GitFailed when the remote cannot be reached. A local tag with other content stays as it is,
    and is an IntegrityError.
    """
    patterns = ["refs/tags/*"]
    if models is not None:
        patterns = []
        for model in models:
            patterns.extend(tag_patterns(model))
    # without +, so that git refuses to replace a tag that was moved
    specs = [f"{pattern}:{pattern}" for pattern in patterns]
    depth = []
    if git.is_shallow:
        # git fetch --depth fails, without a message, where no tag matches
        if not git.remote_tags(remote, patterns):
            return
        # the manifest is in the commit of the tag itself, so no history is needed
        depth = ["--depth=1"]

    try:
        git("fetch", "--no-tags", "--no-write-fetch-head", *depth, operands=[remote, *specs])
    except GitFailed as error:
        tag = _moved_tag(error.complaint)
        if tag is None:
            raise
        raise IntegrityError(
            f"the tag {tag} here is another than on {remote}: one of them was moved",
            hint="find out which is right; to take the remote's: "
            f"git fetch {remote} +refs/tags/{tag}:refs/tags/{tag}",
        ) from error


def _moved_tag(complaint: str) -> str | None:
    """The first tag that a fetch would have overwritten, in the words of git; None without one."""
    for line in complaint.splitlines():
        if "would clobber existing tag" in line:
            # ` ! [rejected]   digits@v1.0.0 -> digits@v1.0.0  (would clobber existing tag)`
            return line.split("]")[-1].split("->")[0].strip()
    return None
