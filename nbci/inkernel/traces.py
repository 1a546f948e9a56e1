"""What a step uses beside what it declares: files, folders, absent names, variables, the network.

Python's audit events tell of opened files, listings and connections, from whatever code. What has
no event (`os.stat`, `os.environ`, imports) is noted by a function in its place. Each thing is noted
once, at its first use. What the interpreter, installed packages and the system have of their own
does not count.

Most of this runs inside calls of the user's code: it must be quick, and must never raise.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import pathlib
import re
import site
import sys
import sysconfig
import threading
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
SYSTEM = tuple(
    "/" + name + "/" for name in "usr etc proc sys dev run bin sbin lib lib64 nix System".split()
)
THIS = sys._getframe().f_code.co_filename
PASSING_ON = frozenset(
    function.__code__.co_filename
    for function in (os.makedirs, os.path.exists, os.path.abspath, pathlib.Path.exists, Mapping.get)
) | {THIS}
"""Code that looks at files and variables only for its caller."""
READERS = tuple(
    os.sep + name
    for name in ("decouple.py", "environs/", "dotenv/", "pydantic_settings/", "dynaconf/")
)
"""Packages that read variables for their callers."""
SHELLS = ("sh", "bash", "zsh", "dash")
OF_THE_MACHINE = frozenset(
    """
    arch cc fc-list gcc getconf hostname ifconfig ip ld ldconfig lscpu lsb_release nproc nvidia-smi
    sysctl uname
    """.split()
)
"""Programs that packages ask for the machine that they run on."""
EVERYTHING = ("type", "size", "time", "mode", "links")
LOGGING = ("/dev/log", "/run/systemd/", "/var/run/systemd/", "/var/run/syslog")
"""Sockets by which programs tell the system what they do; nothing of a step comes from there."""
OF_WORKERS = ("/pymp-", "\0listener-")
"""What the names of the sockets have by which `multiprocessing` reaches its own processes."""
INTERNET = ("inet", "inet6")
"""Address families in which an address is a host and a port."""
OF_THE_KERNEL = ("netlink", "alg")
"""Those by which a program speaks to the kernel that it runs on: netlink(7), and its ciphers.

Nothing leaves the machine by them, and the second number of a netlink address is no port.
"""
LIBRARY = re.compile(rb" r-xp [^/\n]*(/[^\n]*\.so[^\n]*)")
"""A library with machine code in `/proc/self/maps`, by its path: proc(5)."""
RUN_ID = "NBCI_RUN"
ASKED = {
    "getsize": ("size",),
    "getmtime": ("time",),
    "stat": EVERYTHING,
    "lstat": EVERYTHING,
    "access": ("mode",),
}

sights: dict[tuple[str, str], set[str]] = {}
"""By kind and path: what more was asked."""
stamps: dict[str, tuple[int, int, int, int]] = {}
written: set[str] = set()
variables: set[str] = set()
set_here: set[str] = set()
gone_through: set[tuple[int, int]] = set()
"""Where, by frame and instruction, all variables were read at once."""
looked: dict[tuple[str, tuple[str, ...]], None] = {}
"""Modules that were looked for, with the path; a dict keeps them in order, once each."""
network: set[str] = set()
native: set[str] = set()
programs: set[str] = set()
workers: set[str] = set()
ports: set[int] = set()
servers: list[Any] = []
asked_before: set[tuple[Any, ...]] = set()
roots: list[str] = []
foreign: list[str] = []
hidden: list[str] = []
search_path: list[str] = []
real: dict[str, Any] = {}
noting = threading.local()
"""`on` while this thread notes something: what that takes is nothing that the step did."""


def install(root: str) -> None:
    """Begin to watch.

    An audit hook cannot be taken away again, and is called for every event: it does as little as it
    can (PEP 578).
    """
    roots[:] = dict.fromkeys((os.path.join(root, ""), os.path.join(os.path.realpath(root), "")))
    foreign[:] = installed_folders()
    home = os.path.join(os.path.expanduser("~"), "")
    hidden[:] = [home + ".", os.path.join(os.environ.get("XDG_CACHE_HOME") or home + ".cache", "")]
    for name in ("stat", "lstat", "access", "readlink", "getcwd", "umask", "open"):
        replace(name)
    search_path[:] = map(os.path.abspath, sys.path)
    watch_environment()
    sys.meta_path.insert(0, ImportWatch())
    sys.addaudithook(hook)


def hook(event: str, arguments: Any) -> None:
    note = EVENTS.get(event)
    if note is not None:
        quietly(note, *arguments)


def quietly(note: Callable[..., None], *arguments: Any, **named: Any) -> None:
    """Note something; whatever is odd about it must not become the user's error."""
    if getattr(noting, "on", False):
        return
    noting.on = True
    try:
        note(*arguments, **named)
    except Exception:  # noqa: BLE001  # see above
        pass
    finally:
        noting.on = False


