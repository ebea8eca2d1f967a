"""Locking the calling process down for good, with what the kernel offers.

Runs in a fresh interpreter that sees neither this package nor any other installed one, so
it needs the standard library alone. On Linux the layers are, each for itself:

- limits of memory, processor time, file size, open files; no core dumps;
- where the system allows it, a user and a network namespace without a single interface;
- no capabilities, also for root, and no way back to any (``PR_SET_NO_NEW_PRIVS``);
- Landlock: nothing outside Python's own library can be read, nothing outside one folder
  written, and in that folder files can be made, but neither folders, links, sockets or pipes;
- a list of the system calls that a computation needs (seccomp). All others fail with
  ``PermissionError``: sockets, processes, threads, signals, removing and renaming, changing
  limits, and whatever kernels learn to do later.

On macOS the ``sandbox-exec`` profile of the parent takes the place of the last four. Nobody
has tried that yet. What counts is ``_check``: with either system, a process in which one of
the things to be closed is still open does not go on.

Not hidden: the names, sizes and times of files, for those who know where to look.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

_SYSTEM_LIBRARIES = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/nix/store",
    "/etc/ld.so.cache",
    "/usr/share/zoneinfo",
    "/dev/urandom",
)

# name:number on x86_64:number on aarch64
_ALLOWED_CALLS = """
    read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 close:3:57
    lseek:8:62 fstat:5:80 newfstatat:262:79 statx:332:291 stat:4:- lstat:6:- access:21:-
    faccessat:269:48 faccessat2:439:439 readlink:89:- readlinkat:267:78 getcwd:79:17
    getdents64:217:61 ftruncate:77:46 fsync:74:82 dup:32:23 dup2:33:- dup3:292:24 pipe:22:-
    pipe2:293:59 poll:7:- ppoll:271:73 select:23:- pselect6:270:72 mmap:9:222 munmap:11:215
    mremap:25:216 mprotect:10:226 madvise:28:233 brk:12:214 futex:202:98 sched_yield:24:124
    sched_getaffinity:204:123 getrandom:318:278 nanosleep:35:101 clock_nanosleep:230:115
    clock_gettime:228:113 clock_getres:229:114 gettimeofday:96:169 time:201:- times:100:153
    getrusage:98:165 getpid:39:172 getppid:110:173 gettid:186:178 getuid:102:174
    geteuid:107:175 getgid:104:176 getegid:108:177 uname:63:160 sysinfo:99:179
    rt_sigaction:13:134 rt_sigprocmask:14:135 rt_sigreturn:15:139 sigaltstack:131:132
    restart_syscall:219:128 exit:60:93 exit_group:231:94
"""
# name:number:number:argument:its values. The others of fcntl and ioctl can send signals to
# a process of one's choice (F_SETOWN) or put keys into a terminal's input (TIOCSTI).
_ALLOWED_WITH = """
    fcntl:72:25:1:0,1,2,3,4,1030 ioctl:16:29:1:0x5401,0x5413,0x5450,0x5451
"""
# name:number:number:argument of the flags. A file without a name (O_TMPFILE) could not be
# counted by whoever watches the folder.
_OPENING = "open:2:-:1 openat:257:56:2"
_O_TMPFILE = 0o20000000

_ARCHITECTURES = {"x86_64": (0xC000003E, 1), "aarch64": (0xC00000B7, 2)}
"""The kernel's name for a machine (AUDIT_ARCH_*), and the column with its numbers."""

_LD_WORD, _IF_EQUAL, _IF_ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_KILL, _REFUSE, _ALLOW = 0x80000000, 0x00050001, 0x7FFF0000  # refused with EPERM

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 4, 22, 38
_SIGKILL, _SECCOMP_MODE_FILTER = 9, 2
_CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 0x08000000, 0x10000000, 0x40000000
_TRUNCATE_VERSION = 3
_CAPABILITIES_VERSION = 0x20080522

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_WRITE_FILE, _READ_FILE, _READ_DIR, _MAKE_REG, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 8, 1 << 14
_FILE_RIGHTS = _READ_FILE | _WRITE_FILE | _TRUNCATE
_READ = _READ_FILE | _READ_DIR


