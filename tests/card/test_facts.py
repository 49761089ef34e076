"""Facts come from what the code does and from the settings of the run, each with its place."""

from __future__ import annotations

import pytest

from pgaudit.card.facts import Category
from tests.card.support import HEAD, card, facts, values

NETWORK = """
class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.turn = nn.Linear(width, width)

    def forward(self, q, k, v):
        q = F.rms_norm(q, (64,))
        k = F.rms_norm(k, (64,))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


class Rotary(nn.Module):
    def forward(self, length):
        angles = torch.outer(torch.arange(length), self.inv_freq)
        return angles.cos(), angles.sin()


class Feed(nn.Module):
    def forward(self, x):
        return self.down(F.leaky_relu(self.up(x), negative_slope=0.5).square())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(1024, h.model_dim)
        self.head = None if h.tied else nn.Linear(h.model_dim, 1024)
        self.blocks = [Feed(), Attention(h.model_dim), Rotary()]

    def forward(self, x):
        x = self.table(x)
        kept = []
        for block in self.blocks[:4]:
            x = block(x)
            kept.append(x)
        for block in self.blocks[4:]:
            x = block(x + kept.pop())
        if h.tied:
            logits = F.linear(x, self.table.weight)
        else:
            logits = self.head(x)
        return h.logit_softcap * torch.tanh(logits / h.logit_softcap)


net = Net()
"""
MUON = """
def whiten(x, rounds):
    for _ in range(rounds):
        gram = x @ x.T
        x = 3.4 * x + (-4.7 * gram + 2.0 * gram @ gram) @ x
    return x


class Sideways(torch.optim.Optimizer):
    def step(self):
        for group in self.param_groups:
            group["weight"].add_(whiten(group["weight"].grad, 5))


steps = Sideways(net.parameters(), lr=h.matrix_lr)
"""
QUANTISE = """
def squeeze(weight, bits):
    top = 2 ** (bits - 1) - 1
    scale = weight.abs().amax(dim=1, keepdim=True) / top
    return torch.clamp(torch.round(weight / scale), -top - 1, top).to(torch.int8)


def export(net):
    for name, weight in net.state_dict().items():
        bits = 8 if "table" in name else h.matrix_bits
        squeeze(weight, bits)


export(net)
"""
PACK = """
def pack(data):
    if h.compressor == "lzma":
        return lzma.compress(data, preset=9)
    return zlib.compress(data, level=7)


pack(b"")
"""


def test_a_network_is_named_by_what_it_computes() -> None:
    found = facts(NETWORK)
    assert values(found["dimensions"]) == {"layers": "9", "width": "512", "heads": "8", "KV heads": "4"}
    assert values(found["grouped-query attention"]) == {"heads": "8", "KV heads": "4"}
    assert values(found["leaky ReLU squared"]) == {"slope": "0.5"}
    assert values(found["logit soft-cap"]) == {"cap": "30.0"}
    assert values(found["partial RoPE"]) == {"dimensions": "16"}
    assert values(found["scaled-dot-product attention"]) == {"causal": "True"}
    for name in ("QK norm", "RMSNorm", "U-Net skips", "tied embeddings"):
        assert not found[name].dormant
        assert found[name].category is Category.ARCHITECTURE


def test_a_fact_says_where_it_was_read_and_a_value_who_set_it() -> None:
    log = "num_layers: 12\nstep:1/10 train_loss:2.0 train_time:1ms\nfinal_score val_bpb:1.1\n"
    found = facts(NETWORK, {"train.log": log})
    assert (HEAD + NETWORK).splitlines()[(found["leaky ReLU squared"].place.line or 0) - 1].strip().startswith("return")
    (layers,) = (parameter for parameter in found["dimensions"].parameters if parameter.name == "layers")
    assert (layers.value, layers.source) == ("12", "train.log:1")


@pytest.mark.parametrize(
    "line, name",
    [
        ("F.relu(x).square()", "ReLU squared"),
        ("torch.relu(x).pow(2)", "ReLU squared"),
        ("F.relu(x) ** 2", "ReLU squared"),
        ("F.silu(self.gate(x)) * self.up(x)", "SwiGLU"),
        ("F.gelu(x)", "GELU"),
        ("F.relu(x)", "ReLU"),
    ],
)
def test_activations(line: str, name: str) -> None:
    network = f"class Feed(nn.Module):\n    def forward(self, x):\n        return {line}\n\nnet = Feed()\n"
    assert name in facts(network)


