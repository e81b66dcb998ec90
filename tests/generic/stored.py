"""What lies in the file of a server, read past it: documents, both indexes beside them, the audit log."""

import json
from pathlib import Path

from palace.links import labels_of, uses_of
from palace.resource import Document
from tests.generic.subjects import BY_KIND
from tests.rows import rows


def deeds(data: Path, kind: str, id: str) -> list[tuple[str, int]]:
    """What the audit log tells of an object: each action, and the revision that it made."""
    return rows(data, "SELECT action, revision FROM audit WHERE kind = ? AND id = ? ORDER BY revision", kind, id)


def check_indexes(data: Path) -> int:
    """Both indexes are those that follow from the documents, deleted ones too. How many references there are."""
    documents = rows(data, "SELECT seq, kind, body FROM documents")
    wanted_uses, wanted_labels = set(), set()
    for seq, kind, body in documents:
        resource, document = BY_KIND[kind], json.loads(body)
        wanted_uses |= {(seq, use.pointer, use.kind, use.id) for use in uses_of(resource.references, document)}
        wanted_labels |= {(seq, *label) for label in labels_of(resource.labels.items(), document)}
    assert set(rows(data, "SELECT document, pointer, kind, id FROM uses")) == wanted_uses
    assert set(rows(data, "SELECT document, label, value FROM labels")) == wanted_labels
    return len(wanted_uses)


def leading_nowhere(data: Path) -> list[tuple[str, str, str]]:
    """Every id in a live document that names nothing and may not stay: kind and id of who names it, and where."""
    live = {(kind, id) for kind, id in rows(data, "SELECT kind, id FROM documents WHERE deleted_at IS NULL")}
    found = []
    for kind, id, body in rows(data, "SELECT kind, id, body FROM documents WHERE deleted_at IS NULL"):
        document: Document = json.loads(body)
        for use, reference in uses_of(BY_KIND[kind].references, document).items():
            if reference.on_delete != "refuse" and (use.kind, use.id) not in live:
                found.append((kind, id, use.pointer))
    return found
