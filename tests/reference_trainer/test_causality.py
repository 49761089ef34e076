"""What a token changes: nothing before it, bit for bit."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from reference_trainer.data import Files, TokenStream
from reference_trainer.distributed import Ranks
from reference_trainer.preset import Preset, TransformerSettings, tiny
from reference_trainer.presets.baseline import PRESET as BASELINE
from reference_trainer.presets.count_bigram import PRESET as COUNT_BIGRAM
from reference_trainer.presets.sp8192_sdclip import PRESET as SP8192_SDCLIP
from reference_trainer.presets.unet_ttt import PRESET as UNET_TTT
from reference_trainer.training import train
from reference_trainer.transformer import Transformer

PRESETS = [BASELINE, COUNT_BIGRAM, UNET_TTT, SP8192_SDCLIP]
STEPS = 8
ALONE = Ranks(0, 1, torch.device("cpu"))
STRIDE = 32  # of windows that score their last tokens

every_preset = pytest.mark.parametrize("preset", PRESETS, ids=[preset.name for preset in PRESETS])


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small gain nothing from a second thread, and lose much where processors are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def shrunk(preset: Preset) -> Preset:
    """A tiny run of all its techniques: layers repeat and weights are rounded before it ends."""
    small = tiny(preset)
    assert isinstance(small.network, TransformerSettings)
    return replace(
        small,
        network=replace(small.network, repeat_from=min(small.network.repeat_from, STEPS - 2)),
        training=replace(small.training, steps=STEPS, late_qat_from=preset.training.late_qat_from and 0.5),
    )


def network_of(preset: Preset) -> Transformer:
    assert isinstance(preset.network, TransformerSettings)
    torch.manual_seed(0)
    size = preset.network.vocabulary
    return Transformer(preset.network, torch.randint(0, 50, (size, size)) if preset.network.count_bigram else None)


def randomised(preset: Preset) -> Transformer:
    network = network_of(preset)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape), alpha=0.2)
    network.set_step(STEPS, STEPS)
    return network


def trained(preset: Preset, files: Files) -> Transformer:
    network = network_of(preset)
    stream = TokenStream(files.data, preset.network.vocabulary, ALONE)
    network.load_state_dict(train(network, preset, stream, ALONE, lambda _: None, None).state)
    return network


def assert_causal(network: Transformer, length: int) -> None:
    tokens = torch.randint(network.settings.vocabulary, (2, length), generator=torch.Generator().manual_seed(2))
    for k in (0, 1, length - STRIDE - 1, length - STRIDE, length - 1):
        assert_reaches_no_earlier(network, tokens, k)


@torch.no_grad()
def assert_reaches_no_earlier(network: Transformer, tokens: Tensor, k: int) -> None:
    """Token k of the first sequence is exchanged: what it may change does change, and all else stays the same."""
    changed = tokens.clone()
    changed[0, k] = (tokens[0, k] + 1) % network.settings.vocabulary
    before, after = network(tokens), network(changed)
    assert before.isfinite().all()
    assert torch.equal(before[0, :k], after[0, :k]), f"token {k} changes a logit before it"
    assert torch.equal(before[1], after[1]), "a sequence changes another one"
    assert all(not torch.equal(before[0, t], after[0, t]) for t in range(k, tokens.size(1)))


@every_preset
def test_random_weights(preset: Preset) -> None:
    small = shrunk(preset)
    assert_causal(randomised(small), small.training.sequence)


@every_preset
def test_after_some_training(preset: Preset, files: Files) -> None:
    small = shrunk(preset)
    assert_causal(trained(small, files), small.training.sequence)


@every_preset
def test_a_prefix_alone_has_the_same_logits(preset: Preset) -> None:
    """Within rounding: another length is other blocks of the same sums."""
    network = randomised(shrunk(preset))
    tokens = torch.randint(network.settings.vocabulary, (1, 128), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        whole = network(tokens)
        for length in (1, 2, 31, 96):
            torch.testing.assert_close(network(tokens[:, :length]), whole[:, :length], atol=2e-4, rtol=2e-4)
