from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.collect.layout import is_plain, owner, printable, record_folders, stray_folders

TRACK = "records/track_10min_16mb"


@pytest.mark.parametrize(
    "paths, folders",
    [
        pytest.param([f"{TRACK}/a/train_gpt.py", f"{TRACK}/a/logs/seed.txt"], {f"{TRACK}/a"}, id="one-folder"),
        pytest.param([f"{TRACK}/a/README.md", f"{TRACK}/b/README.md"], {f"{TRACK}/a", f"{TRACK}/b"}, id="two-folders"),
        pytest.param([f"copy/of/{TRACK}/a/train_gpt.py"], {f"copy/of/{TRACK}/a"}, id="below-a-prefix"),
        pytest.param([f"{TRACK}/{TRACK}/a/train_gpt.py"], {f"{TRACK}/records"}, id="folder-inside-itself"),
        pytest.param([f"{TRACK}/notes.md", "records/README.md"], set(), id="files-beside-the-folders"),
        pytest.param(["records/a/train_gpt.py"], {"records/a"}, id="without-a-track"),
        pytest.param(["records/a/notes.md"], set(), id="without-a-track-or-a-script"),
        pytest.param(
            ["records/x/a/train.py", "records/x/b/submission.json"], {"records/x/a", "records/x/b"}, id="deeper"
        ),
        pytest.param(["records/a/README.md", "records/a/src/train.py"], {"records/a"}, id="script-further-down"),
        pytest.param(["records/a/train.py", f"records/a/{TRACK}/b/train.py"], {"records/a"}, id="copy-inside"),
        pytest.param(["my_records/track_x/a/train.py"], set(), id="another-word"),
    ],
)
def test_record_folders(paths: list[str], folders: set[str]) -> None:
    assert record_folders(paths) == folders


@pytest.mark.parametrize(
    "paths, beside_records, folders",
    [
        pytest.param(["train_gpt.py", "README.md"], False, {"."}, id="root-script"),
        pytest.param(["train_gpt.py", "runs/a/train_gpt.py"], False, {"."}, id="outermost-script"),
        pytest.param(["mine/submission.json", "other/train_x.py"], False, {"mine"}, id="described-folder"),
        pytest.param(["mine/submission.json", "train_gpt.py"], False, {"mine", "."}, id="described-folder-and-root"),
        pytest.param(["train_gpt.py"], True, {"."}, id="root-script-beside-records"),
        pytest.param(["tools/train_x.py", "old/submission.json"], True, set(), id="other-script-beside-records"),
        pytest.param(["README.md", "tests/test_train.py"], False, set(), id="nothing"),
    ],
)
def test_stray_folders(paths: list[str], beside_records: bool, folders: set[str]) -> None:
    assert stray_folders(paths, beside_records=beside_records) == folders


@given(st.lists(st.lists(st.sampled_from(["records", "track_x", "a", "train.py"]), min_size=1, max_size=6), max_size=8))
def test_every_record_folder_owns_a_path(parts: list[list[str]]) -> None:
    paths = ["/".join(part) for part in parts]
    folders = record_folders(paths)
    assert folders == {found for path in paths if (found := owner(path, folders))}
    assert not any(owner(f"{folder}/", folders - {folder}) for folder in folders)


@given(st.binary(max_size=12), st.binary(max_size=12))
def test_printable_keeps_different_names_different(one: bytes, other: bytes) -> None:
    shown, also = (printable(name.decode("utf-8", "surrogateescape")) for name in (one, other))
    assert shown.isprintable()
    assert (shown == also) == (one == other)


@pytest.mark.parametrize(
    "path, shown",
    [
        ("plain/naïve.py", "plain/naïve.py"),
        ("\udcff", r"\xff"),
        ("a\x1b[2J", r"a\x1b[2J"),
        ("\u202e", r"\u202e"),
        ("\\xff", r"\\xff"),
    ],
)
def test_printable(path: str, shown: str) -> None:
    assert printable(path) == shown


@pytest.mark.parametrize("path", ["/etc/passwd", "a/../b", "..", "a//b", "./a", ""])
def test_a_path_that_leaves_its_root_is_not_plain(path: str) -> None:
    assert not is_plain(path)
    assert is_plain(f"a{path.replace('/', '-')}..b")
