"""The bundled script: what it holds, what it leaves out, and that it reads like the modules."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from reference_trainer.__main__ import PRESETS
from reference_trainer.bundling import bundle, names_defined, packages_used, spell, values_by_field, without_other_arms
from reference_trainer.preset import Preset, TestTimeTraining, tiny
from reference_trainer.quantisation import MaxClip, RowFormat

PACKAGE = Path(__file__).parents[2] / "reference_trainer"
ALL = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)


def defined(script: str) -> set[str]:
    return {name for node in ast.parse(script).body for name in names_defined(node)}


@ALL
def test_a_bundle_is_complete(preset: Preset, tmp_path: Path) -> None:
    """No name is undefined, none is defined twice, nothing is imported for nothing."""
    for each in (preset, tiny(preset)):
        script = tmp_path / "train_gpt.py"
        script.write_text(bundle(each), "utf-8")
        command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E9", str(script)]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout


@ALL
def test_a_bundle_does_not_need_the_package(preset: Preset) -> None:
    script = bundle(preset)
    assert packages_used(script) == sorted({"numpy", "sentencepiece", "torch", *codec_packages(preset)})
    assert "importlib" not in script


def codec_packages(preset: Preset) -> set[str]:
    return {"zlib": set[str](), "zstd": {"zstandard"}, "brotli": {"brotli"}}[preset.quantisation.codec]


@ALL
def test_a_bundle_holds_the_preset(preset: Preset) -> None:
    """Its last assignment makes the very same object."""
    for each in (preset, tiny(preset)):
        script = bundle(each)
        namespace: dict[str, object] = {"__name__": "bundle"}
        exec(compile(script, "train_gpt.py", "exec"), namespace)
        assert repr(namespace["PRESET"]) == repr(each)


@pytest.mark.parametrize(
    "name, needed, not_needed",
    [
        (
            "baseline",
            {"Transformer"},
            {"ManifoldNetwork", "ManifoldSettings", "score_first", "TestTimeTraining_", "main"},
        ),
        ("count-bigram", {"CountBigram", "count_bigrams"}, {"ManifoldNetwork", "score_first", "collect_hessians"}),
        ("unet-ttt", {"score_first", "adapt"}, {"ManifoldNetwork", "collect_hessians", "write_documents"}),
        ("sp8192-sdclip", {"collect_hessians", "gptq"}, {"ManifoldNetwork", "score_first", "tiny", "write_folder"}),
        ("manifold", {"ManifoldNetwork", "build_manifold"}, {"Transformer", "score_first", "count_bigrams"}),
    ],
)
def test_a_bundle_holds_what_its_preset_uses(name: str, needed: set[str], not_needed: set[str]) -> None:
    names = defined(bundle(PRESETS[name]))
    assert needed <= names
    assert not not_needed & names


def test_bundled_code_is_the_code_of_the_modules() -> None:
    """Every line of the script but its head, its banners and its preset stands in a module, in order and with its comments."""
    script = bundle(PRESETS["baseline"])
    body = script[script.index("# ---") : script.index("\n\n\nPRESET = ")]
    modules = "\n".join(path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py")))
    lines = set(modules.splitlines())
    strange = [line for line in body.splitlines() if line not in lines and not line.startswith("# ")]
    assert strange == []
    for node in ast.parse(body).body:
        if not any(isinstance(part, ast.Match) for part in ast.walk(node)):
            assert ast.get_source_segment(body, node) in modules  # type: ignore[operator]


def test_comments_above_a_definition_come_with_it() -> None:
    script = bundle(PRESETS["baseline"])
    assert "# --" in script
    assert "\n# Tokenizer and bytes\n\n\ndef load_tokenizer" in script


def test_top_level_names_are_unique_over_the_package() -> None:
    """Otherwise one would replace another in a bundle. Presets and the command lines are never bundled."""
    counts = Counter(
        name
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "presets" and path.name != "__main__.py"
        for name in defined(path.read_text("utf-8"))
    )
    counts.subtract(["main"])
    assert [name for name, count in counts.items() if count > 1] == []


def test_imports_follow_the_rules_of_bundling() -> None:
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reference_trainer"):
                assert node in tree.body, path
                assert path.name == "__main__.py" or all(alias.asname is None for alias in node.names), path
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, path
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("reference_trainer") for alias in node.names), path


# Arms of match statements

HELD: dict[str, list[object]] = {
    "method": ["round"],
    "clip": [MaxClip()],
    "test_time_training": [None],
    "stride": [64],
}


def arms(subject: str, *patterns: str) -> list[str]:
    """Which arms of a match statement are left."""
    text = f"match {subject}:\n" + "".join(f"    case {pattern}:\n        pass\n" for pattern in patterns)
    return [line.strip()[5:-1] for line in without_other_arms(text, HELD).splitlines() if "case" in line]


@pytest.mark.parametrize(
    "subject, patterns, left",
    [
        ("plan.method", ['"round"', '"gptq"'], ['"round"']),
        ("method", ['"round"', '"gptq"'], ['"round"']),
        ("plan.method", ['"gptq" | "round"', "_"], ['"gptq" | "round"', "_"]),
        ("row_format.clip", ["DeviationClip(k)", "MaxClip()", "other"], ["MaxClip()", "other"]),
        ("x.test_time_training", ["TestTimeTraining() as adaptation", "None"], ["None"]),
        ("x.stride", ["None", "int() as stride"], ["int() as stride"]),
        ("x.unknown", ["1", "2"], ["1", "2"]),
        ("f()", ["1", "2"], ["1", "2"]),
        ("x.method", ['str() as name if name == "gptq"', "_"], ['str() as name if name == "gptq"', "_"]),
    ],
)
def test_arms_that_no_value_takes_are_left_out(subject: str, patterns: list[str], left: list[str]) -> None:
    assert arms(subject, *patterns) == left


def test_values_are_gathered_from_all_levels() -> None:
    held = values_by_field(PRESETS["unet-ttt"])
    assert [type(value) for value in held["test_time_training"]] == [TestTimeTraining]
    assert held["chunk"] == [32_768]
    assert held["bits"] == [8, 6]


# Settings as text


def test_a_short_setting_stands_on_one_line() -> None:
    assert spell(RowFormat(8, MaxClip())) == "RowFormat(bits=8, clip=MaxClip())"
    assert spell((1,)) == "(1,)"
    assert spell(("a", 2.5, None, ())) == '("a", 2.5, None, ())'


def test_a_long_setting_is_spread_over_lines() -> None:
    rows = tuple(("a name that is long enough", RowFormat(bits, MaxClip())) for bits in (4, 8))
    assert spell(rows).splitlines() == [
        "(",
        '    ("a name that is long enough", RowFormat(bits=4, clip=MaxClip())),',
        '    ("a name that is long enough", RowFormat(bits=8, clip=MaxClip())),',
        ")",
    ]
    assert eval(spell(rows), {"RowFormat": RowFormat, "MaxClip": MaxClip}) == rows