# ------------------------------------------------------------------------------------------------
# files


def note_open(path: Any, mode: Any, flags: Any) -> None:
    if isinstance(path, int):
        return
    if isinstance(mode, str):
        reads = "r" in mode
        writes = any(letter in mode for letter in "wax+")
    else:
        reads = not flags & (os.O_WRONLY | os.O_TRUNC | os.O_EXCL)
        writes = bool(flags & WRITING)
    full = full_path(path)
    if reads:
        note_read(full)
    if writes:
        written.add(full)


def note_read(full: str) -> None:
    """A file that code opens to read, or would have."""
    if full in written or ("file", full) in sights:
        return
    if full.endswith(".pyc"):
        full = source_of(full)
    if not counts(full):
        return
    try:
        found = real["stat"](full)
    except OSError:
        see("absent", full)
        return
    if found.st_mode & 0o170000 == 0o100000:  # S_ISREG, without a call
        see("file", full)
        stamp(full, found)


def stamp(full: str, found: Any) -> None:
    """Keep what the file system says of a file when it is first read.

    nbci compares it at the step's end: what changed meanwhile is no observation.
    """
    stamps.setdefault(full, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns))


def source_of(path: str) -> str:
    """The source that a `.pyc` was made from, where it is there."""
    try:
        source = importlib.util.source_from_cache(path)
    except ValueError:
        return path
    if os.path.isfile(source):
        return source
    return path


def note_library(name: Any) -> None:
    """A shared library that is loaded: what its functions open, Python does not see."""
    native.add(package_of(caller()[1], site_folders()) or "ctypes")
    if name is not None and os.sep in os.fsdecode(name):
        note_read(full_path(name))


def note_import(_name: Any, path: Any, *_: Any) -> None:
    """An extension module that is loaded from its file."""
    if path:
        note_read(full_path(path))


def note_database(name: Any) -> None:
    """A database of SQLite, whose files are opened below Python.

    Its log and journal count, too: what they hold is not yet in the main file.
    """
    native.add("sqlite3")
    text = os.fsdecode(name)
    if text.startswith("file:"):
        from urllib.parse import unquote, urlsplit

        text = unquote(urlsplit(text).path)
    if text and text != ":memory:":
        note_read(full_path(text))
        for suffix in ("-wal", "-journal"):
            note_read(full_path(text + suffix))


def note_listing(path: Any = None, *_: Any) -> None:
    if isinstance(path, int) or is_importing(sys._getframe(3).f_code.co_filename):
        return
    if path is None:
        path = "."
    full = full_path(path)
    if not counts(full):
        return
    if os.path.isdir(full):
        see("folder", full)
        stamp(full, real["stat"](full))
    else:
        see("absent", full)


def is_importing(file: str) -> bool:
    """Whether code looks for modules or distributions: what it finds is noted as an import."""
    return file.startswith("<frozen importlib") or any(
        name in file for name in ("/importlib/", "/pkg_resources/")
    )


def note_made(path: Any, *_: Any) -> None:
    written.add(full_path(path))


def note_renamed(_old: Any, new: Any, *_: Any) -> None:
    written.add(full_path(new))


def note_folder_changed(*_: Any) -> None:
    asked_before.clear()  # relative paths are other ones now


def see(kind: str, path: str, more: tuple[str, ...] = ()) -> None:
    """Note something, unless it is there because the step itself put it there."""
    known = sights.get((kind, path))
    if known is None:
        if path in written:
            return
        known = sights[kind, path] = set()
    known.update(more)


def full_path(path: Any, dir_fd: Any = None) -> str:
    text = os.fsdecode(path)
    if dir_fd is not None and not os.path.isabs(text):
        text = os.path.join(real["readlink"]("/proc/self/fd/" + str(dir_fd)), text)
    full = text
    if not os.path.isabs(text):
        full = os.path.join(real["getcwd"](), text)
    full = os.path.normpath(full)
    if len(roots) > 1 and full.startswith(roots[0]):
        return roots[1] + full[len(roots[0]) :]
    if not full.startswith(tuple(roots)) and not full.startswith(SYSTEM):
        # a link from elsewhere may lead into the project
        there = os.path.realpath(full)
        if there.startswith(tuple(roots)):
            return there
    return full