def missing() -> str | None:
    """Why this system cannot lock a process down, as far as that shows without trying."""
    if sys.platform == "darwin":
        return None if os.access("/usr/bin/sandbox-exec", os.X_OK) else "There is no sandbox-exec."
    if not sys.platform.startswith("linux"):
        return f"That needs Linux or macOS, and this is {sys.platform}."
    if platform.machine() not in _ARCHITECTURES or sys.maxsize < 2**32:
        bits = 64 if sys.maxsize > 2**32 else 32
        return f"The system calls of this Python ({platform.machine()}, {bits} bits) are not known."
    version = _landlock_version()
    if version < 1:
        return "This kernel keeps nobody from files: Landlock (Linux 5.13 or newer) is off."
    if version < _TRUNCATE_VERSION:
        return "This kernel lets files be emptied that may only be read; Linux 6.2 does not."
    return None


def wrapper(modules: str, folder: str | None) -> list[str]:
    """What goes in front of the command of a process that is to lock itself down.

    On macOS that is a profile which also has to let Python and our own ``modules`` load.
    """
    if sys.platform != "darwin":
        return []
    read = [sys.base_prefix, sys.prefix, modules, "/usr/lib", "/System/Library", "/dev/null"]
    lines = [
        "(version 1) (deny default) (allow sysctl-read) (allow file-read-metadata)",
        *(f"(allow file-read* (subpath {json.dumps(p)}))" for p in (*read, "/dev/urandom")),
        *(f"(allow process-exec (subpath {json.dumps(p)}))" for p in read[:2]),
        *(f"(allow file* (subpath {json.dumps(p)}))" for p in ([folder] if folder else [])),
        '(allow file-write-data (literal "/dev/null"))',
    ]
    return ["/usr/bin/sandbox-exec", "-p", "\n".join(lines)]


def lock(
    parent_pid: int, folder: str | None, cpu_s: int, memory_bytes: int, file_bytes: int
) -> None:
    """Lock this process down; ``folder`` is the only one it may write to.

    ``cpu_s`` counts from the start of the process, ``file_bytes`` holds for each file.
    Raises ``OSError`` when something stays open: then nothing foreign may run here.
    """
    # Linux lets nobody but root raise a hard limit again, and this process will not be root.
    _limit("RLIMIT_CORE", 0, 0)
    _limit("RLIMIT_CPU", cpu_s, cpu_s + 60)  # for who ignores the first, a last resort
    _limit("RLIMIT_FSIZE", file_bytes, file_bytes)
    _limit("RLIMIT_NOFILE", 64, 64)
    if sys.platform.startswith("linux"):
        _limit("RLIMIT_AS", memory_bytes, memory_bytes)
        _close_namespaces()
        _prctl(_PR_SET_DUMPABLE, 0)  # a core pattern with a pipe ignores the limit
        _prctl(_PR_SET_NO_NEW_PRIVS, 1)
        _close_files(folder)
        _drop_capabilities()
        _prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != parent_pid:
            os._exit(1)
        _close_calls()
    _check(parent_pid, folder or "/")


def _check(parent_pid: int, folder: str) -> None:
    import _socket

    def connect() -> None:
        _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM).connect(("127.0.0.1", 9))

    def start_process() -> None:
        if os.fork() == 0:
            os._exit(0)

    def write() -> None:
        name = Path(folder, "..", f"ssr-local-{os.getpid()}")
        name.touch(0o600, exist_ok=False)
        name.unlink()

    attempts: dict[str, Callable[[], object]] = {
        "the network": connect,
        "starting processes": start_process,
        "reading files": lambda: list(Path("/").iterdir()),
        "writing files": write,
        "sending signals": lambda: os.kill(parent_pid, 0),
    }
    for what, attempt in attempts.items():
        try:
            attempt()
        except PermissionError:
            continue
        except OSError as error:
            raise OSError(f"{what} cannot be closed ({error})") from error
        raise OSError(f"{what} cannot be closed")


def _limit(name: str, soft: int, hard: int) -> None:
    import resource  # not on Windows, where this module only says so

    which = getattr(resource, name)
    _, most = resource.getrlimit(which)
    if most != resource.RLIM_INFINITY:  # ours is no excuse for exceeding the user's
        soft, hard = min(soft, most), min(hard, most)
    resource.setrlimit(which, (soft, hard))


