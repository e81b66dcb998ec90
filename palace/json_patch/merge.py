"""JSON Merge Patch (RFC 7396)."""

from palace.json_patch.values import Json


def merge_patch(document: Json, patch: Json) -> Json:
    """The document with every member of `patch` put in its place, and removed where the patch says null.

    Neither argument is changed; the result shares with both what it can. Patches may be nested to any depth.
    """
    if type(patch) is not dict:
        return patch
    result = dict(document) if type(document) is dict else {}
    pending = [(result, patch)]
    for target, changes in pending:
        for name, value in changes.items():
            if value is None:
                target.pop(name, None)
            elif type(value) is dict:
                old = target.get(name)
                target[name] = dict(old) if type(old) is dict else {}
                pending.append((target[name], value))
            else:
                target[name] = value
    return result