def counts(full: str) -> bool:
    """Whether a path is the project's, or elsewhere and not the system's or the user's settings."""
    if is_foreign(full):
        return False
    return is_in_project(full) or not (full.startswith(SYSTEM) or full.startswith(tuple(hidden)))


def is_in_project(full: str) -> bool:
    return full.startswith(tuple(roots)) or full + os.sep in roots


def is_foreign(full: str) -> bool:
    """Whether it is Python's or an installed distribution's."""
    if not is_in_project(full):
        return full.startswith(tuple(foreign))
    # the project may lie in the folder of an interpreter: only folders inside it count then
    inside = [folder for folder in foreign if folder.startswith(tuple(roots))]
    return full.startswith(tuple(inside))


def installed_folders() -> list[str]:
    """Where the interpreter and installed distributions lie: what is there counts by versions."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    known = {path for name, path in sysconfig.get_paths().items() if name in names}
    known.update(getattr(site, "getsitepackages", list)())
    known.update(site_folders())
    known.update((sys.prefix, sys.base_prefix))
    if hasattr(site, "getusersitepackages"):
        known.add(site.getusersitepackages())
    return sorted(os.path.join(folder, "") for folder in known)


def site_folders() -> list[str]:
    """Folders on the path where distributions are installed.

    A folder of that name in a project, without an environment around it, is none.
    """
    names = ("site-packages", "dist-packages")
    return [entry for entry in sys.path if entry.endswith(names) and is_environment(entry)]


def is_environment(folder: str) -> bool:
    # `/usr` too: Debian's packages are in `/usr/lib/python3/dist-packages`
    prefixes = tuple(os.path.join(prefix, "") for prefix in (sys.prefix, sys.base_prefix, "/usr"))
    if folder.startswith(prefixes):
        return True
    # on Windows, `Lib/site-packages`; elsewhere there is `python3.11` between
    above = os.path.dirname(os.path.dirname(folder))
    marks = (os.path.join(place, "pyvenv.cfg") for place in (above, os.path.dirname(above)))
    return any(map(os.path.exists, marks))


# ------------------------------------------------------------------------------------------------
# what has no audit event


def replace(name: str) -> None:
    """Have a function of `os` note what it is asked."""
    original = real[name] = getattr(os, name)
    note = ASKING[name]

    @functools.wraps(original)
    def in_its_place(*arguments: Any, **named: Any) -> Any:
        quietly(note, name, *arguments, **named)
        return original(*arguments, **named)

    in_its_place.__module__ = "os"  # where it is found when it is pickled
    setattr(os, name, in_its_place)
    # code asks `os.stat in os.supports_fd`
    for abilities in (
        os.supports_fd,
        os.supports_dir_fd,
        os.supports_follow_symlinks,
        os.supports_effective_ids,
    ):
        if original in abilities:
            abilities.add(in_its_place)


def note_asked(name: str, path: Any, *_: Any, dir_fd: Any = None, **__: Any) -> None:
    """Note what code asks of a path: its type, and more where the step's own code asks for more."""
    if isinstance(path, int):
        return
    # The same question from the same place is asked in loops: a set look-up answers it. The frame
    # behind counts, too, since most code asks through `os.path`.
    frame = sys._getframe(3)
    behind = 0
    if frame.f_back is not None:
        behind = id(frame.f_back.f_code)
    by = (name, path, dir_fd, id(frame.f_code), behind)
    if by in asked_before:
        return
    asked_before.add(by)

    asked, code = caller()
    if asked == "realpath" or is_importing(code):
        return
    full = full_path(path, dir_fd)
    if not counts(full) or not (is_own(code) or is_in_project(full)):
        return
    if not os.path.lexists(full):
        see("absent", full)
        return
    more: tuple[str, ...] = ()
    if is_own(code):
        more = ASKED.get(asked or name, ())
    see("stat", full, (*more, "type"))


def note_link(_name: str, path: Any, *_: Any, dir_fd: Any = None) -> None:
    full = full_path(path, dir_fd)
    asked, code = caller()
    is_wanted = is_in_project(full) or (asked is None and is_own(code))
    if is_wanted and counts(full) and os.path.islink(full):
        see("link", full)


