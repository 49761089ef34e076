"""Counts, the table made of them, its int4 form, and hashed pairs."""

import math

import numpy as np
import pytest
import torch

from reference_trainer import bigram
from reference_trainer.bigram import CountBigram, HashedBigram, count_bigrams, log_lift
from reference_trainer.presets.count_bigram import PRESET
from reference_trainer.quantisation import Quantised, quantise_state

TOKENS = np.random.default_rng(0).integers(0, 7, 500).astype(np.uint16)


@pytest.mark.parametrize("at_once", [1, 7, 499, 500, 1 << 24])
def test_counts_are_those_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr(bigram, "PAIRS_AT_ONCE", at_once)
    expected = torch.zeros(8, 8, dtype=torch.int64)
    for a, b in zip(TOKENS[:-1].tolist(), TOKENS[1:].tolist(), strict=True):
        expected[a, b] += 1
    assert torch.equal(count_bigrams(TOKENS, 8), expected)


class TestLogLift:
    def test_against_its_definition(self) -> None:
        counts = count_bigrams(TOKENS, 8)
        table = log_lift(counts)
        total = len(TOKENS) - 1
        for a in range(8):
            for b in range(8):
                p_b = (sum(counts[:, b].tolist()) + 1) / (total + 8)
                p_b_given_a = (int(counts[a, b]) + 8 * p_b) / (sum(counts[a].tolist()) + 8)
                assert table[a, b].item() == pytest.approx(math.log(p_b_given_a) - math.log(p_b), abs=1e-6)

    def test_it_makes_distributions(self) -> None:
        counts = count_bigrams(TOKENS, 8)
        unigram = (counts.sum(0).double() + 1) / (counts.sum() + 8)
        torch.testing.assert_close(
            (unigram * log_lift(counts).double().exp()).sum(1), torch.ones(8, dtype=torch.float64)
        )

    def test_a_context_that_was_never_seen_says_nothing(self) -> None:
        torch.testing.assert_close(log_lift(count_bigrams(TOKENS, 8))[7], torch.zeros(8))

    def test_many_counts_approach_the_ratio_of_frequencies(self) -> None:
        counts = torch.tensor([[900_000, 100_000], [500_000, 500_000]])
        expected = torch.tensor([[0.9 / 0.7, 0.1 / 0.3], [0.5 / 0.7, 0.5 / 0.3]]).log()
        torch.testing.assert_close(log_lift(counts), expected, atol=1e-4, rtol=0)


class TestCountBigram:
    def test_rows_of_the_table_for_each_token(self) -> None:
        counts = count_bigrams(TOKENS, 8)
        logits = CountBigram(8, counts)(torch.tensor([[3, 5], [7, 3]]))
        table = log_lift(counts)
        step = table.abs().amax(1) / 7  # int4 holds -7..7
        for place, token in (((0, 0), 3), ((0, 1), 5), ((1, 0), 7), ((1, 1), 3)):
            assert (logits[place] - table[token]).abs().max() <= 0.501 * step[token] + 1e-6
        assert len(logits[0, 0].unique()) <= 15

    def test_export_does_not_change_it(self) -> None:
        head = CountBigram(8, count_bigrams(TOKENS, 8))
        every = torch.arange(8)[None]
        before = head(every)
        plan = PRESET.quantisation
        row_format = plan.row_format("count_bigram.weight")
        assert row_format is not None
        assert row_format.bits == 4
        exported = quantise_state({"count_bigram.weight": head.weight}, type(plan)(plan.formats))["count_bigram.weight"]
        assert isinstance(exported, Quantised)
        with torch.no_grad():
            head.weight.copy_(exported.dequantise())
        assert torch.equal(head(every), before)

    def test_it_learns(self) -> None:
        head = CountBigram(8, None)
        head(torch.tensor([[2]]))[0, 0, 5].backward()
        expected = torch.zeros(8, 8)
        expected[2, 5] = 1
        assert head.weight.grad is not None
        assert torch.equal(head.weight.grad, expected)


class TestHashedBigram:
    def test_rows_against_whole_numbers(self) -> None:
        hashed = HashedBigram(1024, 4096, 4, 8)
        for previous, current in ((0, 0), (1, 2), (1023, 1023), (17, 900)):
            expected = ((previous * 1024 + current) * 2_654_435_761 % 2**32) * 4096 // 2**32
            assert hashed.rows_of(torch.tensor(previous), torch.tensor(current)).item() == expected

    @pytest.mark.parametrize("vocabulary, rows", [(1024, 4096), (8192, 4096), (512, 500)])
    def test_all_pairs_spread_evenly(self, vocabulary: int, rows: int) -> None:
        every = torch.arange(vocabulary)
        hits = (
            HashedBigram(vocabulary, rows, 1, 1)
            .rows_of(every[:512, None], every[None])
            .flatten()
            .bincount(minlength=rows)
        )
        assert len(hits) == rows
        assert hits.min() > 0.5 * hits.double().mean()
        assert hits.max() < 2 * hits.double().mean()

    def test_only_the_pair_counts_and_the_first_token_has_none(self) -> None:
        hashed = HashedBigram(32, 64, 4, 8)
        torch.nn.init.normal_(hashed.table.weight)
        y = hashed(torch.tensor([[3, 9, 4], [8, 3, 9], [3, 8, 9]]))
        assert not y[:, 0].any()
        assert torch.equal(y[0, 1], y[1, 2])
        assert not torch.equal(y[0, 1], y[2, 2])  # (3, 9), (8, 9)
        assert not torch.equal(y[0, 1], y[2, 1])  # (3, 9), (3, 8)

    def test_a_pair_that_was_never_trained_adds_nothing(self) -> None:
        assert not HashedBigram(32, 64, 4, 8)(torch.tensor([[3, 9, 4]])).any()
