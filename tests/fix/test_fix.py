"""Repairs of submission.json: exact, in the file's own form, and only what the shipped files leave no choice about."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaudit.fix.members import edited, members
from pgaudit.fix.repair import Repair, replacements
from tests.support import FOLDER, run_pgaudit


def change(folder: Path, **keys: object) -> str:
    """Change keys of submission.json (``...`` drops one), and return what the command prints."""
    file = folder / "submission.json"
    document = json.loads(file.read_text())
    for key, value in keys.items():
        if value is ...:
            del document[key]
        else:
            document[key] = value
    file.write_text(json.dumps(document, indent=2) + "\n")
    return run_pgaudit("fix", folder).out


def added(diff: str) -> list[str]:
    """The lines that a diff adds."""
    return [line[1:].strip() for line in diff.splitlines() if line.startswith("+") and not line.startswith("+++")]


def test_a_complete_file_is_left_alone(clean_folder: Path) -> None:
    done = run_pgaudit("fix", clean_folder)
    assert (done.status, done.out, done.err) == (0, "", "")


def test_the_diff_applies(clean_folder: Path) -> None:
    before = (clean_folder / "submission.json").read_bytes()
    diff = change(clean_folder, bytes_code=..., val_bpb="1.220887")
    broken = (clean_folder / "submission.json").read_bytes()
    root = clean_folder.parents[2]
    assert f"a/{FOLDER}/submission.json" in diff
    subprocess.run(["git", "apply", "-"], cwd=root, input=diff.encode(), check=True)
    assert (clean_folder / "submission.json").read_bytes() == before != broken
    assert run_pgaudit("fix", clean_folder).status == 0


def test_nothing_is_written_unless_it_is_asked_for(clean_folder: Path) -> None:
    change(clean_folder, bytes_code=...)
    before = (clean_folder / "submission.json").read_bytes()
    assert run_pgaudit("fix", clean_folder, "--diff").status == 10
    assert (clean_folder / "submission.json").read_bytes() == before
    done = run_pgaudit("fix", clean_folder, "--write")
    assert (done.status, done.out) == (0, "")
    assert '"bytes_code": 7640' in done.err
    assert json.loads((clean_folder / "submission.json").read_text())["bytes_code"] == 7640
    assert run_pgaudit("fix", clean_folder, "--write", "--diff").out == ""


def test_a_checkout_is_written_to_in_its_record_folder(clean_folder: Path) -> None:
    change(clean_folder, bytes_code=...)
    assert run_pgaudit("fix", clean_folder.parents[2], "--write").status == 0
    assert run_pgaudit("fix", ".", "--write", cwd=clean_folder).status == 0
    assert json.loads((clean_folder / "submission.json").read_text())["bytes_code"] == 7640


@pytest.mark.parametrize(
    "keys, lines",
    [
        ({"val_loss": ...}, ['"val_loss": 2.06142130,']),
        ({"val_loss": None}, ['"val_loss": 2.06142130,']),
        ({"val_loss": ..., "val_bpb": 1.220759}, ['"val_loss": 2.06120413,']),
        ({"val_loss": ..., "val_bpb": 1.2}, []),
        ({"bytes_total": ...}, []),
        ({"bytes_total": "14,129,390"}, ['"bytes_total": 14129390,']),
        ({"bytes_total": "14.1 MB"}, []),
        ({"val_bpb": "~1.2209"}, []),
        ({"val_bpb": "1.220887"}, ['"val_bpb": 1.220887,']),
        ({"name": "12"}, []),
        ({"seeds": ..., "seed_results": ...}, ['"seeds": [42, 1337, 2024],']),
        ({"seeds": ...}, []),
    ],
)
def test_a_repair(clean_folder: Path, keys: dict[str, object], lines: list[str]) -> None:
    assert added(change(clean_folder, **keys)) == lines


def test_one_log_states_score_loss_size_and_seed(clean_folder: Path) -> None:
    for log in ("train_seed1337.log", "train_seed2024.log"):
        (clean_folder / log).unlink()
    gone = dict.fromkeys(("val_bpb", "val_loss", "bytes_total", "seeds", "seed_results"), ...)
    assert added(change(clean_folder, **gone)) == [
        '"val_loss": 2.06120413,',
        '"val_bpb": 1.22075880,',
        '"bytes_total": 14127971,',
        '"seeds": [42],',
    ]
    assert run_pgaudit("fix", clean_folder, "--write").status == 0
    assert run_pgaudit("fix", clean_folder).out == ""


def test_seeds_of_runs_that_the_score_does_not_count_are_not_added(clean_folder: Path) -> None:
    diff = change(clean_folder, seeds=..., seed_results=..., val_bpb=1.2216735)
    assert added(diff) == []


def test_a_log_that_does_not_show_the_score_says_nothing_of_its_size(clean_folder: Path) -> None:
    for log in ("train_seed1337.log", "train_seed2024.log"):
        (clean_folder / log).unlink()
    assert added(change(clean_folder, bytes_total=..., seeds=..., seed_results=...)) == []
    assert added(change(clean_folder, val_bpb=1.2207588)) == ['"bytes_total": 14127971,', '"seeds": [42],']


def test_what_only_the_author_knows_is_named_and_left(clean_folder: Path) -> None:
    change(clean_folder, author=..., github_id=None)
    done = run_pgaudit("fix", clean_folder)
    assert (done.status, done.out) == (0, "")
    assert '"author" is left to its author' in done.err
    assert '"github_id" is left to its author' in done.err


@pytest.mark.parametrize(
    "content, where",
    [
        ('{\n  "val_bpb": 1.2\n  "name": "x"\n}\n', "submission.json:3 is not a JSON object"),
        ("[1]", "submission.json:1 is not a JSON object: holds a list"),
        ("", "submission.json:1 is not a JSON object"),
    ],
)
@pytest.mark.parametrize("option", ["--diff", "--write"])
def test_a_file_that_does_not_parse_is_refused(clean_folder: Path, content: str, where: str, option: str) -> None:
    (clean_folder / "submission.json").write_text(content)
    done = run_pgaudit("fix", clean_folder, option)
    assert done.status == 2
    assert where in done.err
    assert done.out == ""
    assert (clean_folder / "submission.json").read_text() == content


def test_a_file_of_another_encoding_is_refused(clean_folder: Path) -> None:
    (clean_folder / "submission.json").write_bytes('{"author": "Adé"}'.encode("latin-1"))
    done = run_pgaudit("fix", clean_folder)
    assert done.status == 2
    assert "is not UTF-8" in done.err


def test_what_cannot_be_repaired(clone: Path, tmp_path: Path, clean_folder: Path) -> None:
    assert run_pgaudit("fix", "--repo", clone, "--pr", "1").status == 0
    assert run_pgaudit("fix", "--repo", clone, "--pr", "2").status == 2
    assert run_pgaudit("fix", "--repo", clone, "--pr", "4").status == 3
    assert run_pgaudit("fix", "--repo", clone, "--pr", "1", "--write").status == 2
    assert run_pgaudit("fix", tmp_path / "nowhere").status == 2
    (clean_folder / "submission.json").unlink()
    assert run_pgaudit("fix", clean_folder).status == 0
    (clean_folder / "README.md").unlink()
    assert run_pgaudit("fix", clean_folder).status == 3
    assert run_pgaudit("fix", clean_folder / "train_gpt.py", "--write").status == 3


def test_a_link_is_not_written_through(clean_folder: Path, tmp_path: Path) -> None:
    change(clean_folder, bytes_code=...)
    elsewhere = tmp_path / "elsewhere.json"
    (clean_folder / "submission.json").rename(elsewhere)
    (clean_folder / "submission.json").symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    run_pgaudit("fix", clean_folder, "--write")
    assert elsewhere.read_bytes() == before


@pytest.mark.parametrize(
    "text, expected",
    [
        ("{}", '{\n  "val_bpb": 2}'),
        ('{"name": "x"}', '{"name": "x", "val_bpb": 2}'),
        ('{"name":"x","date":"y"}', '{"name":"x","date":"y","val_bpb":2}'),
        ('{"name": "x", "z": 1}', '{"name": "x", "val_bpb": 2, "z": 1}'),
        ('{\r\n\t"name" : "x"\r\n}\r\n', '{\r\n\t"name" : "x",\r\n\t"val_bpb" : 2\r\n}\r\n'),
        ('{\n  "val_bpb": null,\n  "z": [1, {"val_bpb": 3}]\n}', '{\n  "val_bpb": 2,\n  "z": [1, {"val_bpb": 3}]\n}'),
        ('{"val_bpb": 1, "val_bpb": "3"}', '{"val_bpb": 1, "val_bpb": 2}'),
    ],
)
def test_the_form_of_the_file_is_kept(text: str, expected: str) -> None:
    assert edited(text, {"val_bpb": "2"}).replace("\n}", "}") == expected.replace("\n}", "}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
)


@given(
    st.dictionaries(st.text(), JSON),
    st.sampled_from([None, 0, 2, "\t"]),
    st.booleans(),
    st.sampled_from(["val_bpb", "seeds"]),
)
def test_an_edit_changes_its_key_and_nothing_else(
    document: dict[str, object], indent: int | None, ascii_only: bool, key: str
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    assert [member.key for member in members(text)] == list(document)
    assert json.loads(edited(text, {key: "[2]"})) == {**document, key: [2]}


BLANK_ROW = "| 1337 | | — |"
TABLE = f"""# A table