def note_folder_asked(_name: str) -> None:
    asked, code = caller()
    if asked in (None, "cwd") and is_own(code):
        see("place", "")


def note_umask(_name: str, *_: Any) -> None:
    if is_own(caller()[1]):
        see("umask", "")


def note_open_at(_name: str, path: Any, flags: int, *_: Any, dir_fd: Any = None, **__: Any) -> None:
    """What the audit event of `os.open` does not tell: the folder that a path is relative to."""
    if dir_fd is not None:
        note_open(full_path(path, dir_fd), None, flags)


def caller() -> tuple[Any, str]:
    """The function of Python's own by which it was asked, and the file of the code that asks.

    The function is None if the code asked directly, the file "" if there is none.
    """
    frame: Any = sys._getframe(1)
    name = None
    while frame is not None and frame.f_code.co_filename in PASSING_ON:
        if frame.f_code.co_filename != THIS:
            name = frame.f_code.co_name
        frame = frame.f_back
    if frame is None:
        return name, ""
    return name, frame.f_code.co_filename


ASKING: dict[str, Callable[..., None]] = {
    "stat": note_asked,
    "lstat": note_asked,
    "access": note_asked,
    "readlink": note_link,
    "getcwd": note_folder_asked,
    "umask": note_umask,
    "open": note_open_at,
}


@functools.lru_cache(maxsize=4096)
def is_own(file: str) -> bool:
    """Whether code is of a cell or of a module that no distribution brought."""
    return (
        not file.startswith(("<frozen", "<nbci"))
        and file not in PASSING_ON
        and not is_foreign(file)
    )


# ------------------------------------------------------------------------------------------------
# environment


def watch_environment() -> None:
    """Have `os.environ` note which variables the step's own code reads.

    Those that it set itself are no input. The class is changed: code may hold the object.
    """
    kind = type(os.environ)
    get = kind.__getitem__
    put = kind.__setitem__
    iterate = kind.__iter__

    @functools.wraps(get)
    def getitem(self: Any, key: Any) -> Any:
        quietly(note_variable, key)
        return get(self, key)

    @functools.wraps(put)
    def setitem(self: Any, key: Any, value: Any) -> None:
        put(self, key, value)
        set_here.add(os.fsdecode(key))

    @functools.wraps(iterate)
    def iteration(self: Any) -> Any:
        quietly(note_variables)
        return iterate(self)

    kind.__getitem__ = getitem  # type: ignore[method-assign]
    kind.__iter__ = iteration  # type: ignore[method-assign]
    kind.__setitem__ = setitem  # type: ignore[method-assign]


def note_variable(key: Any) -> None:
    name = os.fsdecode(key)
    if name in variables or name in set_here:
        return
    if name == RUN_ID and reading_place() in gone_through:
        return  # it was read to be passed on: see `note_variables`
    file = caller()[1]
    if reads_for_itself(file):
        variables.add(name)
        return
    prefix = prefix_of(reading_package(file))
    if name.startswith(prefix):
        variables.add(prefix + "*")


def note_variables() -> None:
    """Note that all variables are gone through; a package looks for those that bear its name.

    Mostly they are passed on to another program (`{**os.environ}`), which asks nothing for the
    run's id.
    """
    gone_through.add(reading_place())
    package = reading_package(caller()[1])
    if package:
        variables.add(prefix_of(package) + "*")


def reading_place() -> tuple[int, int]:
    """The frame that reads variables, and its instruction.

    `dict(os.environ)` lists and reads them all by one instruction.
    """
    passing_on = (THIS, Mapping.get.__code__.co_filename)
    frame: Any = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename in passing_on:
        frame = frame.f_back
    return id(frame), frame.f_lasti


def note_variables_of(packages: Any) -> None:
    """Note what these looked for when they were imported, before this kernel was forked."""
    variables.update(prefix_of(package) + "*" for package in packages)


def prefix_of(package: str) -> str:
    """How the names of a package's own variables begin; no variable begins like that of none."""
    if not package:
        return "\0"
    return package.upper() + "_"


@functools.lru_cache(maxsize=4096)
def reading_package(file: str) -> str:
    """The installed package whose code reads, if any."""
    return package_of(file, site_folders())


def reads_for_itself(file: str) -> bool:
    return is_own(file) or any(reader in file for reader in READERS)


# ------------------------------------------------------------------------------------------------
# imports


