from __future__ import annotations

import io
import os
import re
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pgaudit.collect import collect, folder
from pgaudit.errors import NothingToAudit, TargetError
from pgaudit.submission import UnreadableFile

TRACK = "records/track_10min_16mb"


def write(root: Path, *paths: str) -> Path:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"text of {path}\n")
    return root


def listing(target: Path) -> dict[str, list[str]]:
    return {each.folder: list(each.files) for each in collect(str(target)).submissions}


def test_a_folder_without_records_is_one_submission(tmp_path: Path) -> None:
    write(tmp_path, "train_gpt.py", "logs/seed_1.txt", ".git/config", "README.md")
    assert listing(tmp_path) == {".": ["README.md", "logs/seed_1.txt", "train_gpt.py"]}


def test_a_record_folder_keeps_its_place_in_the_repository(tmp_path: Path) -> None:
    write(tmp_path, f"{TRACK}/a/train_gpt.py", f"{TRACK}/b/train_gpt.py", "README.md")
    both = {f"{TRACK}/a": ["train_gpt.py"], f"{TRACK}/b": ["train_gpt.py"]}
    assert listing(tmp_path) == listing(tmp_path / "records") == listing(tmp_path / TRACK) == both
    assert listing(tmp_path / TRACK / "a") == {f"{TRACK}/a": ["train_gpt.py"]}
    [submission] = collect(str(tmp_path / TRACK / "a")).submissions
    assert submission.track == "record"
    assert submission.files["train_gpt.py"].data == f"text of {TRACK}/a/train_gpt.py\n".encode()


def test_records_are_found_below_a_nested_copy(tmp_path: Path) -> None:
    write(tmp_path, f"parameter-golf/{TRACK}/a/train_gpt.py", "records/b/train_gpt.py")
    assert list(listing(tmp_path)) == [f"parameter-golf/{TRACK}/a", "records/b"]


def test_a_bare_script_keeps_its_name(tmp_path: Path) -> None:
    [submission] = collect(str(write(tmp_path, "mine.py") / "mine.py")).submissions
    assert (submission.folder, list(submission.files)) == (".", ["mine.py"])
    assert submission.files["mine.py"].data == b"text of mine.py\n"


def test_standard_input_is_the_training_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"print(1)\n")))
    [submission] = collect("-").submissions
    assert submission.files["train_gpt.py"].data == b"print(1)\n"
    with pytest.raises(NothingToAudit, match="standard input is empty"):
        collect("-")


def test_a_target_may_be_reached_through_links_and_dots(tmp_path: Path) -> None:
    write(tmp_path, "here/train_gpt.py", "there/README.md")
    (tmp_path / "link").symlink_to("here")
    assert listing(tmp_path / "link") == listing(tmp_path / "there" / ".." / "here") == {".": ["train_gpt.py"]}


def test_links_inside_are_listed_and_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "secret", "target/train_gpt.py")
    (tmp_path / "target" / "out").symlink_to("../secret")
    (tmp_path / "target" / "loop").symlink_to(".")
    [submission] = collect(str(tmp_path / "target")).submissions
    assert list(submission.files) == ["loop", "out", "train_gpt.py"]
    for name in ("loop", "out"):
        with pytest.raises(UnreadableFile, match="a symbolic link"):
            _ = submission.files[name].data


def test_what_is_not_a_regular_file_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    [submission] = collect(str(tmp_path)).submissions
    assert {name: file.problem for name, file in submission.files.items()} == {
        "pipe": "a named pipe",
        "socket": "a socket",
    }
    with pytest.raises(UnreadableFile):
        _ = submission.files["pipe"].data


def test_a_huge_file_is_listed_and_never_loaded(tmp_path: Path) -> None:
    write(tmp_path, "weights.pt")
    os.truncate(tmp_path / "weights.pt", 1 << 30)
    file = collect(str(tmp_path)).submissions[0].files["weights.pt"]
    assert file.size == 1 << 30
    with pytest.raises(UnreadableFile, match="1,073,741,824 bytes is more than pgaudit reads"):
        _ = file.data


def test_a_file_that_turns_into_a_link_is_not_followed(tmp_path: Path) -> None:
    write(tmp_path, "secret", "target/train_gpt.py")
    file = collect(str(tmp_path / "target")).submissions[0].files["train_gpt.py"]
    (tmp_path / "target" / "train_gpt.py").unlink()
    (tmp_path / "target" / "train_gpt.py").symlink_to("../secret")
    with pytest.raises(UnreadableFile, match="symbolic link"):
        _ = file.data


def test_names_that_are_not_text_are_shown_escaped(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff\x1b.py")).write_text("x = 1\n")
    [submission] = collect(str(tmp_path)).submissions
    assert list(submission.files) == [r"a\xff\x1b.py"]
    assert submission.files[r"a\xff\x1b.py"].data == b"x = 1\n"


def test_a_folder_of_very_many_files_says_that_it_was_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pgaudit.collect.assemble.MAX_FILES", 3)
    write(tmp_path, *(f"{number}.txt" for number in range(9)))
    files = collect(str(tmp_path)).submissions[0].files
    assert list(files) == ["0.txt", "1.txt", "2.txt", "3.txt"]
    assert [file.problem for file in files.values() if file.problem] == [
        "the folder has more than 3 files: the others are not listed"
    ]


def test_a_target_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MAX_PATHS", 3)
    with pytest.raises(TargetError, match="holds more than 3 files"):
        collect(str(write(tmp_path, *(f"{number}/a.txt" for number in range(3)))))


def test_an_empty_folder_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToAudit, match="holds no file"):
        collect(str(tmp_path))


@pytest.mark.parametrize(
    "name, message",
    [("absent", "absent: no such file"), ("loop", "loop of symbolic links"), ("pipe", "is a named pipe")],
)
def test_a_target_that_cannot_be_used(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TargetError, match=message):
        collect(str(tmp_path / name))


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder for a process that the permissions of files hold back, even where the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)
        os.seteuid(os.getuid())


def drop_privileges(root: Path) -> None:
    root.chmod(0o755)
    if os.geteuid() == 0:
        os.seteuid(65534)


def test_files_and_folders_that_may_not_be_read_are_listed(unprivileged: Path) -> None:
    write(unprivileged, "train_gpt.py", "closed/train_gpt.py")
    (unprivileged / "train_gpt.py").chmod(0)
    (unprivileged / "closed").chmod(0)
    drop_privileges(unprivileged)
    files = collect(str(unprivileged)).submissions[0].files
    assert {name: file.problem for name, file in files.items()} == {
        "closed": "a folder that cannot be listed",
        "train_gpt.py": "",
    }
    with pytest.raises(UnreadableFile, match="permission denied"):
        _ = files["train_gpt.py"].data
    with pytest.raises(TargetError, match=re.escape("closed: permission denied")):
        collect(str(unprivileged / "closed"))


@pytest.mark.parametrize(
    "options, message",
    [
        ({}, "no target was named"),
        ({"pr": 1}, "--pr, --rev and --base"),
        ({"repo": Path()}, "a clone holds many submissions"),
        ({"repo": Path(), "pr": 1, "rev": "main"}, "a clone holds many submissions"),
        ({"repo": Path(), "pr": 1, "base": "main"}, "--pr N already says what it is compared with"),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Path | int | str], message: str) -> None:
    with pytest.raises(TargetError, match=message):
        collect(None, **options)  # type: ignore[arg-type] # a table of options
