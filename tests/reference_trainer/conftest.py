"""Fixtures of the trainer's tests."""

import pytest
import torch

from reference_trainer import preset
from reference_trainer.data import Files, write_data
from reference_trainer.text import write_documents


@pytest.fixture(autouse=True, scope="session")
def few_threads() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """The data of a tiny run: 512 pieces."""
    return write_data(write_documents(0, 120), 512, tmp_path_factory.mktemp("data"), 0.2)


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny runs stop after eight steps: enough to pass through every stage."""
    monkeypatch.setattr(preset, "TINY_STEPS", 8)
