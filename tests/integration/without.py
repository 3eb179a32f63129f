#!/usr/bin/env python3
"""Runs a command as a container's seccomp profile would have it: `without.py WHAT... -- COMMAND`.

WHAT: namespaces (no clone or unshare into new ones), mounts (namespaces can be had, but mount
nothing), landlock, io_uring. Each is refused with EPERM, in the command and all it starts.
"""
import ctypes
import errno
import os
import platform
import struct
import sys

NUMBERS = {
    "x86_64": {"clone": 56, "unshare": 272, "mount": 165},
    "aarch64": {"clone": 220, "unshare": 97, "mount": 40},
}
CLONE3, IO_URING_SETUP, LANDLOCK_CREATE_RULESET = 435, 425, 444
CLONE_NEWUSER = 0x10000000
NR, FIRST_ARGUMENT = 0, 16  # offsets in struct seccomp_data
LOAD, JUMP_IF_EQUAL, JUMP_IF_BITS, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
SET_NO_NEW_PRIVS, SET_SECCOMP, FILTER = 38, 22, 2


def filter_for(what):
    number = NUMBERS[platform.machine()]
    refused = {"namespaces": [number["unshare"]], "mounts": [number["mount"]],
               "landlock": [LANDLOCK_CREATE_RULESET], "io_uring": [IO_URING_SETUP]}
    code = []

    def refuse(number, error=errno.EPERM):
        code.extend([(JUMP_IF_EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | error)])

    code.append((LOAD, 0, 0, NR))
    for word in what:
        for one in refused[word]:
            refuse(one)
    if "namespaces" in what:
        refuse(CLONE3, errno.ENOSYS)  # its flags are in memory, which no filter sees
        code += [(JUMP_IF_EQUAL, 0, 4, number["clone"]), (LOAD, 0, 0, FIRST_ARGUMENT),
                 (JUMP_IF_BITS, 0, 1, CLONE_NEWUSER), (RETURN, 0, 0, ERRNO | errno.EPERM), (RETURN, 0, 0, ALLOW)]
    code.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("HBBI", *one) for one in code), len(code)


def main():
    end = sys.argv.index("--")
    program, count = filter_for(sys.argv[1:end])
    libc = ctypes.CDLL(None, use_errno=True)
    memory = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", count, ctypes.addressof(memory))
    if libc.prctl(SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(SET_SECCOMP, FILTER, header):
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[end + 1], sys.argv[end + 1:])


if __name__ == "__main__":
    main()
