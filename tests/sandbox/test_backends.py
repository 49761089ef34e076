"""The command lines of every backend, and the refusal where none works. No container is started here."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path

import pytest

from pgaudit.errors import ExitCode
from pgaudit.sandbox import Box, Limits, Mount, SandboxUnavailable, find
from pgaudit.sandbox.bare import Bare
from pgaudit.sandbox.box import WORK
from pgaudit.sandbox.bubblewrap import Bubblewrap
from pgaudit.sandbox.containers import Container


@pytest.fixture
def box(tmp_path: Path) -> Box:
    """A box with everything in it."""
    (tmp_path / "w").mkdir()
    (tmp_path / "t").mkdir()
    return Box(
        ("python", "train_gpt.py"),
        tmp_path / "w",
        tmp_path / "t",
        {"SEED": "42", "LD_PRELOAD": "/submission/evil.so", "HOME": "/submission"},
        (Mount(tmp_path, "/submission/data/shards"),),
        Limits(processes=99, memory_bytes=1000, file_bytes=2000, cpu_seconds=30),
        (Path("/dev/nvidia0"),),
    )


def test_a_container_has_no_network_no_rights_and_bounds(box: Box) -> None:
    words = " ".join(Container("podman", "image:1").command(box))
    for part in (
        "podman run --rm --init --network none --read-only --cap-drop ALL",
        "no-new-privileges",
        "--pids-limit 99",
        "--memory 1000",
        "--ulimit fsize=2000",
        "--gpus all",
        f"--volume {box.folder}:/submission",
        ":/submission/data/shards:ro",
        "--env SEED=42",
    ):
        assert part in words
    assert words.endswith("image:1 python train_gpt.py")


@pytest.mark.parametrize("user_namespace", [False, True])
def test_bubblewrap_shares_nothing_and_sets_the_environment_last(box: Box, user_namespace: bool) -> None:
    words = Bubblewrap(user_namespace).command(box)
    for option in ("--unshare-net", "--unshare-pid", "--die-with-parent", "--new-session", "--clearenv"):
        assert option in words
    assert "--share-net" not in words
    # A preloaded library must not reach the tools that give up rights and set limits.
    assert words.index("LD_PRELOAD=/submission/evil.so") > words.index("env") > words.index("prlimit")
    assert ("setpriv" in words) is not user_namespace
    assert words[-2:] == ["python", "train_gpt.py"]
    assert words[words.index("/dev/nvidia0") - 1] == "--dev-bind"


def test_open_files_are_never_raised_above_what_this_process_may(box: Box) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    (word,) = [word for word in Bubblewrap(True).command(box) if word.startswith("--nofile=")]
    assert int(word.partition("=")[2]) <= most


def test_bare_says_what_it_is_and_keeps_the_limits(box: Box) -> None:
    bare = Bare()
    bare.prepare(box)
    words = bare.command(box)
    assert not bare.encloses
    assert "this user's rights" in bare.name
    (most,) = [word for word in words if word.startswith("--nproc=")]
    assert int(most.partition("=")[2]) > 99  # on top of what runs already
    assert f"--chdir={box.folder}" in words
    assert f"HOME={box.folder}" in words
    assert (box.folder / "data/shards").is_symlink()


def test_bare_puts_one_file_in_place_of_another_and_leaves_the_folder_alone(box: Box, tmp_path: Path) -> None:
    shards, other = tmp_path / "own", tmp_path / "other.bin"
    shards.mkdir()
    for name in ("train.bin", "val.bin"):
        (shards / name).write_text("official")
    other.write_text("other")
    mounts = (Mount(shards, f"{WORK}/data/own"), Mount(other, f"{WORK}/data/own/val.bin"))
    Bare().prepare(replace(box, readable=mounts))
    assert (box.folder / "data/own/val.bin").read_text() == "other"
    assert (box.folder / "data/own/train.bin").read_text() == "official"
    assert (shards / "val.bin").read_text() == "official"


def test_without_a_sandbox_it_refuses_and_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SandboxUnavailable, match="bwrap is not installed") as refused:
        find()
    assert "apt-get install bubblewrap" in refused.value.hint
    assert refused.value.exit_code is ExitCode.INCOMPLETE
    with pytest.raises(SandboxUnavailable, match=r"docker is not installed.*podman is not installed"):
        find("image:1")


def test_what_docker_says_is_its_reason_and_not_its_advice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    false = tmp_path / "docker"
    false.write_text("#!/bin/sh\nprintf 'docker: no daemon here.\\n\\nRun docker --help for more\\n' >&2\nexit 125\n")
    false.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SandboxUnavailable, match=r"docker: no daemon here\.; podman"):
        find("image:1")


def test_a_sandbox_that_the_kernel_refuses_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    false = tmp_path / "bwrap"
    false.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    false.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(SandboxUnavailable, match="No permissions to create new namespace"):
        find()