def test_an_activation_squared_by_way_of_a_name() -> None:
    body = "        y = torch.relu(x)\n        return self.down(y.square())\n"
    found = facts(f"class Feed(nn.Module):\n    def forward(self, x):\n{body}\nnet = Feed()\n")
    assert "ReLU squared" in found
    assert "ReLU" not in found


def test_muon_is_what_an_optimiser_does() -> None:
    found = facts(NETWORK + MUON)
    assert values(found["Muon"]) == {"lr": "0.02"}
    plain = facts(NETWORK + MUON.replace("whiten(group", "abs(group"))
    assert "optimiser of its own (Sideways)" in plain
    assert "Muon" not in plain


def test_an_optimiser_of_torch_has_the_values_that_it_is_given() -> None:
    found = facts(NETWORK + "torch.optim.AdamW(net.parameters(), lr=h.matrix_lr, betas=(0.9, 0.95))\n")
    assert values(found["AdamW"]) == {"lr": "0.02", "betas": "(0.9, 0.95)"}


def test_bits_are_followed_through_calls_and_settings() -> None:
    found = facts(NETWORK + QUANTISE)
    assert {name for name in found if name.startswith("int")} == {"int6 per-row", "int8 per-row"}
    found = facts(NETWORK + QUANTISE, {"run.sh": "MATRIX_BITS=5 python train_gpt.py\n"})
    assert {name for name in found if name.startswith("int")} == {"int5 per-row", "int8 per-row"}


def test_rounding_that_training_sees_is_qat() -> None:
    layer = """
class Rough(nn.Linear):
    def forward(self, x):
        w = self.weight
        q = torch.clamp(torch.round(w / 0.1), -31, 31) * 0.1
        return F.linear(x, w + (q - w).detach())

net = Rough(4, 4)
"""
    assert "QAT, int6" in facts(layer)


def test_the_compressor_that_the_settings_choose_is_used_and_the_other_dormant() -> None:
    found = facts(PACK)
    assert values(found["zlib"]) == {"level": "7"}
    assert found["LZMA"].dormant == "COMPRESSOR=zlib, code default"
    found = facts(PACK, {"README.md": "```bash\nCOMPRESSOR=lzma python train_gpt.py\n```\n"})
    assert values(found["LZMA"]) == {"level": "9"}
    assert found["zlib"].dormant == "COMPRESSOR=lzma, README.md:2"


def test_an_average_is_found_by_its_arithmetic_and_its_switch() -> None:
    loop = """
def average(kept, net):
    for name, weight in net.items():
        kept[name].mul_(h.ema_decay).add_(weight, alpha=1.0 - h.ema_decay)

if h.ema_enabled:
    average({}, {})
"""
    assert values(facts(loop)["EMA"]) == {"decay": "0.997"}
    off = facts(loop, {"run.sh": "EMA_ENABLED=0 python train_gpt.py\n"})["EMA"]
    assert off.dormant == "EMA_ENABLED=0, run.sh:1"


def test_a_setting_that_nothing_reads_is_dormant() -> None:
    assert facts("print(h.warmdown_iters)\n")["warm-down"].dormant == ""
    assert facts("print()\n")["warm-down"].dormant == "WARMDOWN_ITERS is set, but nothing that runs reads it"
    assert not facts('print(getattr(h, "warmdown_iters", 0))\n')["warm-down"].dormant


def test_code_that_nothing_calls_is_dormant() -> None:
    found = facts("def unused(data):\n    return lzma.compress(data)\n")
    assert found["LZMA"].dormant == "nothing that runs calls it"


def test_what_follows_an_early_return_is_dormant() -> None:
    text = "def pack(data):\n    if h.compressor != 'lzma':\n        return data\n    return lzma.compress(data)\n\npack(b'')\n"
    assert facts(text)["LZMA"].dormant == "COMPRESSOR=zlib, code default"


def test_the_untied_head_of_tied_embeddings_gets_no_optimiser() -> None:
    text = NETWORK + "if net.head is not None:\n    torch.optim.Adam(net.head.parameters(), lr=0.1)\n"
    assert facts(text)["Adam"].dormant
    assert not facts(text, {"run.sh": "TIE_EMBEDDINGS=0 python train_gpt.py\n"})["Adam"].dormant


