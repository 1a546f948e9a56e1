"""Compares what two files of values hold: where they differ first, or by how much at most.

It is sent on its own, as the last cell of a kernel that has run a notebook's imports and functions
cells, without which the values cannot be loaded.
"""

from __future__ import annotations

import collections
import json
import math
import sys
from typing import Any

LONGEST = 200
PLAIN = (bytes, bytearray, complex, range, slice, type(None), type(Ellipsis))


class Different(Exception):
    """Two objects are not equal within the tolerance: where, and what both are."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason


class Comparison:
    """Compares pairs of objects, and all that they lead to, without recursion.

    `relative` and `absolute` are the tolerances of floats; a text counts as equal where the two
    differ only by the first of the `folders` in one, and the second in the other.
    """

    def __init__(self, relative: float, absolute: float, folders: list[str]) -> None:
        self.relative = relative
        self.absolute = absolute
        self.folders = folders
        self.largest = 0.0
        self.first = ""
        self.moved = False
        self.pending: list[tuple[Any, Any, str]] = []
        self.met: set[tuple[int, int]] = set()
        # objects made for the comparison: the id of one that is gone may be that of another
        self.kept: list[Any] = []

    def compare(self, before: Any, after: Any) -> None:
        """Raise Different where they are not equal within the tolerance."""
        self.pending.append((before, after, ""))
        while self.pending:
            one, other, place = self.pending.pop()
            if one is other or (id(one), id(other)) in self.met:
                continue
            self.met.add((id(one), id(other)))
            self.kept.append((one, other))
            self.compare_pair(one, other, place)

    def compare_pair(self, one: Any, other: Any, place: str) -> None:
        if type(one) is not type(other):
            raise Different(place, kind_of(one) + " before, " + kind_of(other) + " now")
        if isinstance(one, float):
            self.compare_floats(one, other, place)
        elif isinstance(one, str):
            self.compare_texts(one, other, place)
        elif isinstance(one, (bool, int)) or type(one) in PLAIN:
            if one != other:
                raise Different(place, short(one) + " before, " + short(other) + " now")
        elif type(one).__module__ == "datetime":
            # by what they show: one moment has several time zones, and `==` knows only the moment
            if repr(one) != repr(other):
                raise Different(place, str(one) + " before, " + str(other) + " now")
        elif isinstance(one, dict):
            self.compare_dicts(one, other, place)
        elif isinstance(one, (list, tuple, collections.deque)):
            self.compare_lists(list(one), list(other), place)
        elif isinstance(one, (set, frozenset)):
            if one != other:
                raise Different(place, "other elements")
        else:
            self.compare_objects(one, other, place)

    def compare_floats(self, one: float, other: float, place: str) -> None:
        if one == other or (math.isnan(one) and math.isnan(other)):
            return
        if not math.isclose(one, other, rel_tol=self.relative, abs_tol=self.absolute):
            raise Different(place, short(one) + " before, " + short(other) + " now")
        self.note(abs(one - other) / max(abs(one), abs(other)), place)

    def note(self, difference: float, place: str) -> None:
        self.first = self.first or place
        self.largest = max(self.largest, difference)

    def compare_texts(self, one: str, other: str, place: str) -> None:
        if one == other:
            return
        if other.replace(self.folders[0], self.folders[1]) != one:
            raise Different(place, short(one) + " before, " + short(other) + " now")
        self.moved = True

    def compare_lists(self, one: list[Any], other: list[Any], place: str) -> None:
        if len(one) != len(other):
            raise Different(place, str(len(one)) + " elements before, " + str(len(other)) + " now")
        # the first is looked at first: it is taken from the end
        for number in range(len(one) - 1, -1, -1):
            self.pending.append((one[number], other[number], place + "[" + str(number) + "]"))

    def compare_dicts(self, one: dict[Any, Any], other: dict[Any, Any], place: str) -> None:
        if list(one) != list(other):
            for key in [*one, *other]:
                if key not in one or key not in other:
                    raise Different(place, "the key " + short(key) + " is on one side only")
            # it is part of what a cell can see, and of the value's digest
            raise Different(place, "the same keys in another order")
        for key in reversed(list(one)):
            self.pending.append((one[key], other[key], place + "[" + short(key) + "]"))

    def compare_objects(self, one: Any, other: Any, place: str) -> None:
        package = type(one).__module__.partition(".")[0]
        if package == "numpy" and hasattr(one, "dtype"):
            self.compare_arrays(one, other, place)
        elif package == "pandas" and hasattr(one, "columns"):
            self.compare_frames(one, other, place)
        elif package == "pandas" and hasattr(one, "to_numpy"):
            self.compare_series(one, other, place)
        elif package == "torch" and hasattr(one, "detach"):
            self.compare_arrays(on_cpu(one), on_cpu(other), place)
        elif hasattr(one, "__fspath__"):
            self.compare_texts(str(one), str(other), place)
        else:
            self.compare_states(one, other, place)

    def compare_frames(self, one: Any, other: Any, place: str) -> None:
        self.compare_lists(list(one.columns), list(other.columns), place + ".columns")
        if one.shape != other.shape:
            raise Different(place, str(len(one)) + " rows before, " + str(len(other)) + " now")
        # by position: names of columns may occur twice
        for number in range(one.shape[1] - 1, -1, -1):
            name = place + "[" + short(one.columns[number]) + "]"
            self.pending.append((one.iloc[:, number], other.iloc[:, number], name))
        self.pending.append((one.index, other.index, place + ".index"))

    def compare_series(self, one: Any, other: Any, place: str) -> None:
        if str(getattr(one, "dtype", "")) != str(getattr(other, "dtype", "")):
            raise Different(place, str(one.dtype) + " before, " + str(other.dtype) + " now")
        self.pending.append((one.to_numpy(), other.to_numpy(), place))
        if hasattr(one, "index"):
            self.pending.append((one.index, other.index, place + ".index"))

    def compare_arrays(self, one: Any, other: Any, place: str) -> None:
        if one.shape != other.shape or one.dtype != other.dtype:
            before = str(one.dtype) + str(list(one.shape))
            now = str(other.dtype) + str(list(other.shape))
            raise Different(place, before + " before, " + now + " now")
        if one.dtype.names:
            for name in reversed(one.dtype.names):
                self.pending.append((one[name], other[name], place + "[" + short(name) + "]"))
        elif one.dtype.kind == "O":
            self.compare_lists(one.ravel().tolist(), other.ravel().tolist(), place)
        else:
            self.compare_numbers(one, other, place)

    def compare_numbers(self, one: Any, other: Any, place: str) -> None:
        numpy = sys.modules["numpy"]
        unequal = numpy.asarray(one != other)
        if one.dtype.kind in "fcmM":
            unequal &= ~(is_nan(numpy, one) & is_nan(numpy, other))
        if not unequal.any():
            return

        before, now = numpy.asarray(one)[unequal], numpy.asarray(other)[unequal]
        beyond = numpy.ones(before.shape, bool)
        if one.dtype.kind in "fc":
            with numpy.errstate(all="ignore"):
                gap, size = abs(before - now), numpy.maximum(abs(before), abs(now))
                beyond = ~(gap <= numpy.maximum(size * self.relative, self.absolute))
        if beyond.any():
            first = int(numpy.argmax(beyond))
            index = numpy.argwhere(unequal)[first].tolist()
            reason = short(before[first].item()) + " before, " + short(now[first].item()) + " now"
            # a scalar has no index
            raise Different(place + (str(index) * bool(index)), reason)
        self.note(float((gap / size).max()), place)

    def compare_states(self, one: Any, other: Any, place: str) -> None:
        """Compare what pickle would write: what makes the object, and its state."""
        if isinstance(one, type) or hasattr(one, "__code__"):
            self.compare_code(one, other, place)
            return
        try:
            before, now = one.__reduce_ex__(4), other.__reduce_ex__(4)
        except Exception:  # noqa: BLE001  # user code can raise anything
            raise Different(place, kind_of(one) + " that cannot be looked into") from None
        if isinstance(before, str) or isinstance(now, str):
            if before != now:
                raise Different(place, str(before) + " before, " + str(now) + " now")
            return
        parts = [listed(before), listed(now)]
        self.kept.append(parts)
        # the state last, so that it is looked at first: its names say most
        self.pending.append((parts[0][:2] + parts[0][3:], parts[1][:2] + parts[1][3:], place))
        self.push_state(parts[0][2], parts[1][2], place)

    def push_state(self, one: Any, other: Any, place: str) -> None:
        if not (isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other)):
            self.pending.append((one, other, place))
            return
        for name in reversed(list(one)):
            self.pending.append((one[name], other[name], place + "." + str(name)))

    def compare_code(self, one: Any, other: Any, place: str) -> None:
        """Classes and functions: by their names, and functions by their code, too."""
        if one.__qualname__ != other.__qualname__:
            raise Different(place, one.__qualname__ + " before, " + other.__qualname__ + " now")
        code: Any = getattr(one, "__code__", None)
        if code is not None and code.co_code != other.__code__.co_code:
            raise Different(place, "other code of " + one.__qualname__)


def listed(reduced: Any) -> list[Any]:
    """The five parts of what `__reduce_ex__` gives, its iterators as lists."""
    parts = list(reduced[:5]) + [None] * (5 - len(reduced))
    for number in (3, 4):
        if parts[number] is not None:
            parts[number] = list(parts[number])
    return parts


def is_nan(numpy: Any, array: Any) -> Any:
    """Where an array of floats or times has NaN or NaT."""
    if array.dtype.kind in "fc":
        return numpy.isnan(array)
    return numpy.isnat(array)


def on_cpu(tensor: Any) -> Any:
    """The numbers of a tensor of torch, wherever it lies."""
    return tensor.detach().cpu().numpy()


def kind_of(obj: Any) -> str:
    return type(obj).__module__ + "." + type(obj).__qualname__


def short(obj: Any) -> str:
    try:
        text = repr(obj)
    except Exception:  # noqa: BLE001  # user code can raise anything
        text = kind_of(obj)
    if len(text) > LONGEST:
        return text[:LONGEST] + "\u2026"
    return text


def load(folder: str, digest: str) -> dict[str, Any]:
    """The values in a file, which nbci has verified."""
    group: dict[str, Any] = sys.modules["_nbci.value_files"].Mapped(folder, digest, True).load()
    return group


def compare_values(
    folder: str,
    pairs: list[list[str]],
    tolerances: list[float],
    folders: list[str],
    by_reference: list[str],
) -> list[dict[str, Any]]:
    """An answer for each (name, digest before, digest now).

    `by_reference` are the names that the notebook's first cells bind, and values may refer to.
    """
    space = vars(sys.modules["__main__"])
    sys.modules["_nbci.definitions"].remember(space, by_reference)
    answers = []
    for name, before, now in pairs:
        comparison = Comparison(tolerances[0], tolerances[1], folders)
        answer: dict[str, Any] = {"name": name, "agreement": "different"}
        try:
            comparison.compare(load(folder, before)[name], load(folder, now)[name])
            answer["agreement"] = "close"
            answer["place"] = comparison.first
            answer["largest"] = comparison.largest
            answer["moved"] = comparison.moved
        except Different as found:
            answer["place"] = found.place
            answer["reason"] = found.reason
        except Exception as error:  # noqa: BLE001  # user code can raise anything
            answer["reason"] = "it cannot be compared: " + type(error).__name__ + ": " + str(error)
        answers.append(answer)
    return answers


def show(mark: str, document: str) -> None:
    """Print the answers as one line that begins with the mark."""
    answers = compare_values(**json.loads(document))
    sys.stdout.write("\n" + mark + json.dumps(answers) + "\n")
    sys.stdout.flush()
