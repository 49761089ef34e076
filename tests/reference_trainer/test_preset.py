"""A tiny preset has the techniques of the full one."""

from dataclasses import fields, is_dataclass

import pytest

from reference_trainer.__main__ import PRESETS
from reference_trainer.preset import Preset, tiny

FULL = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)


def switches(settings: object) -> dict[str, object]:
    """Every setting with whether it is on; words stay words."""
    found: dict[str, object] = {}
    for entry in fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, entry.name)
        if is_dataclass(value):
            found |= {f"{entry.name}.{name}": part for name, part in switches(value).items()}
        else:
            found[entry.name] = value if isinstance(value, str) else bool(value)
    return found


def test_presets_are_known_by_their_names() -> None:
    assert list(PRESETS) == ["baseline", "count-bigram", "unet-ttt", "sp8192-sdclip", "manifold"]


@FULL
def test_nothing_that_is_on_is_off_when_tiny(preset: Preset) -> None:
    full, small = switches(preset), switches(tiny(preset))
    assert small == {**full, "tiny": True}


@FULL
def test_a_batch_is_shared_by_eight_ranks(preset: Preset) -> None:
    for each in (preset, tiny(preset)):
        assert each.training.batch_tokens % (8 * each.training.sequence) == 0


@FULL
def test_test_time_training_trains_on_whole_sequences(preset: Preset) -> None:
    for each in (preset, tiny(preset)):
        adaptation = each.evaluation.test_time_training
        assert adaptation is None or adaptation.chunk % each.evaluation.sequence == 0


@FULL
def test_the_phases_of_a_tiny_run_come_in_order(preset: Preset) -> None:
    small = tiny(preset).training
    assert small.warmup_steps < small.steps
    assert 0 <= small.cosine_until <= small.hold_until <= small.steps


@FULL
def test_only_a_tiny_preset_is_called_tiny(preset: Preset) -> None:
    assert not preset.tiny
    assert tiny(preset).tiny
    assert tiny(preset).name == preset.name
