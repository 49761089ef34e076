from __future__ import annotations

import os
import subprocess
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgaudit.collect import collect, objects
from pgaudit.collect.clone import GitClone
from pgaudit.collect.layout import is_plain
from pgaudit.collect.objects import ObjectStore
from pgaudit.errors import TargetError
from pgaudit.submission import Collected, UnreadableFile
from tests.collect.repository import TRACK, Repository

BASE = {
    "README.md": "rules",
    "train_gpt.py": "baseline",
    f"{TRACK}/old/train_gpt.py": "old",
    f"{TRACK}/old/README.md": "old",
}
Folders = dict[str, dict[str, bool]]


def folders(collected: Collected) -> Folders:
    """For every submission, which of its files are changed."""
    return {each.folder: {name: file.changed for name, file in each.files.items()} for each in collected.submissions}


@pytest.fixture
def start(repository: Repository) -> str:
    """The tip of main."""
    oid = repository.commit(BASE)
    repository.main(oid)
    return oid


def read(repository: Repository, number: int) -> Collected:
    with GitClone(repository.path) as clone:
        return clone.pull_request(number)


def test_a_pull_request_shows_its_folder_as_it_was_sent(repository: Repository, start: str) -> None:
    new = {f"{TRACK}/new/train_gpt.py": "new", f"{TRACK}/new/logs/1.txt": "step", "README.md": "changed"}
    head = repository.commit(BASE | new, start, date="2026-04-02T23:30:00-0700")
    repository.main(repository.commit(BASE | {f"{TRACK}/later/train_gpt.py": "later"}, start))
    repository.pull(7, head)
    collected = collect(None, repo=repository.path, pr=7)
    assert folders(collected) == {f"{TRACK}/new": {"logs/1.txt": True, "train_gpt.py": True}}
    assert collected.submissions[0].files["train_gpt.py"].data == b"new"
    assert collected.submissions[0].files["logs/1.txt"].size == 4
    assert (collected.outside, collected.deleted) == (("README.md",), ())
    origin = collected.origin
    assert (origin.source, origin.pr, origin.head, origin.date) == ("refs/pull/7/head", 7, head, date(2026, 4, 3))


def test_files_that_the_pull_request_leaves_alone_are_there_and_marked(repository: Repository, start: str) -> None:
    repository.pull(7, repository.commit(BASE | {f"{TRACK}/old/README.md": "edited"}, start))
    assert folders(read(repository, 7)) == {f"{TRACK}/old": {"README.md": True, "train_gpt.py": False}}


def test_two_folders_are_two_submissions(repository: Repository, start: str) -> None:
    repository.pull(7, repository.commit(BASE | {f"{TRACK}/{name}/train_gpt.py": name for name in "ba"}, start))
    assert list(folders(read(repository, 7))) == [f"{TRACK}/a", f"{TRACK}/b"]


def test_one_folder_of_a_pull_request_can_be_named(repository: Repository, start: str) -> None:
    repository.pull(7, repository.commit(BASE | {f"{TRACK}/{name}/train_gpt.py": name for name in "ba"}, start))
    assert list(folders(collect(f"{TRACK}/b/", repo=repository.path, pr=7))) == [f"{TRACK}/b"]
    with pytest.raises(TargetError, match="adds no record folder") as caught:
        collect(f"{TRACK}/old", repo=repository.path, pr=7)
    assert caught.value.hint == f"it adds: {TRACK}/a, {TRACK}/b"


def test_a_nested_copy_keeps_its_prefix(repository: Repository, start: str) -> None:
    repository.pull(7, repository.commit(BASE | {f"parameter-golf/{TRACK}/a/train_gpt.py": "a"}, start))
    assert folders(read(repository, 7)) == {f"parameter-golf/{TRACK}/a": {"train_gpt.py": True}}


def test_a_change_at_the_root_is_a_submission_of_the_changed_files(repository: Repository, start: str) -> None:
    repository.pull(7, repository.commit(BASE | {"train_gpt.py": "mine", "ops/fast.py": "mine"}, start))
    collected = read(repository, 7)
    assert folders(collected) == {".": {"ops/fast.py": True, "train_gpt.py": True}}
    assert collected.outside == ("ops/fast.py", "train_gpt.py")


def test_the_root_script_counts_beside_a_record_folder(repository: Repository, start: str) -> None:
    repository.pull(7, repository.commit(BASE | {"train_gpt.py": "mine", f"{TRACK}/a/train_gpt.py": "a"}, start))
    assert folders(read(repository, 7)) == {".": {"train_gpt.py": True}, f"{TRACK}/a": {"train_gpt.py": True}}


