"""Applying a patch: all operations or none, on a copy of just the containers that change (RFC 6902, section 5)."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from palace.json_patch.conflicts import failed_test, too_deep, too_much_copied, unresolved
from palace.json_patch.equality import equal
from palace.json_patch.errors import Place
from palace.json_patch.limits import DEFAULT_LIMITS, Limits
from palace.json_patch.operations import Operation, compile_patch
from palace.json_patch.pointer import END_OF_ARRAY, array_index, format_pointer, is_inside
from palace.json_patch.values import UNKNOWN, Json, height, text_bytes

_ABSENT = object()
_STEPS_AT_ONCE = 1000
_PLACES_COMPARED = 4


@dataclass(frozen=True, slots=True)
class Applied:
    """What a patch made of a document; it shares containers with document and patch, so all are for reading only."""

    document: Json
    changed: bool
    """whether the document differs from the original by JSON equality"""
    touched: tuple[str, ...]
    """the pointers that were written, `-` resolved to an index, each once, in order of first touch"""
    inverse: list[dict[str, Json]]
    """a patch that turns the document back into the original, within the same limits"""


def apply_patch(document: Json, operations: Json | tuple[Operation, ...], limits: Limits = DEFAULT_LIMITS) -> Applied:
    """The document with every operation applied in order; the arguments are never changed (RFC 6902, section 5).

    Takes JSON or what `compile_patch` made of it. The cost depends on the patch and on the width of the containers it
    writes to, not on the size of the document.

    Raises InvalidPatch or LimitExceeded while compiling; Conflict or LimitExceeded at the first operation that fails.
    """
    if type(operations) is not tuple or (operations and type(operations[0]) is not Operation):
        operations = compile_patch(operations, limits)
    editor = _Editor(document, limits)
    for operation in operations:
        _ACTIONS[operation.op](editor, operation)
    if editor.large_move is not None:
        editor.check_depth_of_result(document, editor.large_move)
    touched = editor.touched
    changed = _is_changed(document, editor.root, touched, limits)
    return Applied(editor.root, changed, tuple(touched), editor.finished_inverse(document))


class _Editor:
    """A document on its way from the original to the result.

    Containers in `owned` were made by this call and may be written to; every other one belongs to somebody else.
    Whoever holds an owned container is owned too, up to the root. An owned container is reachable in one way only:
    what becomes reachable in two, by copy or through the inverse, is first given up with `disown`.
    """

    __slots__ = (
        "copied",
        "inverse",
        "large_move",
        "limits",
        "oversized_inverse",
        "owned",
        "repeated",
        "root",
        "touched",
    )

    def __init__(self, document: Json, limits: Limits) -> None:
        self.root = document
        self.limits = limits
        self.owned: dict[int, Json] = {}
        self.touched: dict[str, tuple[str, ...]] = {}
        self.inverse: list[dict[str, Json]] = []
        """last step first"""
        self.copied = 0
        self.repeated = 0
        """values the inverse spells out although the result still holds them"""
        self.oversized_inverse = False
        self.large_move: Operation | None = None

    def own_parent(self, operation: Operation, tokens: tuple[str, ...], at: Place) -> Json:
        """The container that holds the last token, ready to be written to."""
        owned = self.owned
        node = self.root
        if id(node) not in owned:
            if type(node) is not dict and type(node) is not list:
                raise unresolved(self.root, operation, at, self.limits)
            node = self.root = node.copy()
            owned[id(node)] = node
        for token in tokens[:-1]:
            key: str | int = token
            if type(node) is list:
                key = self.index_below(len(node), token, operation, at)
            elif token not in node:
                raise unresolved(self.root, operation, at, self.limits)
            child = node[key]
            if id(child) not in owned:
                if type(child) is not dict and type(child) is not list:
                    raise unresolved(self.root, operation, at, self.limits)
                child = child.copy()
                owned[id(child)] = child
                node[key] = child
            node = child
        return node

    def find(self, operation: Operation, tokens: tuple[str, ...], at: Place) -> Json:
        """The value at a pointer, only to be looked at."""
        node = _look_up(self.root, tokens, self.limits)
        if node is _ABSENT:
            raise unresolved(self.root, operation, at, self.limits)
        return node

    def index_below(self, length: int, token: str, operation: Operation, at: Place) -> int:
        index = array_index(token, self.limits)
        if index is None or index >= length:
            raise unresolved(self.root, operation, at, self.limits)
        return index

    def take(self, operation: Operation, pointer: str, tokens: tuple[str, ...], at: Place) -> Json:
        """Remove the value from its place and return it."""
        parent = self.own_parent(operation, tokens, at)
        if type(parent) is list:
            value = parent.pop(self.index_below(len(parent), tokens[-1], operation, at))
        else:
            value = parent.pop(tokens[-1], _ABSENT)
            if value is _ABSENT:
                raise unresolved(self.root, operation, at, self.limits)
        self.touched[pointer] = tokens
        return value

    def put(self, operation: Operation, value: Json) -> tuple[str, tuple[str, ...], Json]:
        """Write the value at `path` as `add` does; return where it went and what it replaced, or _ABSENT."""
        pointer, tokens = operation.path, operation.tokens
        if not tokens:
            old, self.root = self.root, value
        else:
            parent = self.own_parent(operation, tokens, "path")
            last = tokens[-1]
            if type(parent) is dict:
                old = parent.get(last, _ABSENT)
                parent[last] = value
            else:
                old = _ABSENT
                if last == END_OF_ARRAY:
                    tokens = (*tokens[:-1], str(len(parent)))
                    pointer = pointer[:-1] + tokens[-1]
                    self.oversized_inverse |= len(pointer) > self.limits.pointer_characters
                    parent.append(value)
                else:
                    parent.insert(self.index_below(len(parent) + 1, last, operation, "path"), value)
        self.touched[pointer] = tokens
        return pointer, tokens, old

    def disown(self, value: Json) -> None:
        """Give up the owned containers inside a value that is about to be reachable in two ways."""
        pending = [value]
        for item in pending:
            if self.owned.pop(id(item), None) is not None:
                pending.extend(item.values() if type(item) is dict else item)

    def check_depth(self, operation: Operation, value: Json) -> None:
        """Refuse to put a container where the document would become too deep; postpone the check when it is large."""
        levels = height(value, _STEPS_AT_ONCE)
        if levels == UNKNOWN:
            self.large_move = operation
        elif levels and levels + len(operation.tokens) > self.limits.depth:
            raise too_deep(operation, self.limits, levels + len(operation.tokens))

    def check_depth_of_result(self, before: Json, operation: Operation) -> None:
        """Refuse a result that is too deep, unless the document was as deep before; each is walked once."""
        depth = height(self.root)
        if depth > self.limits.depth and depth > height(before):
            raise too_deep(operation, self.limits, depth)

    def finished_inverse(self, before: Json) -> list[dict[str, Json]]:
        """The steps back in order, or one step that puts the original back where they would exceed the limits.

        A value that is moved over its own parent again and again would be spelled out each time.
        """
        if self.repeated > 1 or self.oversized_inverse or len(self.inverse) > self.limits.operations:
            return [{"op": "replace", "path": "", "value": before}]
        self.inverse.reverse()
        return self.inverse


def _add(editor: _Editor, operation: Operation) -> None:
    """Put the value at `path`, or before the element at an index (RFC 6902, section 4.1)."""
    pointer, _, old = editor.put(operation, operation.value)
    editor.inverse.append(_undo_put(pointer, old))


def _remove(editor: _Editor, operation: Operation) -> None:
    """Take the value at `path` away (RFC 6902, section 4.2)."""
    path = operation.path
    old = editor.take(operation, path, operation.tokens, "path")
    editor.inverse.append({"op": "add", "path": path, "value": old})


def _replace(editor: _Editor, operation: Operation) -> None:
    """Put the value in the place of the one at `path` (RFC 6902, section 4.3)."""
    path, tokens = operation.path, operation.tokens
    if not tokens:
        old, editor.root = editor.root, operation.value
    else:
        parent = editor.own_parent(operation, tokens, "path")
        key: str | int = tokens[-1]
        if type(parent) is list:
            key = editor.index_below(len(parent), tokens[-1], operation, "path")
        elif key not in parent:
            raise unresolved(editor.root, operation, "path", editor.limits)
        old = parent[key]
        parent[key] = operation.value
    editor.touched[path] = tokens
    editor.inverse.append({"op": "replace", "path": path, "value": old})


def _copy(editor: _Editor, operation: Operation) -> None:
    """Add the value at `from` at `path` as well (RFC 6902, section 4.5); its size in text is counted."""
    value = editor.find(operation, operation.source_tokens or (), "from")
    editor.copied += text_bytes(value)
    if editor.copied > editor.limits.copy_bytes:
        raise too_much_copied(operation, editor.limits, editor.copied)
    editor.check_depth(operation, value)
    editor.disown(value)
    pointer, _, old = editor.put(operation, value)
    editor.inverse.append(_undo_put(pointer, old))


def _move(editor: _Editor, operation: Operation) -> None:
    """Take the value at `from` away and add it at `path` (RFC 6902, section 4.4); onto itself, this does nothing."""
    source, source_tokens = operation.source or "", operation.source_tokens or ()
    if source == operation.path:
        editor.find(operation, source_tokens, "from")
        return
    value = editor.take(operation, source, source_tokens, "from")
    if len(operation.tokens) > len(source_tokens):
        editor.check_depth(operation, value)
    target, target_tokens, old = editor.put(operation, value)
    if is_inside(source_tokens, target_tokens):
        # Moving back would move the value into itself.
        editor.disown(value)
        editor.repeated += 1
        editor.inverse += ({"op": "add", "path": source, "value": value}, _undo_put(target, old))
        return
    if old is not _ABSENT:
        editor.inverse.append(
            {"op": "add", "path": _shifted(editor, target, target_tokens, source_tokens), "value": old}
        )
    editor.inverse.append({"op": "move", "from": target, "path": source})


def _shifted(editor: _Editor, target: str, target_tokens: tuple[str, ...], source_tokens: tuple[str, ...]) -> str:
    """Where the target lies once the source is back: one element further when both lie in the source's array."""
    place = len(source_tokens) - 1
    if not is_inside(target_tokens, source_tokens[:-1]):
        return target
    if type(_look_up(editor.root, source_tokens[:-1], editor.limits)) is not list:
        return target
    index = int(target_tokens[place])
    if index < int(source_tokens[-1]):
        return target
    pointer = format_pointer((*target_tokens[:place], index + 1, *target_tokens[place + 1 :]))
    editor.oversized_inverse |= len(pointer) > editor.limits.pointer_characters
    return pointer


