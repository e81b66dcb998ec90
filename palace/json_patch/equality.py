"""When two JSON values are the same (RFC 6902, section 4.6)."""

from palace.json_patch.values import Json

_ABSENT = object()
_NUMBERS = frozenset((int, float))


def equal(a: Json, b: Json) -> bool:
    """True when `a` and `b` are the same JSON value: 1 is 1.0, 1 is never true, the order of members is irrelevant.

    Values may be nested to any depth, and parts the two share are not looked into.
    """
    if a is b:
        return True
    type_ = type(a)
    if type_ is not type(b):
        return type_ in _NUMBERS and type(b) in _NUMBERS and bool(a == b)
    if type_ is not dict and type_ is not list:
        return bool(a == b)
    try:
        # Python's own comparison is fast and coarser than ours (True == 1): what it tells apart is different.
        if a != b:
            return False
    except RecursionError:
        pass
    return _equal_containers(a, b)


def _equal_containers(a: Json, b: Json) -> bool:
    pending: list[tuple[Json, Json]] = [(a, b)]
    while pending:
        a, b = pending.pop()
        type_ = type(a)
        if type_ is not type(b):
            if type_ not in _NUMBERS or type(b) not in _NUMBERS or a != b:
                return False
        elif type_ is dict:
            if len(a) != len(b):
                return False
            for name, value in a.items():
                other = b.get(name, _ABSENT)
                if other is not value:
                    pending.append((value, other))
        elif type_ is list:
            if len(a) != len(b):
                return False
            pending.extend([pair for pair in zip(a, b, strict=True) if pair[0] is not pair[1]])
        elif a != b:
            return False
    return True
