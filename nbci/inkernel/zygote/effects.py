"""What imports print, warn of, and set for the whole process.

It is taken back in the zygote, and done again in each kernel that imports the same.
"""

from __future__ import annotations

import builtins
import contextlib
import logging
import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

from _nbci_zygote.loading import module_being_loaded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OURS = "<nbci zygote"
LISTS: list[tuple[Any, str]] = [
    (sys, "path"),
    (sys, "meta_path"),
    (sys, "path_hooks"),
    (logging.root, "handlers"),
]
SETTINGS: list[tuple[Any, str]] = [
    (sys, "excepthook"),
    (sys, "displayhook"),
    (logging.root, "level"),
]


class Effects:
    """By module, what its import did, in order."""

    def __init__(self) -> None:
        self._done: dict[str, list[tuple[int, Any]]] = {}
        self._count = 0
        self._streams = {"stdout": _Stream("stdout"), "stderr": _Stream("stderr")}
        warnings_module: Any = warnings
        self._add_filter = getattr(warnings_module, "_add_filter", None)

    @contextlib.contextmanager
    def record(self, name: str) -> Iterator[None]:
        """Note what is done while this is entered, and take it back.

        `name` is the module that did it where no other is being loaded.
        """
        # The settings come first and are left last, so that what the others put in place of
        # `sys.stdout` and the like is no change of the import.
        with contextlib.ExitStack() as recorders:
            recorders.enter_context(self._record_settings(name))
            recorders.enter_context(self._record_descriptors(name))
            recorders.enter_context(self._record_streams(name))
            recorders.enter_context(self._record_warnings(name))
            yield

    def replay(self, names: Iterable[str]) -> None:
        """Do it once more, in the order of the imports, as if these were imported here now."""
        done: list[tuple[int, Any]] = []
        for name in names:
            done += self._done.get(name, ())
        for _, redo in sorted(done, key=lambda effect: effect[0]):
            redo()

    def _note(self, name: str, redo: Any) -> None:
        self._count += 1
        self._done.setdefault(module_being_loaded() or name, []).append((self._count, redo))

    @contextlib.contextmanager
    def _record_streams(self, name: str) -> Iterator[None]:
        before = sys.stdout, sys.stderr
        for stream in self._streams.values():
            stream.note = lambda stream, text: self._note(name, lambda: stream.write(text))
        sys.stdout, sys.stderr = self._streams["stdout"], self._streams["stderr"]
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
            for stream in self._streams.values():
                stream.note = None

    @contextlib.contextmanager
    def _record_descriptors(self, name: str) -> Iterator[None]:
        """Note what compiled code and child processes print, past Python's streams."""
        # memory files, since a pipe would fill up: nobody reads meanwhile
        kept = {number: (os.dup(number), os.memfd_create("output")) for number in (1, 2)}
        for number, (_, memory) in kept.items():
            os.dup2(memory, number)
        try:
            yield
        finally:
            for number, (before, memory) in kept.items():
                os.dup2(before, number)
                os.close(before)
                text = os.pread(memory, os.fstat(memory).st_size, 0)
                os.close(memory)
                if text:
                    self._note(name, _Output(number, text))

    @contextlib.contextmanager
    def _record_warnings(self, name: str) -> Iterator[None]:
        """Note all warnings, and those new filters that are still there after the import.

        A kernel's own filters decide which of the warnings it shows.
        """
        module: Any = warnings
        filters: list[tuple[str, Any, bool]] = []

        def add_filter(*item: Any, append: bool) -> None:
            filters.append((module_being_loaded() or name, item, append))
            # this is called only where it is there
            self._add_filter(*item, append=append)  # type: ignore[misc]

        with warnings.catch_warnings():
            warnings.simplefilter("always")
            # `catch_warnings` puts it back
            module._showwarnmsg_impl = lambda shown: self._note(name, _Warning(shown))
            if self._add_filter is not None:
                module._add_filter = add_filter
            try:
                yield
            finally:
                if self._add_filter is not None:
                    module._add_filter = self._add_filter
                kept = list(warnings.filters)
        for owner, item, append in filters:
            if item in kept:
                self._count += 1
                redo = _Filter(self._add_filter, item, append)
                self._done.setdefault(owner, []).append((self._count, redo))

    @contextlib.contextmanager
    def _record_settings(self, name: str) -> Iterator[None]:
        lists = [(owner, attribute, list(getattr(owner, attribute))) for owner, attribute in LISTS]
        settings = [(owner, attribute, getattr(owner, attribute)) for owner, attribute in SETTINGS]
        names = set(vars(builtins))
        try:
            yield
        finally:
            for owner, attribute, before in lists:
                for redo in _take_back_elements(getattr(owner, attribute), before):
                    self._note(name, redo)
            for owner, attribute, value in settings:
                changed = getattr(owner, attribute)
                if changed is not value:
                    setattr(owner, attribute, value)
                    self._note(name, _Attribute(owner, attribute, changed))
            for new in set(vars(builtins)) - names:
                self._note(name, _Attribute(builtins, new, vars(builtins).pop(new)))


