#!/usr/bin/env python3
"""Which layers of the confinement this machine gives: each is tried out, in a child of its own.

What is missing must be listed under master.allow_missing for a server to start here. The demo and
the tests ask; run by hand it prints a line a layer. It shares no code with the server, so that a
server which fails to use what is there does not look as if the machine lacked it.
"""

import ctypes
import functools
import os
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
NEW_NAMESPACES = 0x20000 | 0x4000000 | 0x8000000 | 0x10000000 | 0x20000000 | 0x40000000  # mnt uts ipc user pid net
REC_PRIVATE = 0x4000 | 1 << 18
DETACH = 2
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
MOUNT_SETATTR, OPEN_TREE, MOVE_MOUNT = 442, 428, 429
LANDLOCK_CREATE, LANDLOCK_RESTRICT = 444, 446
SET_NO_NEW_PRIVS, SET_MDWE, CAPBSET_DROP, CAP_SYS_ADMIN = 38, 65, 24, 21
EMPTY_PATH, RECURSIVE, AT_FDCWD = 0x1000, 0x8000, -100


def call(step, function, *arguments):
    """The result of a C function; OSError with `step` for -1."""
    result = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{step}: {os.strerror(ctypes.get_errno())}")
    return result


def write(path, text):
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
    except OSError as error:
        raise OSError(error.errno, f"write {path}: {error.strerror}") from None


def without_the_power_to_mount():
    """The server's master gives it up, and some kernels let only those who have it make namespaces."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    call("capget", LIBC.capget, header, sets)
    for i in range(3):
        sets[i] &= ~(1 << CAP_SYS_ADMIN)
    LIBC.prctl(CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0)
    call("capset", LIBC.capset, header, sets)


def in_child(act, meanwhile=None):
    """Why `act` fails in a child; "" if it does not. `meanwhile(pid, ask, answer)` runs beside it."""
    said, say = os.pipe()
    asked, ask = os.pipe()
    answered, answer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(answer)
            act(ask, answered)
        except BaseException as error:  # the reason, whatever it is
            text = error.args[1] if isinstance(error, OSError) and len(error.args) > 1 else repr(error)
            os.write(say, text.encode()[:400])
        os._exit(0)
    for fd in (say, ask, answered):
        os.close(fd)
    why = ""
    try:
        if meanwhile:
            why = meanwhile(child, asked) or ""
        os.write(answer, b"+")
    except OSError as error:
        why = str(error.args[-1])
    os.close(answer)
    why = os.read(said, 400).decode() or why
    for fd in (said, asked):
        os.close(fd)
    _, status = os.waitpid(child, 0)
    return why or ("" if status == 0 else f"the child that tried it ended with status {status}")


def try_namespaces():
    uid, gid, is_root = os.geteuid(), os.getegid(), os.geteuid() == 0

    def map_all(pid, asked):  # as master does for its children
        if not os.read(asked, 1):
            return  # the child says why
        for name in ("gid_map", "uid_map"):
            with open(f"/proc/self/{name}", encoding="ascii") as own:
                rows = [line.split() for line in own]
            write(f"/proc/{pid}/{name}", "".join(f"{inside} {inside} {count}\n" for inside, _, count in rows))

    def enter(ask, answered):
        if is_root:
            without_the_power_to_mount()
        call("unshare", LIBC.unshare, NEW_NAMESPACES)
        if is_root:
            os.write(ask, b"?")
            if not os.read(answered, 1):
                raise OSError(0, "ids could not be mapped from outside")
        else:
            write("/proc/self/setgroups", "deny")
            write("/proc/self/gid_map", f"{gid} {gid} 1")
            write("/proc/self/uid_map", f"{uid} {uid} 1")
        call("make mounts private", LIBC.mount, None, b"/", None, REC_PRIVATE, None)
        tree = call("open_tree", LIBC.syscall, OPEN_TREE, AT_FDCWD, b"/usr", 1 | RECURSIVE)
        attributes = (ctypes.c_uint64 * 4)(2, 0, 0, 0)  # nosuid
        call("mount_setattr", LIBC.syscall, MOUNT_SETATTR, tree, b"", EMPTY_PATH, attributes, 32)
        call("mount a root", LIBC.mount, b"try", b"/proc", b"tmpfs", 0, b"size=64k")
        os.chdir("/proc")
        os.mkdir("usr")
        call("move_mount", LIBC.syscall, MOVE_MOUNT, tree, b"", AT_FDCWD, b"usr", 4)
        call("pivot_root", LIBC.syscall, PIVOT_ROOT[os.uname().machine], b".", b".")
        call("umount2", LIBC.umount2, b".", DETACH)
        first = os.fork()
        if first == 0:
            os._exit(0 if os.getpid() == 1 else 1)
        if os.waitpid(first, 0)[1] != 0:
            raise OSError(0, "a first process does not start")

    return in_child(enter, map_all if is_root else None)


def try_mdwe():
    return in_child(lambda *_: call("prctl", LIBC.prctl, SET_MDWE, 1, 0, 0, 0))


def landlock_version():
    return LIBC.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)


def try_landlock():
    def restrict(*_):
        handled = ctypes.c_uint64(1)
        ruleset = call("landlock_create_ruleset", LIBC.syscall, LANDLOCK_CREATE, ctypes.byref(handled),
                       ctypes.c_size_t(8), 0)
        call("no_new_privs", LIBC.prctl, SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        call("landlock_restrict_self", LIBC.syscall, LANDLOCK_RESTRICT, ruleset, 0)
    return in_child(restrict)


@functools.cache
def missing():
    """{layer: why}, by the names of master.allow_missing. Tried once a process."""
    found = {"namespaces": try_namespaces(), "mdwe": try_mdwe(), "landlock": try_landlock()}
    if not found["landlock"]:
        version = landlock_version()
        has = f"Landlock has version {version} here"
        found["landlock-network"] = has if version < 4 else ""
        found["landlock-scopes"] = has if version < 6 else ""
    return {layer: why for layer, why in found.items() if why}


@functools.cache
def allow_missing():
    """The value of master.allow_missing for this machine: "mdwe,landlock-scopes", or "".

    What is missing is said on standard error, once.
    """
    for layer, why in missing().items():
        print(f"layer {layer} is missing here: {why}", file=sys.stderr, flush=True)
    return ",".join(missing())


def arguments():
    """The same as options of postern-instance."""
    return ["--set", f"master.allow_missing={allow_missing()}"] if allow_missing() else []


if __name__ == "__main__":
    names = ["namespaces", "mdwe", "landlock"]
    if "landlock" not in missing():  # whose parts these are
        names += ["landlock-network", "landlock-scopes"]
    for name in names:
        print(f"{name:<17} {'missing: ' + missing()[name] if name in missing() else 'there'}")
