"""The generated text of a tiny run."""

import pytest

from reference_trainer.text import write_documents


def test_the_text_is_the_same_for_a_seed() -> None:
    assert write_documents(7, 20) == write_documents(7, 20)
    assert write_documents(7, 20) != write_documents(8, 20)


def test_a_longer_text_begins_with_the_shorter_one() -> None:
    assert write_documents(7, 20)[:5] == write_documents(7, 5)


def test_documents_do_not_repeat() -> None:
    documents = write_documents(0, 500)
    assert len(set(documents)) == len(documents)


@pytest.mark.parametrize("sign", ["  ", "🙂", "東京", "ï", "\n"])
def test_the_text_has_every_odd_sign(sign: str) -> None:
    assert sign in "".join(write_documents(0, 500))


def test_documents_are_no_shorter_than_a_window_of_a_tiny_run() -> None:
    assert min(len(document) for document in write_documents(0, 500)) > 300