class _Stream:
    """Standard output or error of the writing process: modules may keep it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.note: Any = None

    def write(self, text: str) -> int:
        if self.note is None:
            return int(getattr(sys, self._name).write(text))
        self.note(self, text)
        return len(text)  # as `io.TextIOBase.write` does

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        now = getattr(sys, self._name)
        return getattr(getattr(sys, "__" + self._name + "__") if now is self else now, name)


class _Output:
    """Output that went past Python."""

    def __init__(self, number: int, text: bytes) -> None:
        self._number = number
        self._text = text

    def __call__(self) -> None:
        os.write(self._number, self._text)


class _Warning:
    """A warning of an import; where it is about the importing code, that is the one of this kernel.

    `warnings.warn(..., stacklevel=2)` in a module names the code that imports it. In the zygote
    that is this package or the import system, so the place is looked for when it is done again.
    """

    def __init__(self, shown: Any) -> None:
        self._message = shown.message
        self._category = shown.category
        self._place: tuple[str, int, str] | None
        if _is_of_import_system(shown.filename):
            self._place = _importer()
        else:
            self._place = (shown.filename, shown.lineno, _module_at(shown.filename))

    def __call__(self) -> None:
        filename, line, module = self._place or _importer() or ("sys", 1, "sys")
        registry = getattr(sys.modules.get(module), "__dict__", {}).setdefault(
            "__warningregistry__", {}
        )
        warnings.warn_explicit(self._message, self._category, filename, line, module, registry)


class _Filter:
    """A filter for warnings."""

    def __init__(self, add: Any, item: Any, append: bool) -> None:
        self._add = add
        self._item = item
        self._append = append

    def __call__(self) -> None:
        self._add(*self._item, append=self._append)


class _Attribute:
    """An attribute that was set."""

    def __init__(self, owner: Any, name: str, value: Any) -> None:
        self._owner = owner
        self._name = name
        self._value = value

    def __call__(self) -> None:
        setattr(self._owner, self._name, self._value)


class _Element:
    """An element that was added to a list."""

    def __init__(self, elements: list[Any], place: int, element: Any) -> None:
        self._elements = elements
        self._place = place
        self._element = element

    def __call__(self) -> None:
        self._elements.insert(self._place, self._element)


def _take_back_elements(elements: list[Any], before: list[Any]) -> Iterator[_Element]:
    """Make the list what it was; what puts each new element back, at the beginning or the end.

    Elements are known by identity: some finders and handlers are equal to others.
    """
    known = set(map(id, before))
    new: list[tuple[int, Any]] = []
    first_known: int | None = None
    for place, element in enumerate(elements):
        if id(element) not in known:
            new.append((place, element))
        elif first_known is None:
            first_known = place

    elements[:] = before
    for place, element in new:
        if place >= (first_known or 0):
            place = sys.maxsize  # noqa: PLW2901  # the list may have grown: at its end
        yield _Element(elements, place, element)


def _importer() -> tuple[str, int, str] | None:
    """File, line and module of the code that imports; None in a zygote.

    It is the first frame behind the import system that is not one of ours.
    """
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "_load_unlocked":
        frame = frame.f_back
    while frame is not None and _is_of_import_system(frame.f_code.co_filename):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename.startswith("<string>"):
        return None
    return frame.f_code.co_filename, frame.f_lineno, frame.f_globals.get("__name__", "<sys>")


def _is_of_import_system(filename: str) -> bool:
    return filename.startswith(OURS) or "importlib" in filename


def _module_at(filename: str) -> str:
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_filename == filename:
            return str(frame.f_globals.get("__name__", "<sys>"))
        frame = frame.f_back
    return "<sys>"
