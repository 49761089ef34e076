"""The text of a tiny run: documents from a small grammar, with something to learn at every distance.

Words have rank-dependent frequencies, subject and verb agree, each document keeps its topic, and signs outside the tokenizer's
vocabulary turn up now and then, as they do in web text.
"""

import random
from collections.abc import Sequence

NOUNS = (
    "river", "engine", "garden", "letter", "mountain", "signal", "teacher", "window", "market", "forest", "planet", "violin",
    "harbour", "kitchen", "soldier", "painter", "island", "museum", "doctor", "village", "bridge", "library", "captain", "winter",
)  # fmt: skip
ADJECTIVES = (
    "old",
    "quiet",
    "bright",
    "narrow",
    "heavy",
    "strange",
    "green",
    "careful",
    "distant",
    "sudden",
    "warm",
    "empty",
)
VERBS = (
    "cross",
    "follow",
    "paint",
    "repair",
    "watch",
    "remember",
    "describe",
    "answer",
    "measure",
    "open",
    "carry",
    "praise",
)
PLACES = ("near the", "behind the", "under the", "beyond the", "inside the", "above the")
TIMES = ("In spring", "At night", "Years later", "On Sunday", "Before dawn", "After the war", "For a while")
ASIDES = (
    "naïve, perhaps",
    "über alles",
    "«enfin»",
    "Москва",
    "東京",
    "🙂",
    "👩‍🚀 indeed",
    "3.14159",
    "50 % off",
    "a  double  blank",
)


def write_documents(seed: int, documents: int) -> list[str]:
    """Documents of about a thousand characters, the same for the same seed."""
    draw = random.Random(seed)
    return [write_document(draw) for _ in range(documents)]


def write_document(draw: random.Random) -> str:
    topic = draw.sample(NOUNS, 4)  # the nouns that this document is about
    paragraphs = [" ".join(write_sentence(draw, topic) for _ in range(draw.randint(3, 6))) for _ in range(3)]
    return f"The {pick(draw, ADJECTIVES)} {topic[0]}\n" + "\n".join(paragraphs)


def write_sentence(draw: random.Random, topic: Sequence[str]) -> str:
    many = draw.random() < 0.4
    subject, thing, place = (pick(draw, topic) for _ in range(3))
    noun, verb = (with_s(subject), pick(draw, VERBS)) if many else (subject, with_s(pick(draw, VERBS)))
    start = f"{draw.choice(TIMES)}, the" if draw.random() < 0.3 else "The"
    aside = f" ({draw.choice(ASIDES)})" if draw.random() < 0.08 else ""
    where = f" {draw.choice(PLACES)} {place}" if draw.random() < 0.5 else ""
    return f"{start} {pick(draw, ADJECTIVES)} {noun} {verb} the {thing}{aside}{where}."


def with_s(word: str) -> str:
    """The plural of a noun, the third person of a verb."""
    if word.endswith("y"):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("sh", "ch", "ss")) else "s")


def pick(draw: random.Random, words: Sequence[str]) -> str:
    """By Zipf's law: the n-th word is drawn 1 / n as often as the first."""
    return draw.choices(words, [1 / rank for rank in range(1, len(words) + 1)])[0]
