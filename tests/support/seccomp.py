"""Kernels that refuse system calls: a seccomp filter, as container runtimes install it (Linux on x86-64)."""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Mapping

AVAILABLE = sys.platform == "linux" and platform.machine() == "x86_64"

# Numbers of x86-64.
_CALLS = {
    "acct": 163, "add_key": 248, "adjtimex": 159, "bpf": 321, "chroot": 161, "clock_settime": 227, "clone3": 435,
    "close_range": 436, "copy_file_range": 326, "delete_module": 176, "fallocate": 285, "fanotify_init": 300,
    "finit_module": 313, "get_mempolicy": 239, "init_module": 175, "io_cancel": 210, "io_destroy": 207,
    "io_getevents": 208, "io_setup": 206, "io_submit": 209, "io_uring_enter": 426, "io_uring_register": 427,
    "io_uring_setup": 425, "ioperm": 173, "iopl": 172, "kcmp": 312, "kexec_load": 246, "keyctl": 250,
    "madvise": 28, "mbind": 237, "membarrier": 324, "memfd_create": 319, "migrate_pages": 256, "mincore": 27,
    "mount": 165, "move_pages": 279, "name_to_handle_at": 303, "open_by_handle_at": 304, "openat2": 437,
    "perf_event_open": 298, "personality": 135, "pidfd_getfd": 438, "pidfd_open": 434, "pivot_root": 155,
    "prctl": 157, "preadv2": 327, "process_vm_readv": 310, "process_vm_writev": 311, "ptrace": 101, "pwritev2": 328,
    "quotactl": 179, "reboot": 169, "rename": 82, "renameat": 264, "renameat2": 316, "request_key": 249,
    "sched_getaffinity": 204, "sched_setaffinity": 203, "sendfile": 40, "set_mempolicy": 238,
    "setdomainname": 171, "sethostname": 170, "setns": 308, "setpriority": 141, "settimeofday": 164, "splice": 275,
    "statfs": 137, "fstatfs": 138, "statx": 332, "swapoff": 168, "swapon": 167, "sync_file_range": 277, "syslog": 103,
    "tee": 276, "umount2": 166, "unshare": 272, "userfaultfd": 323, "vmsplice": 278,
}  # fmt: skip

_DOCKER = (
    "acct", "add_key", "adjtimex", "bpf", "chroot", "clock_settime", "delete_module", "fanotify_init", "finit_module",
    "get_mempolicy", "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp",
    "kexec_load", "keyctl", "mbind", "migrate_pages", "mount", "move_pages", "name_to_handle_at", "open_by_handle_at",
    "perf_event_open", "pidfd_getfd", "pivot_root", "process_vm_readv", "process_vm_writev", "ptrace", "quotactl",
    "reboot", "request_key", "set_mempolicy", "setdomainname", "sethostname", "setns", "settimeofday", "swapoff",
    "swapon", "syslog", "umount2", "unshare", "userfaultfd",
)  # fmt: skip
DOCKER: Mapping[str, str] = dict.fromkeys(_DOCKER, "EPERM") | {"clone3": "ENOSYS"}
"""What Docker's default profile refuses a container without further capabilities."""

STRICT: Mapping[str, str] = DOCKER | dict.fromkeys(
    ("memfd_create", "madvise", "io_setup", "io_submit", "io_getevents", "io_destroy", "io_cancel", "fallocate",
     "sched_setaffinity", "sched_getaffinity", "setpriority", "pidfd_open", "prctl"),
    "EPERM",
)  # fmt: skip
"""A profile that also refuses memfd_create, madvise and all of io_*, with other calls that mmspool can do without."""

GVISOR: Mapping[str, str] = {
    "fallocate": "EOPNOTSUPP",
    "madvise": "EINVAL",
    **dict.fromkeys(
        ("clone3", "close_range", "copy_file_range", "io_uring_setup", "membarrier", "name_to_handle_at", "openat2",
         "pidfd_open", "preadv2", "pwritev2", "statx", "sync_file_range", "userfaultfd", "memfd_create"),
        "ENOSYS",
    ),
}  # fmt: skip
"""What kernels in user space, such as gVisor's, lack in one version or another, all at once."""

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse(calls: Mapping[str, str]) -> None:
    """Let the kernel refuse this process, and all that it starts, system calls with the errors that are named."""
    filters = [struct.pack("=HBBI", _LOAD, 0, 0, 0)]  # the call's number
    for name, error in calls.items():
        filters.append(struct.pack("=HBBI", _IF_EQUAL, 0, 1, _CALLS[name]))
        filters.append(struct.pack("=HBBI", _RETURN, 0, 0, _ERROR | getattr(errno, error)))
    filters.append(struct.pack("=HBBI", _RETURN, 0, 0, _ALLOW))
    program = _Program(len(filters), b"".join(filters))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program)),
    ):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
