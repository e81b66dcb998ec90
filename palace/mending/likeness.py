"""Which of the words there are somebody may have meant: one clearly, several perhaps, or none."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

LONGEST_WORD = 80
"""Longer words are not compared: the comparison takes time, and nobody means a name by them."""
MOST_WORDS = 100
MOST_NEAR = 4
SHORTEST_PART = 4
LIKE = 0.86
CLEARLY_LIKER = 0.08


def plain(word: str) -> str:
    """The word without case, spaces and punctuation: `systemPrompt` and `system_prompt` are one word."""
    return re.sub(r"[\W_]+", "", word).lower()


def clearly_meant(word: str, words: Iterable[str]) -> str | None:
    """The one word that this one is another spelling or a slip of; None when there is none or more than one.

    Words that differ in a number are never slips of each other: `raven-3` is not `raven-1`. A part of a name is not
    that name: `vision` may be the opposite of `disable_vision`.
    """
    known = _comparable(word, words)
    found = [other for other in known if plain(other) == plain(word)] or _slips(word, known)
    return found[0] if len(found) == 1 else None


def ends_as(word: str, words: Iterable[str]) -> str | None:
    """The one word that ends with this one: `tavus-parakeet` for `parakeet`."""
    pieces = _pieces(word)
    found = [
        other for other in _comparable(word, words) if _is_part(word, other) and _pieces(other)[-1:] == pieces[-1:]
    ]
    return found[0] if len(found) == 1 else None


def perhaps_meant(word: str, words: Iterable[str]) -> list[str]:
    """Up to four words that resemble it, the likeliest first."""
    known = _comparable(word, words)
    spelled: dict[str, list[str]] = {}
    for other in known:
        spelled.setdefault(plain(other), []).append(other)
    close = get_close_matches(plain(word), spelled, n=MOST_NEAR, cutoff=0.6)
    found = [other for match in close for other in spelled[match]]
    parts = [other for other in known if _is_part(word, other)]
    return list(dict.fromkeys([*parts, *found]))[:MOST_NEAR]


def _comparable(word: str, words: Iterable[str]) -> list[str]:
    if len(word) > LONGEST_WORD or not plain(word):
        return []
    return [other for other in dict.fromkeys(words) if len(other) <= LONGEST_WORD and other != word][:MOST_WORDS]


def _is_part(word: str, other: str) -> bool:
    """Whether it is what a longer name ends or begins with: `engine` of `stt_engine`."""
    pieces, others = _pieces(word), _pieces(other)
    size = len(pieces)
    return len(plain(word)) >= SHORTEST_PART and size < len(others) and pieces in (others[-size:], others[:size])


def _pieces(word: str) -> list[str]:
    return [piece.lower() for piece in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", word)]


def _slips(word: str, known: list[str]) -> list[str]:
    """The words that this one is a typing mistake of, unless they are nearly as like it as each other."""
    bare = plain(word)
    if len(bare) < SHORTEST_PART:
        return []
    ratios = sorted(((_likeness(bare, plain(other)), other) for other in known), reverse=True)
    best = [other for ratio, other in ratios if ratio >= LIKE and ratio > ratios[0][0] - CLEARLY_LIKER]
    return best if best and _digits(best[0]) == _digits(word) else []


def _likeness(word: str, other: str) -> float:
    if _is_one_slip(word, other):
        return 0.95
    matcher = SequenceMatcher(None, other, word, autojunk=False)
    if matcher.real_quick_ratio() < LIKE or matcher.quick_ratio() < LIKE:
        return 0.0
    return min(matcher.ratio(), 0.95)


def _is_one_slip(word: str, other: str) -> bool:
    """Whether one letter was left out, put in, exchanged, or swapped with its neighbour."""
    if abs(len(word) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    rest, others = word[start:], other[start:]
    swapped = others[1::-1] + others[2:]
    return rest[1:] == others or rest == others[1:] or rest[1:] == others[1:] or rest == swapped


def _digits(word: str) -> str:
    return "".join(re.findall(r"\d", word))
