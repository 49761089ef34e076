"""The network against one written out in plain steps, its wiring, and the number of its parameters."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from reference_trainer.layers import rotary_table
from reference_trainer.preset import Preset, TransformerSettings
from reference_trainer.presets.baseline import PRESET as BASELINE
from reference_trainer.presets.count_bigram import PRESET as COUNT_BIGRAM
from reference_trainer.presets.sp8192_sdclip import PRESET as SP8192_SDCLIP
from reference_trainer.presets.unet_ttt import PRESET as UNET_TTT
from reference_trainer.transformer import MirrorSkips, Transformer, layer_order

PRESETS = [BASELINE, COUNT_BIGRAM, UNET_TTT, SP8192_SDCLIP]
LATE = 1_000_000  # a step at which layers repeat

every_preset = pytest.mark.parametrize("preset", PRESETS, ids=[preset.name for preset in PRESETS])


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small gain nothing from a second thread, and lose much where processors are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def settings_of(preset: Preset) -> TransformerSettings:
    assert isinstance(preset.network, TransformerSettings)
    return preset.network


def shrunk(preset: Preset) -> TransformerSettings:
    """All layers, an eighth of the width, few tokens."""
    settings = settings_of(preset)
    return replace(
        settings,
        vocabulary=48,
        width=64,
        rope_dimensions=settings.rope_dimensions and 4,
        value_embeddings=settings.value_embeddings // 16,
        hashed_bigrams=settings.hashed_bigrams // 64,
        hashed_bigram_width=settings.hashed_bigram_width // 16,
    )


def randomised(settings: TransformerSettings, seed: int = 0) -> Transformer:
    """No parameter is zero, so that every path carries something."""
    network = Transformer(settings)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.2)
    network.set_step(LATE, LATE)
    return network


def some_tokens(network: Transformer, sequences: int = 2, length: int = 24) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(network.settings.vocabulary, (sequences, length), generator=generator)


# Size


@pytest.mark.parametrize(
    "preset, parameters",
    [(BASELINE, 17_059_912), (COUNT_BIGRAM, 25_776_208), (UNET_TTT, 22_340_186), (SP8192_SDCLIP, 34_861_146)],
    ids=[preset.name for preset in PRESETS],
)
def test_parameters_of_the_full_preset(preset: Preset, parameters: int) -> None:
    settings = settings_of(preset)
    with torch.device("meta"):
        network = Transformer(settings)
    assert sum(weight.numel() for weight in network.parameters()) == parameters == parameters_by_hand(settings)


def parameters_by_hand(s: TransformerSettings) -> int:
    kv_width = s.width // s.heads * s.kv_heads
    matrices = 2 * s.width * s.width + 2 * s.width * kv_width + int(2 * s.mlp_ratio * s.width * s.width)
    vectors = s.heads + 4 * s.width  # gain, scales of attention and MLP, mix of two
    total = s.vocabulary * s.width + s.layers * (matrices + vectors)
    if s.unet_skips:
        total += (s.layers + len(s.repeated) - (not s.skips_from_middle)) // 2 * s.width * (1 + s.skip_gates)
    if s.value_embeddings:
        total += s.value_embeddings * (s.vocabulary + kv_width) + len(s.value_embedding_layers)
    return total + s.count_bigram * s.vocabulary**2 + s.hashed_bigram_width * (s.hashed_bigrams + s.width)


def test_what_the_presets_are() -> None:
    """The numbers that describe the presets in public."""
    assert [(s.vocabulary, s.layers, s.width, s.heads, s.kv_heads) for s in map(settings_of, PRESETS)] == [
        (1024, 9, 512, 8, 4),
        (1024, 10, 512, 8, 4),
        (1024, 11, 512, 8, 4),
        (8192, 11, 512, 8, 4),
    ]
    assert COUNT_BIGRAM.name == "count-bigram"
    assert settings_of(COUNT_BIGRAM).count_bigram  # on by default
    assert len(layer_order(settings_of(SP8192_SDCLIP), repeat=True)) == 14


# Wiring


def plain_norm(x: Tensor) -> Tensor:
    eps = torch.finfo(torch.float32).eps
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt()


def plain_forward(network: Transformer, tokens: Tensor) -> Tensor:
    """One sequence (T,) -> (T, V), layer by layer and head by head."""
    s, w = network.settings, {name: weight.detach() for name, weight in network.named_parameters()}
    length, depth = len(tokens), s.width // s.heads
    rotated = s.rope_dimensions or depth
    cos, sin = (part[:, 0] for part in rotary_table(length, rotated, s.rope_base, tokens.device))

    def turn(x: Tensor) -> Tensor:
        a, b, rest = x[:, : rotated // 2], x[:, rotated // 2 : rotated], x[:, rotated:]
        return torch.cat([a * cos - b * sin, a * sin + b * cos, rest], 1)

    def attention(x: Tensor, layer: int) -> Tensor:
        p = f"blocks.{layer}.attention."
        q, k, v = (x @ w[p + part + ".weight"].T for part in ("query", "key", "value"))
        if layer in s.value_embedding_layers:
            shared = w["value_embeddings.table.weight"][tokens] @ w["value_embeddings.projection.weight"].T
            v = v + w["value_embeddings.scale"][s.value_embedding_layers.index(layer)] * shared
        heads = []
        for head in range(s.heads):
            own = head * s.kv_heads // s.heads
            columns, kv_columns = slice(head * depth, (head + 1) * depth), slice(own * depth, (own + 1) * depth)
            scores = w[p + "gain"][head] * turn(plain_norm(q[:, columns])) @ turn(plain_norm(k[:, kv_columns])).T
            later = torch.ones(length, length).triu(1).bool()
            y = (scores / depth**0.5).masked_fill(later, -torch.inf).softmax(1) @ v[:, kv_columns]
            if layer >= s.layers - s.exclusive_last:
                unit = v[:, kv_columns] / v[:, kv_columns].norm(dim=1, keepdim=True)
                y = y - (y * unit).sum(1, keepdim=True) * unit
            heads.append(y)
        return torch.cat(heads, 1) @ w[p + "output.weight"].T

    def mlp(x: Tensor, layer: int) -> Tensor:
        hidden = x @ w[f"blocks.{layer}.mlp.up.weight"].T
        hidden = torch.where(hidden > 0, hidden, (0.5 if s.activation == "leaky_relu_squared" else 0.0) * hidden)
        return hidden.square() @ w[f"blocks.{layer}.mlp.down.weight"].T

    x = w["embedding.weight"][tokens]
    if network.hashed_bigram is not None:
        rows = network.hashed_bigram.rows_of(tokens[:-1], tokens[1:])
        x[1:] += w["hashed_bigram.table.weight"][rows] @ w["hashed_bigram.projection.weight"].T
    x = first = plain_norm(x)
    written: list[Tensor] = []
    for place, layer in enumerate(network.order):
        mirror = len(network.order) - (2 if s.skips_from_middle else 1) - place
        if s.unet_skips and 0 <= mirror < place - (0 if s.skips_from_middle else 1):
            skip = w["skips.scale"][mirror] * written[mirror]
            share = w["skips.gate"][mirror].sigmoid() if s.skip_gates else None
            x = x + skip if share is None else (1 - share) * x + share * skip
        mix = w[f"blocks.{layer}.mix"]
        x = mix[0] * x + mix[1] * first
        depth_scale = (layer + 1) ** -0.5 if s.scale_norm_by_depth else 1.0
        before = x
        x = x + w[f"blocks.{layer}.attention_scale"] * attention(plain_norm(x) * depth_scale, layer)
        read = before if s.parallel_from is not None and layer >= s.parallel_from else x
        x = x + w[f"blocks.{layer}.mlp_scale"] * mlp(plain_norm(read) * depth_scale, layer)
        written.append(x)
    logits = plain_norm(x) @ w["embedding.weight"].T
    if network.count_bigram is not None:
        logits = logits + network.count_bigram(tokens)
    return s.softcap * (logits / s.softcap).tanh()


@every_preset
def test_forward_is_what_the_plain_steps_say(preset: Preset) -> None:
    network = randomised(shrunk(preset)).double()
    tokens = some_tokens(network)
    with torch.no_grad():
        # The stream of the network is float32, that of the plain steps float64.
        expected = torch.stack([plain_forward(network, sequence) for sequence in tokens]).float()
        torch.testing.assert_close(network.float()(tokens), expected, atol=5e-5, rtol=0)


def test_layers_repeat_from_their_step_on() -> None:
    settings = settings_of(SP8192_SDCLIP)
    assert layer_order(settings, repeat=True) == (0, 1, 2, 3, 4, 5, 3, 4, 5, 6, 7, 8, 9, 10)
    network = Transformer(shrunk(SP8192_SDCLIP))
    tokens = some_tokens(network)
    torch.nn.init.normal_(network.blocks[4].mlp.down.weight)  # type: ignore[union-attr, arg-type]
    network.set_step(1999, 20_000)
    assert network.order == tuple(range(11))
    before = network(tokens)
    network.set_step(2000, 20_000)
    assert len(network.order) == 14
    assert not torch.allclose(network(tokens), before)


@pytest.mark.parametrize(
    "layers, from_middle, read",
    [
        (9, False, {5: 3, 6: 2, 7: 1, 8: 0}),
        (9, True, {4: 3, 5: 2, 6: 1, 7: 0}),
        (8, True, {4: 3, 5: 2, 6: 1, 7: 0}),
        (11, False, {6: 4, 7: 3, 8: 2, 9: 1, 10: 0}),
        (14, False, {8: 5, 9: 4, 10: 3, 11: 2, 12: 1, 13: 0}),
    ],
)
def test_skips_join_mirrored_layers(layers: int, from_middle: bool, read: dict[int, int]) -> None:
    skips = MirrorSkips(layers, 1, gated=False, from_middle=from_middle)
    assert skips.scale.shape == (len(read), 1)
    joined = {}
    for place in range(layers):
        written = [torch.full((1,), 10.0**layer, dtype=torch.float64) for layer in range(place)]
        added = skips(torch.zeros(1, dtype=torch.float64), written, layers).item()
        if added:
            joined[place] = [value.item() for value in written].index(added)
    assert joined == read


def test_pairs_of_layers_stay_together_when_the_middle_repeats() -> None:
    settings = settings_of(SP8192_SDCLIP)
    pairs = []
    for repeat in (False, True):
        order = layer_order(settings, repeat)
        pairs.append([(order[mirror], order[-1 - mirror]) for mirror in range(5)])
    assert pairs[0] == pairs[1]


class TestLogits:
    def test_the_soft_cap_bounds_network_and_table_together(self) -> None:
        network = randomised(shrunk(COUNT_BIGRAM))
        assert network.count_bigram is not None
        with torch.no_grad():
            network.count_bigram.weight.mul_(1000)
            network.embedding.weight.mul_(100)
            logits = network(some_tokens(network))
        assert 29.9 < logits.abs().max() <= 30.0

    def test_the_table_alone(self) -> None:
        counts = torch.randint(0, 100, (48, 48), generator=torch.Generator().manual_seed(0))
        network = Transformer(shrunk(COUNT_BIGRAM), counts)
        torch.nn.init.zeros_(network.embedding.weight)
        tokens = some_tokens(network)
        assert network.count_bigram is not None
        torch.testing.assert_close(network(tokens), 30 * torch.tanh(network.count_bigram(tokens) / 30))
        assert network(tokens).abs().max() > 1

    def test_a_new_network_predicts_almost_evenly(self) -> None:
        network = Transformer(shrunk(BASELINE))
        assert network(some_tokens(network)).abs().max() < 0.5


@every_preset
def test_half_precision_under_autocast(preset: Preset) -> None:
    """The stream is bfloat16 then, the logits are float32, and both are close to the exact ones."""
    network = randomised(shrunk(preset))
    tokens = some_tokens(network)
    seen: list[torch.dtype] = []
    network.blocks[1].register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].dtype))
    with torch.no_grad():
        exact = network(tokens)
        with torch.autocast("cpu", torch.bfloat16):
            half = network(tokens)
    assert set(seen) == {torch.float32, torch.bfloat16}
    assert half.dtype == torch.float32
    assert F.cosine_similarity(half.flatten(), exact.flatten(), dim=0) > 0.98


@every_preset
def test_it_compiles_as_one_graph(preset: Preset) -> None:
    torch.compiler.reset()
    network = randomised(shrunk(preset))
    tokens = some_tokens(network)
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    for step in (0, LATE):  # both phases
        network.set_step(step, LATE)
        torch.testing.assert_close(compiled(tokens), network(tokens))