| seed | roundtrip bpb | artifact |
|------|:-------------:|----------|
| 42   | 1.220759      | 14127971 |
{BLANK_ROW}
| 9    |               | —        |
"""


def test_blank_cells_of_the_readme_are_filled_from_the_log_of_their_seed(clean_folder: Path) -> None:
    readme = clean_folder / "README.md"
    readme.write_text(TABLE)
    done = run_pgaudit("fix", clean_folder, "--write")
    (row,) = [line for line in readme.read_text().splitlines() if line.startswith("| 1337")]
    assert [cell.strip() for cell in row.split("|")[1:-1]] == ["1337", "1.22167", "14,126,582 bytes"]
    assert readme.read_text() == TABLE.replace(BLANK_ROW, row)
    assert "train_seed1337.log" in done.err
    assert run_pgaudit("fix", clean_folder).status == 0


def test_a_readme_of_another_encoding_is_left_alone(clean_folder: Path) -> None:
    readme = clean_folder / "README.md"
    readme.write_bytes(TABLE.encode("latin-1", "replace") + b"\xe9")
    before = readme.read_bytes()
    change(clean_folder, bytes_code=...)
    done = run_pgaudit("fix", clean_folder, "--write")
    assert (done.status, '"bytes_code"' in done.err) == (0, True)
    assert readme.read_bytes() == before


@pytest.mark.parametrize(
    "table",
    [
        "| seed | size limit | model size | vocab size |\n|---|---|---|---|\n| 42 | - | - | - |\n",
        "| run | artifact |\n|---|---|\n| mean of 42 | - |\n| 42 baseline of PR 7 | - |\n",
        "| run | artifact |\n|---|---|\n| 42 \\| a | - |\n",
        "| seed | artifact | note |\n|---|---|---|\n| 42 | - |\n",
    ],
    ids=["other sizes", "other rows", "a bar in a cell", "a short row"],
)
def test_cells_that_may_mean_something_else_are_left_alone(table: str, clean_folder: Path) -> None:
    (clean_folder / "README.md").write_text(f"# A table\n\n{table}")
    assert run_pgaudit("fix", clean_folder).status == 0


@given(*[st.lists(st.sampled_from(["{", '"a": 1,', '"b": 2', "}", ""]), min_size=1).map("\n".join)] * 2)
def test_replacements_are_the_repair_by_whole_lines(before: str, after: str) -> None:
    lines: list[str] = before.split("\n")
    found = list(replacements(Repair("submission.json", before, after, (), ())))
    assert all(1 <= each.first <= each.last <= len(lines) for each in found)
    for each in reversed(found):
        lines[each.first - 1 : each.last] = each.lines
    assert "\n".join(lines) == after
