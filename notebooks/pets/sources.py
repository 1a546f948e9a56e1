"""Pictures out of a folder or an archive, one after another, and what is wrong with them."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from PIL import Image, ImageOps

SIDE = 128  # pixels, of the pictures that this sample works with
LARGEST_FILE = 32_000_000  # bytes
LARGEST_SIDE = 10_000  # pixels
SUFFIXES = frozenset((".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp"))

OXFORD_CATS = frozenset(
    """abyssinian bengal birman bombay british_shorthair egyptian_mau maine_coon persian ragdoll russian_blue siamese
    sphynx""".split()
)
OXFORD_DOGS = frozenset(
    """american_bulldog american_pit_bull_terrier basset_hound beagle boxer chihuahua english_cocker_spaniel english_setter
    german_shorthaired great_pyrenees havanese japanese_chin keeshond leonberger miniature_pinscher newfoundland pomeranian
    pug saint_bernard samoyed scottish_terrier shiba_inu staffordshire_bull_terrier wheaten_terrier
    yorkshire_terrier""".split()
)


class UnusablePictureError(Exception):
    """A picture that nothing can be learned from; `reason` is a word for the count."""

    def __init__(self, reason: str, message: str) -> None:
        """Say it in a word and in a sentence."""
        super().__init__(message)
        self.reason = reason


def pictures_in(source: str) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the pictures, by name; of an archive nothing is written anywhere."""
    path = Path(source)
    if path.is_dir():
        return folder_pictures(path)
    if not path.exists():
        raise FileNotFoundError(f"{source}: there are no pictures; docs/samples.md says where public ones are")
    if zipfile.is_zipfile(path):
        return zip_pictures(path)
    if tarfile.is_tarfile(path):
        return tar_pictures(path)
    raise ValueError(f"{source}: neither a folder nor a .zip or .tar archive")


def is_picture(name: str) -> bool:
    """Whether a file of that name is taken for a picture; macOS packs shadows of files that begin with a dot."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def folder_pictures(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Those of a folder and of the folders in it."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if is_picture(name) and path.is_file():
            yield name, path.read_bytes() if path.stat().st_size <= LARGEST_FILE else b""


def zip_pictures(path: Path) -> Iterator[tuple[str, bytes]]:
    """Those of a zip archive. A member whose sum is wrong comes without content, as a broken picture does."""
    with zipfile.ZipFile(path) as archive:
        for member in sorted(archive.infolist(), key=lambda member: member.filename):
            if member.is_dir() or not is_picture(member.filename):
                continue
            try:
                content = archive.read(member) if member.file_size <= LARGEST_FILE else b""
            except (zipfile.BadZipFile, OSError, RuntimeError):
                content = b""
            yield member.filename, content


def tar_pictures(path: Path) -> Iterator[tuple[str, bytes]]:
    """Those of a tar archive, packed or not, in its own order: by name, a packed one would be unpacked anew for each."""
    with tarfile.open(path) as archive:
        for member in archive:
            # Links and devices are no pictures.
            if not member.isfile() or not is_picture(member.name):
                continue
            file = archive.extractfile(member) if member.size <= LARGEST_FILE else None
            yield member.name, file.read() if file else b""


def kind_of(name: str) -> str | None:
    """`cat` or `dog`, as the folder, the file's name or a breed of the Oxford-IIIT set tells; None if nothing does."""
    path = PurePosixPath(name)
    for part in (path.parent.name, path.stem):
        word = re.match(r"(cat|dog)s?(?![a-z])", part.lower())
        if word:
            return word[1]
    breed = re.sub(r"_\d+$", "", path.stem).lower()
    if breed in OXFORD_CATS:
        return "cat"
    return "dog" if breed in OXFORD_DOGS else None


def digest_of(picture: Image.Image) -> str:
    """SHA-256 of size and pixels: the same picture under another name, or with other notes of the camera, has the same."""
    size = f"{picture.width} {picture.height} ".encode()
    return hashlib.sha256(size + picture.tobytes()).hexdigest()


def part_of(digest: str, test_size: float) -> str:
    """`test` or `train`, by nothing but the picture: it stays on its side whatever other pictures come and go."""
    return "test" if int(digest[:8], 16) / 2**32 < test_size else "train"


def opened(content: bytes, smallest: int) -> Image.Image:
    """The picture in red, green and blue, upright; UnusablePictureError where it is broken, tiny or huge."""
    try:
        with warnings.catch_warnings():
            # What Pillow only warns of, such as a picture that unpacks to gigabytes, is refused.
            warnings.simplefilter("error")
            picture = Image.open(io.BytesIO(content))
            check_size(picture, smallest)
            return ImageOps.exif_transpose(picture).convert("RGB")
    except UnusablePictureError:
        raise
    # A broken file makes Pillow's decoders raise errors of many types.
    except Exception as error:
        raise UnusablePictureError("broken", f"{type(error).__name__}: {error}"[:200]) from error


def check_size(picture: Image.Image, smallest: int) -> None:
    """UnusablePictureError by the size that the file's head names, before anything is decoded."""
    shown = f"{picture.width} × {picture.height} pixels"
    if min(picture.size) < smallest:
        raise UnusablePictureError("tiny", shown)
    if max(picture.size) > LARGEST_SIDE:
        raise UnusablePictureError("huge", shown)