def test_a_pull_request_that_presents_nothing(repository: Repository, start: str) -> None:
    repository.pull(7, repository.commit(BASE | {"README.md": "typo"}, start))
    collected = read(repository, 7)
    assert (collected.submissions, collected.outside) == ((), ("README.md",))


def test_deleted_files_are_named_and_not_listed(repository: Repository, start: str) -> None:
    kept = {path: text for path, text in BASE.items() if path != f"{TRACK}/old/README.md"}
    repository.pull(7, repository.commit(kept | {f"{TRACK}/old/train_gpt.py": "edited"}, start))
    collected = read(repository, 7)
    assert folders(collected) == {f"{TRACK}/old": {"train_gpt.py": True}}
    assert collected.deleted == (f"{TRACK}/old/README.md",)


@pytest.mark.parametrize("by_way_of_a_branch", [False, True])
def test_a_merged_pull_request_is_compared_with_what_it_was_merged_into(
    repository: Repository, start: str, by_way_of_a_branch: bool
) -> None:
    changed = BASE | {f"{TRACK}/a/train_gpt.py": "a"}
    head = repository.commit(changed, start)
    meanwhile = repository.commit(BASE | {"README.md": "news"}, start)
    merged = repository.commit(changed, start, head) if by_way_of_a_branch else head
    merge = repository.commit(changed | {"README.md": "news"}, meanwhile, merged)
    repository.main(repository.commit(changed | {f"{TRACK}/b/train_gpt.py": "b"}, merge))
    repository.pull(7, head)
    collected = read(repository, 7)
    assert folders(collected) == {f"{TRACK}/a": {"train_gpt.py": True}}
    assert collected.outside == ()


def test_a_commit_of_the_default_branch_is_what_it_changed_itself(repository: Repository, start: str) -> None:
    squashed = repository.commit(BASE | {f"{TRACK}/a/train_gpt.py": "a"}, start)
    repository.main(repository.commit(BASE | {f"{TRACK}/a/train_gpt.py": "a", "README.md": "news"}, squashed))
    with GitClone(repository.path) as clone:
        assert folders(clone.revision(squashed)) == {f"{TRACK}/a": {"train_gpt.py": True}}
        assert clone.revision("main").outside == ("README.md",)
        assert f"{TRACK}/old" in folders(clone.revision(start))


def test_without_common_history_all_that_the_base_does_not_hold_counts(repository: Repository, start: str) -> None:
    repository.pull(7, repository.commit({"train_gpt.py": "baseline", f"{TRACK}/a/train_gpt.py": "a"}))
    collected = read(repository, 7)
    assert folders(collected) == {f"{TRACK}/a": {"train_gpt.py": True}}
    assert (collected.outside, collected.deleted) == ((), ())


def test_a_revision_is_compared_with_the_base_that_is_named(repository: Repository, start: str) -> None:
    first = repository.commit(BASE | {f"{TRACK}/a/train_gpt.py": "a"}, start)
    second = repository.commit(BASE | {f"{TRACK}/a/train_gpt.py": "a", f"{TRACK}/b/train_gpt.py": "b"}, first)
    repository.git("tag", "--annotate", "--message=sent", "sent", second)
    assert list(folders(collect(None, repo=repository.path, rev="sent"))) == [f"{TRACK}/a", f"{TRACK}/b"]
    assert list(folders(collect(None, repo=repository.path, rev="sent", base=first))) == [f"{TRACK}/b"]


def test_a_record_of_a_revision_is_read_as_it_stands(repository: Repository, start: str) -> None:
    collected = collect(f"./{TRACK}/old/", repo=repository.path, rev="main")
    assert folders(collected) == {f"{TRACK}/old": {"README.md": True, "train_gpt.py": True}}
    with pytest.raises(TargetError, match="main has no folder records/absent"):
        collect("records/absent", repo=repository.path, rev="main")


def test_pull_numbers_are_those_whose_head_is_there(repository: Repository, start: str) -> None:
    for number in (20, 3):
        repository.pull(number, start)
    repository.git("update-ref", "refs/pull/5/merge", start)
    with GitClone(repository.path) as clone:
        assert clone.pull_numbers() == [3, 20]