class ImportWatch:
    """A finder that finds nothing, and notes what is looked for where."""

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> None:
        if path is None:
            path = sys.path
        looked[name, tuple(path)] = None


def searched_folders() -> dict[str, set[str]]:
    """By folder that is no installed one: the modules that were looked for in it."""
    found: dict[str, set[str]] = {}
    for name, folders in list(looked):
        if name.partition(".")[0] in sys.builtin_module_names:
            continue
        if not any(map(is_searchable, folders)):
            continue
        place = place_of(getattr(sys.modules.get(name), "__file__", None) or "")
        for folder in folders:
            if is_searchable(folder):
                found.setdefault(full_path(folder or "."), set()).add(name.rpartition(".")[2])
            if absolute(folder) == place:
                break  # found here: the folders behind were not looked into
    return found


@functools.lru_cache(maxsize=4096)
def absolute(folder: str) -> str:
    return os.path.abspath(folder)


def place_of(file: str) -> str:
    """The folder in which a module was found."""
    folder = absolute(os.path.dirname(file))
    if os.path.basename(file).startswith("__init__."):
        return os.path.dirname(folder)
    return folder


@functools.lru_cache(maxsize=4096)
def is_searchable(folder: str) -> bool:
    """Whether modules that belong to no distribution may be found there, now or later."""
    full = full_path(folder or ".")
    return counts(full) and not os.path.isfile(full)


# ------------------------------------------------------------------------------------------------
# network


def note_address(connecting: Any, address: Any) -> None:
    """Note what a socket reaches; `sendto` gives no address where it was connected before."""
    if address is None:
        return
    family = family_name(connecting)
    if family in INTERNET:
        if address[1] not in own_ports():
            network.add(str(address[0]))
    elif family == "unix":
        note_socket_file(os.fsdecode(address))
    elif family not in OF_THE_KERNEL:
        # A virtual machine's host, a network card, a bus: the first part tells which (`vsock 2`).
        place = address
        if isinstance(address, tuple):
            place = address[0]
        network.add(f"{family} {place}")


def family_name(connecting: Any) -> str:
    """The name of a socket's address family as `socket` has it, without `AF_`, in lower case."""
    import socket

    number = int(connecting.family)
    try:
        return socket.AddressFamily(number).name[len("AF_") :].lower()
    except ValueError:  # the system knows more families than Python
        return f"address family {number}"


def note_socket_file(name: str) -> None:
    """Note a server on this machine, by the path of its socket or its abstract name, unix(7)."""
    path = socket_name(name)
    is_known = path.startswith(LOGGING) or any(mark in name for mark in OF_WORKERS)
    if not is_known and not is_made_here(path):
        network.add(path)


def socket_name(name: str) -> str:
    """The full path; `@` and the name for an abstract one, as `ss` and `/proc/net/unix` show it."""
    if name.startswith("\0"):
        return "@" + name[1:]
    return full_path(name)


def is_made_here(path: str) -> bool:
    """Whether the step made it, or a folder that it lies in."""
    while path not in written:
        above = os.path.dirname(path)
        if above == path or not above:
            return False
        path = above
    return True


def note_server(bound: Any, address: Any) -> None:
    """What the step itself serves is no network."""
    family = family_name(bound)
    if family in INTERNET:
        ports.add(address[1])
        servers.append(weakref.ref(bound))
    elif family == "unix" and address:
        written.add(socket_name(os.fsdecode(address)))


def own_ports() -> set[int]:
    """Those that were asked for, and those that the system chose."""
    for server in servers:
        bound = server()
        if bound is not None and bound.fileno() >= 0:
            ports.add(bound.getsockname()[1])
    return ports


# ------------------------------------------------------------------------------------------------
# what Python does not see


def note_program(program: Any, words: Any = (), *_: Any) -> None:
    """A program that was started, but for those by which packages look at the machine."""
    if isinstance(words, (str, bytes)):
        words = [words]
    names = list(map(os.fsdecode, words or [program]))
    if len(names) > 2 and names[1] == "-c" and os.path.basename(names[0]) in SHELLS:
        names = names[2].split() or names  # `subprocess` with shell=True
    name = os.path.basename(names[0])
    if name not in OF_THE_MACHINE or is_own(starter()):
        programs.add(name)


def note_command(command: Any) -> None:
    note_program(None, os.fsdecode(command).split()[:1])


def note_terminal(*_: Any) -> None:
    programs.add("a shell command")


def note_worker(*_: Any) -> None:
    workers.add("fork")


