"""The words that a conversation is found by. Pure: the same are made of what was said and of what is looked for."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from palace.conversation import Line

MOST_WORDS = 5000
"""of one conversation"""
LONGEST_WORD = 40
"""characters; the rest of a longer one is not looked at"""
SPOKEN = ("user", "assistant")
UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
"""Scripts without spaces between words: Thai, Lao, Burmese, Khmer, Japanese, Chinese."""
WORD = re.compile(rf"([{UNSPACED}]+)|[^\W{UNSPACED}]+")


def words_of(texts: Iterable[str]) -> list[str]:
    """The different words of texts, without the case of their letters, in the order in which they come.

    Where words have no spaces between them, every two characters that stand together are one, and so is the last one.
    """
    found: dict[str, None] = {}
    for text in texts:
        found |= dict.fromkeys(_words(text))
        if len(found) >= MOST_WORDS:
            break
    return list(found)[:MOST_WORDS]


def _words(text: str) -> Iterator[str]:
    for run in WORD.finditer(unicodedata.normalize("NFKC", text).casefold()):
        if run[1]:
            yield from (run[1][place : place + 2] for place in range(len(run[1])))
        else:
            yield run[0][:LONGEST_WORD]


def words_said(lines: Iterable[Line]) -> list[str]:
    """The words of what people and the PAL said; not of the prompt, nor of what tools answered."""
    return words_of(line["content"] for line in lines if line["role"] in SPOKEN)