def test_a_working_clone_is_compared_with_what_was_fetched(repository: Repository, start: str, tmp_path: Path) -> None:
    repository.git("clone", "--quiet", str(repository.path), str(tmp_path / "work"), cwd=tmp_path)
    head = repository.commit(BASE | {f"{TRACK}/a/train_gpt.py": "a"}, start)
    repository.git("fetch", "--quiet", "origin", f"{head}:refs/heads/mine", cwd=tmp_path / "work")
    repository.git("update-ref", "refs/heads/main", head, cwd=tmp_path / "work")
    assert list(folders(collect(None, repo=tmp_path / "work" / "records", rev="main"))) == [f"{TRACK}/a"]


def test_links_and_submodules_are_listed_and_not_followed(repository: Repository, start: str) -> None:
    script = repository.write("blob", b"x = 1\n")
    link = repository.write("blob", b"/etc/passwd")
    entries = {b"train_gpt.py": ("100644", script), b"link": ("120000", link), b"module": ("160000", start)}
    tree = repository.tree(entries)
    for name in reversed([*TRACK.encode().split(b"/"), b"a"]):
        tree = repository.tree({name: ("40000", tree)})
    repository.pull(7, repository.commit(tree, start))
    files = read(repository, 7).submissions[0].files
    assert {name: file.problem for name, file in files.items()} == {
        "link": "a symbolic link",
        "module": "a submodule",
        "train_gpt.py": "",
    }


@pytest.mark.parametrize("name", [b"..", b"a/../../b", b"/etc", b"."])
def test_a_tree_that_no_folder_can_hold_is_refused(repository: Repository, start: str, name: bytes) -> None:
    tree = repository.tree({name: ("100644", repository.write("blob", b""))})
    repository.pull(7, repository.git("commit-tree", tree, "-p", start, "-m", "hostile"))
    with pytest.raises(TargetError, match="which git refuses"):
        read(repository, 7)


def test_trees_that_multiply_are_refused(repository: Repository, start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "MAX_ENTRIES", 2000)
    tree = repository.tree({b"train_gpt.py": ("100644", repository.write("blob", b""))})
    for _ in range(12):
        tree = repository.tree({b"%d" % number: ("40000", tree) for number in range(10)})
    repository.pull(7, repository.commit(tree, start))
    with pytest.raises(TargetError, match="more than 2,000 files and folders"):
        read(repository, 7)


@given(data=st.binary(max_size=60))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_tree_or_are_refused(repository: Repository, data: bytes) -> None:
    store = ObjectStore(repository.path / "objects", repository.path / "shallow")
    try:
        entries = store.tree(repository.write("tree", data))
    except TargetError:
        entries = {}
    finally:
        store.close()
    assert all(is_plain(name) and os.fsencode(name) + b"\0" in data for name in entries)


names = st.sampled_from(["a", "b", "c.py", "é", "\udcff"])
trees = st.recursive(st.sampled_from(["1", "2"]), lambda inner: st.dictionaries(names, inner, max_size=3), max_leaves=8)
Nested = dict[str, "str | Nested"]


def nested(repository: Repository, content: Nested) -> str:
    entries = {}
    for name, below in content.items():
        leaf = isinstance(below, str)
        oid = repository.write("blob", below.encode()) if isinstance(below, str) else nested(repository, below)
        entries[os.fsencode(name)] = ("100644" if leaf else "40000", oid)
    return repository.tree(entries)


@given(old=st.dictionaries(names, trees, max_size=3), new=st.dictionaries(names, trees, max_size=3))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_changes_are_those_that_git_sees(repository: Repository, old: Nested, new: Nested) -> None:
    one, other = nested(repository, old), nested(repository, new)
    store = ObjectStore(repository.path / "objects", repository.path / "shallow")
    found = {os.fsencode(path): entry is None for path, entry in store.changes(one, other)}
    store.close()
    command = ["git", "diff-tree", "-r", "-z", "--name-status", "--no-renames", one, other]
    fields = subprocess.run(command, cwd=repository.path, capture_output=True, check=True).stdout.split(b"\0")[:-1]
    assert found == {path: status == b"D" for status, path in zip(fields[::2], fields[1::2], strict=True)}