def starter() -> str:
    """The file of the code that starts a program, by whatever Python has for that."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        file: str = frame.f_code.co_filename
        if file not in PASSING_ON and not is_starting(file):
            return file
        frame = frame.f_back
    return ""


def is_starting(file: str) -> bool:
    name = os.path.basename(file)
    return name in ("subprocess.py", "pty.py") or os.sep + "asyncio" + os.sep in file


def native_packages(module_files: list[str]) -> set[str]:
    """Packages that were imported and have machine code, and what was noted as native.

    Of what Python itself brings, only the latter counts.
    """
    files = {file for file in module_files if file.endswith((".so", ".pyd"))}
    try:
        with open("/proc/self/maps", "rb") as maps:
            files.update(map(os.fsdecode, LIBRARY.findall(maps.read())))
    except OSError:
        pass  # elsewhere than on Linux: what is loaded by its path is noted then
    folders = site_folders()
    packages = {package_of(file, folders) for file in files}
    # not by `intersection`: it goes through all of `sys.modules`, whose names a fork would copy
    return {name for name in packages if name in sys.modules} | native


def package_of(file: str, folders: list[str]) -> str:
    """The installed package that a file is of; its libraries may lie in a folder beside it."""
    for folder in folders:
        if file.startswith(os.path.join(folder, "")):
            return file[len(folder) + 1 :].partition(os.sep)[0].partition(".")[0]
    return ""


def has_workers() -> bool:
    """Whether the step's own code ran in other processes, too."""
    return bool(workers) or not sys.modules.keys().isdisjoint(WORKER_MODULES)


WORKER_MODULES = (
    "multiprocessing.popen_spawn_posix",
    "multiprocessing.popen_forkserver",
    "multiprocessing.popen_fork",
    "joblib.externals.loky.process_executor",
)
"""Modules that are imported when a worker is started, and not before."""

EVENTS: dict[str, Callable[..., None]] = {
    "open": note_open,
    "os.listdir": note_listing,
    "os.scandir": note_listing,
    "os.mkdir": note_made,
    "os.rename": note_renamed,
    "os.link": note_renamed,
    "os.symlink": note_renamed,
    "ctypes.dlopen": note_library,
    "import": note_import,
    "sqlite3.connect": note_database,
    "socket.connect": note_address,
    "socket.sendto": note_address,
    "socket.sendmsg": note_address,
    "socket.bind": note_server,
    "os.chdir": note_folder_changed,
    "subprocess.Popen": note_program,
    "os.posix_spawn": note_program,
    "os.exec": note_program,
    "os.spawn": lambda _mode, path, words, *_: note_program(path, words),
    "os.system": note_command,
    "os.forkpty": note_terminal,
    "os.fork": note_worker,
}


# ------------------------------------------------------------------------------------------------
# all of it in one document


def files_of_modules() -> list[str]:
    """Collected once: in a forked kernel, each module that is touched has memory copied."""
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return [file for file in files if isinstance(file, str)]


def own_modules(module_files: list[str]) -> list[str]:
    """Files of the modules that belong neither to Python nor to an installed distribution."""
    files = set()
    elsewhere = tuple(foreign)
    inside = tuple(roots)
    for file in module_files:
        if file.startswith(elsewhere) and not file.startswith(inside):
            continue  # at once: most are, and there may be thousands
        full = full_path(file)
        if not is_foreign(full):
            files.add(source_of(full) if full.endswith(".pyc") else full)
    return sorted(files)


def all_traces() -> dict[str, Any]:
    """All that was noted, in one document; nothing is noted in this thread from now on."""
    noting.on = True
    # an environment may have been put on the path, or made, since the beginning
    foreign[:] = installed_folders()
    module_files = files_of_modules()
    found: list[list[Any]] = []
    for (kind, path), more in sights.items():
        if not is_foreign(path):
            found.append([kind, path, sorted(more)])
    for folder, names in searched_folders().items():
        found.append(["import", folder, sorted(names)])
    return {
        "interpreter": sys.executable,
        "site_folders": site_folders(),
        "search_path": search_path,
        "modules": own_modules(module_files),
        "sights": sorted(found),
        "stamps": stamps,
        "written": sorted(path for path in written if not is_foreign(path)),
        "variables": sorted(variables),
        "network": sorted(network),
        "native": sorted(native_packages(module_files)),
        "programs": sorted(programs),
        "has_workers": has_workers(),
    }