def test_what_constructors_hand_on_decides_branches_inside_networks() -> None:
    text = """
class Feed(nn.Module):
    def __init__(self, gated=False):
        self.gated = gated

    def forward(self, x):
        if self.gated:
            return F.silu(self.gate(x)) * self.up(x)
        return F.relu(self.up(x)).square()


class Block(nn.Module):
    def __init__(self, gated=True):
        self.feed = Feed(gated=gated)


net = Block(gated=h.tied)
"""
    assert facts(text)["ReLU squared"].dormant
    assert not facts(text)["SwiGLU"].dormant
    found = facts(text, {"run.sh": "TIE_EMBEDDINGS=0 python train_gpt.py\n"})
    assert found["SwiGLU"].dormant
    assert not found["ReLU squared"].dormant


def test_a_layer_that_the_network_does_not_have_is_no_layer() -> None:
    head = HEAD.replace("    tied =", '    begin = int(os.environ.get("PARALLEL_START_LAYER", 7))\n    tied =')
    assert not facts("print(h.begin)\n", head=head)["parallel residuals"].dormant
    off = facts("print(h.begin)\n", {"run.sh": "PARALLEL_START_LAYER=99 python train_gpt.py\n"}, head)
    assert off["parallel residuals"].dormant == "PARALLEL_START_LAYER=99, run.sh:1; the network has 9 layers"


def test_windows_overlap_where_the_stride_is_shorter() -> None:
    assert values(facts("print(h.eval_stride)\n")["sliding window stride 64"])["length"] == "1024"
    found = facts("print(h.eval_stride)\n", {"run.sh": "EVAL_STRIDE=1024 python train_gpt.py\n"})
    assert "windows side by side" in found
    assert "sliding window stride 64" not in found


def test_steps_on_validation_tokens_are_test_time_training() -> None:
    text = """
import numpy as np

class Net(nn.Module):
    def forward(self, x):
        return x

def adapt(net, tokens):
    steps = torch.optim.SGD(net.parameters(), lr=0.1)
    loss = F.cross_entropy(net(tokens[:-1]), tokens[1:])
    print(f"score val_bpb:{loss.item():.4f}")
    loss.backward()
    steps.step()

def main():
    net = Net()
    torch.optim.AdamW(net.parameters(), lr=0.2)
    adapt(net, torch.from_numpy(np.fromfile("data/fineweb_val_000000.bin", dtype="<u2")))

main()
"""
    found = facts(text)
    assert found["SGD"].category is Category.TEST_TIME
    assert found["AdamW"].category is Category.OPTIMIZER
    assert not found["test-time training"].dormant


def test_constants_stand_for_settings_that_a_script_does_not_ask_for() -> None:
    found = facts("print(Settings.n_layer)\n", head="class Settings:\n    n_layer = 6\n    width = 64 * 4\n\n")
    assert values(found["dimensions"]) == {"layers": "6", "width": "256"}
    assert {parameter.source for parameter in found["dimensions"].parameters} == {"code"}


def test_names_and_comments_prove_nothing() -> None:
    assert (
        set(facts("def muon_ema_gptq_int6(x):  # zstd, SWA\n    return x\n\nmuon_ema_gptq_int6(1)\n", head="")) == set()
    )


def test_a_script_that_does_not_parse_leaves_a_gap_and_the_claims() -> None:
    found = card("def (:\n", {"submission.json": '{"val_bpb": 1.2}', "train.log": "final val_bpb:1.2000\n"})
    assert found.facts == ()
    assert found.comparisons[0].agrees
    assert any("cannot be read as Python" in gap.reason for gap in found.gaps)


def test_the_same_evidence_gives_the_same_card() -> None:
    assert card(HEAD + NETWORK + MUON) == card(HEAD + NETWORK + MUON)


PRESET = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Shape:
    num_layers: int = 9
    model_dim: int = 512

{made}
print(SHAPE.num_layers, SHAPE.model_dim)
"""


@pytest.mark.parametrize(
    "made, layers, width",
    [
        ("SHAPE = Shape()", 9, 512),
        ("SHAPE = Shape(num_layers=11)", 11, 512),
        ("SHAPE = Shape(num_layers=4, model_dim=64)", 4, 64),
        ("SHAPE, OTHER = Shape(num_layers=4), Shape(num_layers=5)", 9, 512),
    ],
)
def test_what_an_object_is_made_with_stands_for_the_defaults_of_its_class(made: str, layers: int, width: int) -> None:
    (dimensions,) = [fact for fact in card(PRESET.format(made=made)).facts if fact.name == "dimensions"]
    found = {parameter.name: parameter.value for parameter in dimensions.parameters}
    assert (found["layers"], found["width"]) == (str(layers), str(width))
