"""How long a pronunciation dictionary with 10,000 rules takes to change: all rules, one rule, the name."""

from typing import Any

from benchmarks.bench import Bench, milliseconds
from benchmarks.client import Client, timed
from benchmarks.servers import ServerError

RULES = 10_000
COLLECTION = "/v2/pronunciation-dictionaries"


def rules(tag: str) -> list[dict[str, Any]]:
    """Rules of about 100 bytes, half of them phonetic."""
    return [
        {"text": f"word {number}", "pronunciation": f"said like {tag} {number}", "type": ("alias", "ipa")[number % 2]}
        for number in range(RULES)
    ]


def patches(sample: int) -> dict[str, dict[str, Any]]:
    """One patch of each kind; the operation is always `replace`."""
    return {
        "all rules": {"path": "/rules", "value": rules(str(sample))},
        "one rule": {"path": f"/rules/{RULES // 2}/pronunciation", "value": f"said like this {sample}"},
        "the name": {"path": "/name", "value": f"Names {sample}"},
    }


def ask(bench: Bench) -> dict[str, Any]:
    """Median and slowest of each kind of change, from the first byte sent to the last one read. Raises ServerError."""
    samples = 2 if bench.options.quick else 20
    client = Client(bench.open("palace"))
    made = client.request("POST", COLLECTION, {"name": "Names", "rules": rules("new")})
    place = f"{COLLECTION}/{made['pronunciation_dictionary_id']}"
    times: dict[str, list[float]] = {}
    for sample in range(samples):
        for kind, operation in patches(sample).items():
            patch = [{"op": "replace", **operation}]
            times.setdefault(kind, []).extend(timed(lambda patch: client.request("PATCH", place, patch), [patch]))
    kept = client.request("GET", place)
    wanted = f"said like this {samples - 1}", f"Names {samples - 1}", RULES
    if (kept["rules"][RULES // 2]["pronunciation"], kept["name"], kept["rules_count"]) != wanted:
        raise ServerError("A change that was acknowledged is not stored.")
    bench.close("palace")
    return {"rules": RULES, "samples": samples, "changes": {kind: milliseconds(taken) for kind, taken in times.items()}}