def _system_call(number: int, *arguments: int | bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return int(libc.syscall(*(_wide(one) for one in (number, *arguments))))


def _prctl(option: int, *arguments: int | bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    padded = (*arguments, 0, 0, 0)[:4]
    if libc.prctl(option, *(_wide(one) for one in padded)) != 0:
        raise _failed(f"prctl {option}")


def _wide(argument: int | bytes) -> ctypes.c_long | bytes:
    # Left to itself ctypes passes 32 bits.
    return ctypes.c_long(argument) if isinstance(argument, int) else argument


def _failed(what: str) -> OSError:
    error = ctypes.get_errno()
    return OSError(error, f"{what}: {os.strerror(error)}")


def _close_namespaces() -> None:
    """A network without interfaces, where unprivileged processes or we may have one."""
    libc = ctypes.CDLL(None)
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC) != 0:
        libc.unshare(_CLONE_NEWNET | _CLONE_NEWIPC)


def _drop_capabilities() -> None:
    header = struct.pack("Ii", _CAPABILITIES_VERSION, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, bytes(24)) != 0:
        raise _failed("capset")


def _landlock_version() -> int:
    try:
        return _system_call(_LANDLOCK_CREATE, 0, 0, 1)
    except (AttributeError, OSError):
        return 0


def _close_files(folder: str | None) -> None:
    version = _landlock_version()
    rights = 15 + (version >= 5)
    # Files; connecting and binding TCP; abstract sockets and signals to the outside.
    handled = struct.pack(
        "QQQ", (1 << rights) - 1, 3 if version >= 4 else 0, 3 if version >= 6 else 0
    )
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = _system_call(_LANDLOCK_CREATE, handled, size, 0)
    if rules < 0:
        raise _failed("landlock_create_ruleset")
    for path in _readable():
        _permit(rules, path, _READ)
    own = _READ | _WRITE_FILE | _MAKE_REG | _TRUNCATE
    if folder is not None:
        _permit(rules, Path(folder), own)
    _permit(rules, Path(os.devnull), own)
    if _system_call(_LANDLOCK_RESTRICT, rules, 0) != 0:
        raise _failed("landlock_restrict_self")
    os.close(rules)


def _readable() -> Iterator[Path]:
    """The standard library, and what its extension modules are linked against."""
    yield from map(Path, (*sys.path, *_SYSTEM_LIBRARIES))
    yield from Path(sys.base_prefix, "lib").glob("*.so*")


def _permit(rules: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not path.is_dir():
            rights &= _FILE_RIGHTS
        rule = struct.pack("=Qi", rights, place)
        if _system_call(_LANDLOCK_ADD, rules, 1, rule, 0) != 0:
            raise _failed(f"landlock_add_rule {path}")
    finally:
        os.close(place)


def _close_calls() -> None:
    """Install the filter; from here on only the listed system calls work."""
    code = ctypes.create_string_buffer(b"".join(_filter(platform.machine())))
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(code))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program)


def _filter(machine: str) -> Iterator[bytes]:
    """The filter's instructions: for each call, "if it is this one, return"."""
    architecture, column = _ARCHITECTURES[machine]
    allow = _instruction(_RETURN, _ALLOW)
    refuse = _instruction(_RETURN, _REFUSE)
    # A 32-bit call into the same kernel has other numbers.
    yield _instruction(_LD_WORD, 4) + _instruction(_IF_EQUAL, architecture, 1, 0)
    yield _instruction(_RETURN, _KILL) + _instruction(_LD_WORD, 0)
    for number, _ in _numbers(_ALLOWED_CALLS, column):
        yield _instruction(_IF_EQUAL, number, 0, 1) + allow
    for number, (argument, values) in _numbers(_ALLOWED_WITH, column):
        checks = [_instruction(_LD_WORD, 16 + 8 * int(argument))]
        checks += [_instruction(_IF_EQUAL, int(v, 0), 0, 1) + allow for v in values.split(",")]
        code = b"".join((*checks, refuse))
        yield _instruction(_IF_EQUAL, number, 0, len(code) // 8) + code
    for number, (argument,) in _numbers(_OPENING, column):
        code = _instruction(_LD_WORD, 16 + 8 * int(argument))
        code += _instruction(_IF_ANY_BIT, _O_TMPFILE, 0, 1) + refuse + allow
        yield _instruction(_IF_EQUAL, number, 0, len(code) // 8) + code
    yield refuse


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _numbers(table: str, column: int) -> Iterator[tuple[int, list[str]]]:
    for entry in table.split():
        fields = entry.split(":")
        if fields[column] != "-":
            yield int(fields[column]), fields[3:]
