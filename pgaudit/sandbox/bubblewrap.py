"""Bubblewrap: the sandbox of bare machines and of containers that may make namespaces."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pgaudit.sandbox.box import PATH, TEMPORARY, WORK, Box, limited

FIRST_USER, USERS = 61_000, 4_000
"""Users of no account: below 65,536, which many containers stop at, and outside what distributions give to people."""
SYSTEM = ("/usr", "/opt")
SHARED = "/dev/shm"  # noqa: S108 -- inside the sandbox
MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
"""Links into ``/usr`` on most systems, folders on some."""
CONFIGURATION = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/nsswitch.conf",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/nvidia",
    "/etc/OpenCL",
    "/etc/vulkan",
)
"""What programs need of ``/etc``; the rest of it stays out, for it may hold secrets."""


@dataclass(frozen=True)
class Bubblewrap:
    """Runs a program in namespaces of its own. It dies with the process that started it, and all that it started with it."""

    user_namespace: bool
    """False for root, who mounts without one and hands the program to a user of no account: the kernel does not
    count root's processes, so that a limit on them needs another user."""
    version: str = ""

    @property
    def name(self) -> str:
        how = "user namespace" if self.user_namespace else "as root, program under a user of its own"
        return f"bubblewrap {self.version} ({how})".replace("  ", " ")

    @property
    def encloses(self) -> bool:
        return True

    @property
    def user(self) -> int:
        """The user that the program runs under; another one for each process of pgaudit, so that limits are its own."""
        return os.getuid() if self.user_namespace else FIRST_USER + os.getpid() % USERS

    def prepare(self, box: Box) -> None:
        """Hand the private folders to the user that the program runs under."""
        for root in () if self.user_namespace else (box.folder, box.temporary):
            os.chown(root, self.user, self.user)
            for folder, names, files in os.walk(root):
                for name in (*names, *files):
                    os.chown(Path(folder, name), self.user, self.user, follow_symlinks=False)

    def end(self, box: Box) -> None:
        """Nothing: everything inside ends with its first process."""

    def command(self, box: Box) -> list[str]:
        """The command line; what the box does not name does not exist inside."""
        return ["bwrap", *self._namespaces(), *_files(box), "--", *self._lower(), *limited(box)]

    def _namespaces(self) -> list[str]:
        shared = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        shared += [
            "--die-with-parent",
            "--new-session",
            "--hostname",
            "localhost",
            "--clearenv",
            "--setenv",
            "PATH",
            PATH,
        ]
        if self.user_namespace:
            return ["--unshare-user", *shared, "--cap-drop", "ALL"]
        kept = [word for name in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{name}")]
        return [*shared, "--cap-drop", "ALL", *kept]

    def _lower(self) -> list[str]:
        if self.user_namespace:
            return []
        who = ["--reuid", str(self.user), "--regid", str(self.user), "--clear-groups"]
        return ["setpriv", *who, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"]


def _files(box: Box) -> list[str]:
    """The file system inside: this machine's programs, what the box makes readable, and two folders to write in."""
    words: list[str] = []
    for path in SYSTEM:
        words += ["--ro-bind-try", path, path]
    for path in MERGED:
        here = Path(path)
        if here.is_symlink():
            words += ["--symlink", str(here.readlink()), path]
        else:
            words += ["--ro-bind-try", path, path]
    words += ["--perms", "0755", "--dir", "/etc"]
    for path in CONFIGURATION:
        words += ["--ro-bind-try", path, path]
    words += ["--proc", "/proc", "--dev", "/dev", "--size", str(box.limits.shared_memory_bytes), "--tmpfs", SHARED]
    words += ["--chmod", "1777", SHARED]
    for device in box.devices:
        words += ["--dev-bind", str(device), str(device)]
    words += ["--bind", str(box.temporary), TEMPORARY, "--bind", str(box.folder), WORK]
    for mount in box.readable:
        words += [word for parent in _parents(mount.target) for word in ("--perms", "0755", "--dir", parent)]
        words += ["--ro-bind", str(mount.source), mount.target]
    # What bubblewrap builds these on is memory that no limit counts.
    return [*words, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", WORK]


def _parents(target: str) -> list[str]:
    """The folders above a mount, outermost first: left to itself bubblewrap makes those of root for root alone."""
    return [
        str(parent) for parent in reversed(PurePosixPath(target).parents) if str(parent) not in ("/", TEMPORARY, WORK)
    ]
