"""How much one patch may ask for: every limit of the engine, in one value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """Bounds on one patch and on one request body; each is settable on its own.

    A refusal names the field given here, the bound and the number that was found. Compared by identity, so that they
    are cheap keys of a cache.
    """

    operations: int = 1000
    """operations in one patch"""
    pointer_characters: int = 1024
    """characters in one JSON Pointer"""
    pointer_tokens: int = 64
    """reference tokens in one JSON Pointer"""
    depth: int = 64
    """arrays and objects inside one another: in a body, and in the document a patch produces"""
    values: int = 250_000
    """values of all kinds, containers included, in one request body"""
    copy_bytes: int = 1 << 20
    """bytes of JSON text that all `copy` operations of one patch may add together"""
    index_digits: int = 16
    """digits in an array index"""
    smallest_integer: int = -(2**63)
    largest_integer: int = 2**64 - 1
    null_characters: bool = False
    """whether strings may hold U+0000, which several databases cannot store"""
    problems: int = 20
    """problems reported at once"""


DEFAULT_LIMITS = Limits()
