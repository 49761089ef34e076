"""What a program in the sandbox can and cannot do, by trying."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pgaudit.reproduce.interpreter import ask
from pgaudit.sandbox import Backend, Box, Limits, Mount
from pgaudit.sandbox.bubblewrap import Bubblewrap
from tests.support import submission

SHELL = ("sh", "-c")


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A box with two empty folders."""
    folder, temporary = tmp_path / "work", tmp_path / "tmp"
    folder.mkdir()
    temporary.mkdir()
    return Box((), folder, temporary, {"PATH": "/usr/bin:/bin", "HOME": "/submission"})


def run(sandbox: Backend, box: Box, script: str, **changes: object) -> subprocess.CompletedProcess[str]:
    """Run a shell script in the box."""
    whole = Box(
        (*SHELL, script), **{**{name: getattr(box, name) for name in ("folder", "temporary", "environment")}, **changes}
    )
    sandbox.prepare(whole)
    return subprocess.run(sandbox.command(whole), capture_output=True, text=True, check=False, timeout=60)


def test_only_its_own_folders_can_be_written(sandbox: Backend, box: Box, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    places = [
        "/usr/x",
        "/etc/x",
        "/x",
        "/var/x",
        "/home/x",
        "/root/x",
        "/dev/x",
        "/proc/sys/kernel/hostname",
        f"{outside}/x",
    ]
    tried = "; ".join(f"(echo no > {place}) 2>/dev/null && echo wrote {place}" for place in places)
    done = run(sandbox, box, f"{tried}; echo yes > /submission/a; echo yes > /tmp/b; pwd")
    assert "wrote" not in done.stdout.replace("wrote /proc/sys/kernel/hostname", "")  # its own name, not the machine's
    assert socket.gethostname() != "no"
    assert done.stdout.endswith("/submission\n")
    assert (box.folder / "a").read_text() == (box.temporary / "b").read_text() == "yes\n"
    assert list(outside.iterdir()) == []
    assert not any(Path(place).exists() for place in places if place != "/proc/sys/kernel/hostname")


def test_what_was_not_made_readable_is_not_there(sandbox: Backend, box: Box, tmp_path: Path) -> None:
    secret, shown = tmp_path / "secret", tmp_path / "shown"
    secret.write_text("token")
    shown.write_text("data")
    mounts = (Mount(shown, "/submission/data/deep/shown"),)
    done = run(
        sandbox,
        box,
        f"cat {secret}; cat /etc/shadow; ls /root /home; cat data/deep/shown; echo x > data/deep/shown",
        readable=mounts,
    )
    assert done.stdout == "data"
    assert shown.read_text() == "data"


def test_nothing_of_the_environment_comes_in(sandbox: Backend, box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    done = run(sandbox, box, "env", environment={"PATH": "/usr/bin:/bin", "A": "b c"})
    assert "hunter2" not in done.stdout
    assert {"A=b c"} <= set(done.stdout.splitlines())
    assert {line.partition("=")[0] for line in done.stdout.splitlines()} <= {"A", "PATH", "PWD", "SHLVL", "_", "OLDPWD"}


def test_there_is_no_network_not_even_to_this_machine(sandbox: Backend, box: Box) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.setblocking(False)
        code = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        interpreter = ask(None, submission("").submissions[0], "")
        done = run(sandbox, box, f'{sys.executable} -c "{code}"', readable=interpreter.mounts)
        assert "ConnectionRefusedError" in done.stderr
        with pytest.raises(BlockingIOError):
            server.accept()


def test_it_has_no_rights_and_cannot_get_any(sandbox: Backend, box: Box) -> None:
    done = run(sandbox, box, "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status")
    found = dict(line.split(":\t") for line in done.stdout.splitlines())
    assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == 0
    assert found["NoNewPrivs"] == "1"


def test_processes_and_files_are_bounded(sandbox: Backend, box: Box) -> None:
    limits = Limits(processes=20, file_bytes=100_000, memory_bytes=None)
    if not (isinstance(sandbox, Bubblewrap) and sandbox.user_namespace and os.getuid() == 0):  # root is not counted
        many = run(sandbox, box, "for i in $(seq 60); do sleep 30 & done; echo started", limits=limits)
        assert "started" not in many.stdout
        assert "fork" in many.stderr
    run(sandbox, box, "dd if=/dev/zero of=big bs=50000 count=9", limits=limits)
    assert (box.folder / "big").stat().st_size <= 100_000


def test_memory_is_bounded(sandbox: Backend, box: Box) -> None:
    interpreter = ask(None, submission("").submissions[0], "")
    done = run(
        sandbox,
        box,
        f"{sys.executable} -c 'bytearray(2**31)'",
        limits=Limits(memory_bytes=2**30),
        readable=interpreter.mounts,
    )
    assert "MemoryError" in done.stderr


def test_other_processes_are_not_seen(sandbox: Backend, box: Box) -> None:
    done = run(
        sandbox, box, f"ls -d /proc/{os.getpid()} /proc/1; grep -c . /proc/1/cmdline; ls -d /proc/[0-9]* | wc -l"
    )
    assert int(done.stdout.split()[-1]) < 10


def test_ranks_of_one_run_find_each_other(sandbox: Backend, box: Box) -> None:
    code = "import socket; print({socket.gethostbyname(name) for name in ('localhost', socket.gethostname())})"
    interpreter = ask(None, submission("").submissions[0], "")
    done = run(sandbox, box, f'{sys.executable} -c "{code}"', readable=interpreter.mounts)
    assert done.stdout == "{'127.0.0.1'}\n", done.stderr