def test_absent_content_is_a_problem_and_is_never_fetched(repository: Repository, start: str, tmp_path: Path) -> None:
    head = repository.commit(BASE | {f"{TRACK}/a/train_gpt.py": "a", f"{TRACK}/a/weights": "wide"}, start)
    repository.pull(7, head)
    absent = repository.git("rev-parse", f"{head}:{TRACK}/a/weights")
    (repository.path / "objects" / absent[:2] / absent[2:]).unlink()
    marker = tmp_path / "fetched"
    for key, value in {
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::sh -c touch% {marker}",
        "protocol.ext.allow": "always",
    }.items():
        repository.git("config", key, value)
    files = read(repository, 7).submissions[0].files
    assert {name: file.problem for name, file in files.items()} == {
        "train_gpt.py": "",
        "weights": "the clone does not hold its content",
    }
    with pytest.raises(TargetError):
        collect(None, repo=repository.path, rev=absent)
    assert not marker.exists()


def test_an_object_that_goes_away_makes_its_file_unreadable(repository: Repository, start: str) -> None:
    repository.pull(7, repository.commit(BASE | {f"{TRACK}/a/train_gpt.py": "a"}, start))
    with GitClone(repository.path) as clone:
        file = clone.pull_request(7).submissions[0].files["train_gpt.py"]
        oid = repository.write("blob", b"a")
        (repository.path / "objects" / oid[:2] / oid[2:]).unlink()
        with pytest.raises(UnreadableFile, match="does not hold object"):
            _ = file.data


def test_a_hostile_configuration_runs_nothing(repository: Repository, start: str, tmp_path: Path) -> None:
    repository.pull(7, repository.commit(BASE | {f"{TRACK}/a/train_gpt.py": "a"}, start))
    script = tmp_path / "run.sh"
    script.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    script.chmod(0o755)
    for key in ("core.fsmonitor", "core.pager", "pager.rev-parse", "diff.external", "core.alternateRefsCommand"):
        repository.git("config", key, str(script))
    assert list(folders(read(repository, 7))) == [f"{TRACK}/a"]
    assert not (tmp_path / "ran").exists()


def test_a_replaced_object_is_read_as_it_was_sent(repository: Repository, start: str) -> None:
    repository.pull(7, repository.commit(BASE | {f"{TRACK}/a/train_gpt.py": "sent"}, start))
    repository.git("replace", repository.write("blob", b"sent"), repository.write("blob", b"shown"))
    with GitClone(repository.path) as clone:
        assert clone.pull_request(7).submissions[0].files["train_gpt.py"].data == b"sent"


def test_a_shallow_clone_says_so(repository: Repository, start: str, tmp_path: Path) -> None:
    repository.main(repository.commit(BASE | {"README.md": "news"}, start))
    repository.pull(7, repository.commit(BASE | {f"{TRACK}/a/train_gpt.py": "a"}, start))
    shallow = tmp_path / "shallow"
    repository.git("clone", "--quiet", "--bare", "--depth=1", f"file://{repository.path}", str(shallow), cwd=tmp_path)
    repository.git("fetch", "--quiet", "--depth=1", "origin", "refs/pull/7/head:refs/pull/7/head", cwd=shallow)
    with pytest.raises(TargetError, match="is a shallow clone") as caught:
        collect(None, repo=shallow, pr=7)
    assert caught.value.hint == "git fetch --unshallow"


@pytest.mark.parametrize("rev", ["absent", "--all", "-x", "", "main:README.md", "0" * 40])
def test_what_is_no_commit_is_refused(repository: Repository, start: str, rev: str) -> None:
    with pytest.raises(TargetError, match="has no commit"):
        collect(None, repo=repository.path, rev=rev)


def test_an_absent_pull_request_comes_with_the_way_to_fetch_it(repository: Repository, start: str) -> None:
    with pytest.raises(TargetError, match="has no refs/pull/9/head") as caught:
        read(repository, 9)
    assert caught.value.hint == "git fetch origin refs/pull/9/head:refs/pull/9/head"


def test_what_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="is not a git repository"):
        GitClone(tmp_path)
    with pytest.raises(TargetError, match="is not a folder"):
        GitClone(tmp_path / "absent")


def test_a_clone_of_another_user_comes_with_the_way_to_trust_it(repository: Repository) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(repository.path, 65534, 65534)
    with pytest.raises(TargetError, match="belongs to another user") as caught:
        GitClone(repository.path)
    assert caught.value.hint == f"git config --global --add safe.directory {repository.path}"


def test_without_git_the_message_says_so(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TargetError, match="git was not found"):
        GitClone(repository.path)


def test_variables_of_an_outer_git_are_ignored(
    repository: Repository, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.pull(7, repository.commit(BASE | {f"{TRACK}/a/train_gpt.py": "a"}, start))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nowhere")
    assert list(folders(read(repository, 7))) == [f"{TRACK}/a"]