def _test(editor: _Editor, operation: Operation) -> None:
    """Go on only when the value at `path` equals the given one (RFC 6902, section 4.6)."""
    found = editor.find(operation, operation.tokens, "path")
    if not equal(found, operation.value):
        raise failed_test(found, operation)


_ACTIONS: dict[str, Callable[[_Editor, Operation], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "copy": _copy,
    "move": _move,
    "test": _test,
}


def _undo_put(pointer: str, old: Json) -> dict[str, Json]:
    if old is _ABSENT:
        return {"op": "remove", "path": pointer}
    return {"op": "replace", "path": pointer, "value": old}


def _look_up(document: Json, tokens: tuple[str, ...], limits: Limits) -> Json:
    """The value at a pointer, or _ABSENT."""
    node = document
    for token in tokens:
        if type(node) is dict:
            node = node.get(token, _ABSENT)
        elif type(node) is list:
            index = array_index(token, limits)
            node = node[index] if index is not None and index < len(node) else _ABSENT
        else:
            return _ABSENT
    return node


def _is_changed(before: Json, after: Json, touched: dict[str, tuple[str, ...]], limits: Limits) -> bool:
    """Whether the documents differ. Equal documents are equal at every pointer, so a few are tried first."""
    if before is after:
        return False
    for tokens in islice(touched.values(), _PLACES_COMPARED):
        if not equal(_look_up(before, tokens, limits), _look_up(after, tokens, limits)):
            return True
    return not equal(before, after)
