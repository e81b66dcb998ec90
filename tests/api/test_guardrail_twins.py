"""Whatever happens to a set of guardrails and to the guardrails that its items are, the two say the same."""

from collections.abc import Iterator
from itertools import count

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.guardrailing import GUARDRAILS, assert_twins, is_there, made, rule, uuids
from tests.api.wire import add, patch, remove, replace, revisions

DEEDS = ("edit item", "edit twin", "add", "remove", "move", "replace", "delete twin", "restore twin",
         "rollback", "revert", "delete and restore")  # fmt: skip
deeds = st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 11)), min_size=1, max_size=10)
numbers: Iterator[int] = count()


def do(api: httpx.Client, a_set: str, ever: list[str], deed: str, where: int) -> str | None:
    """Do one thing to the set or to one of the guardrails that it ever had; return the one that came back alone."""
    path, own = f"{GUARDRAILS}/{a_set}", uuids(api, a_set)
    place = f"/data/{where % len(own)}" if own else "/data/-"
    new = rule(f"n{next(numbers)}")
    if deed == "edit item" and own:
        patch(api, a_set, replace(f"{place}/guardrail_prompt", str(where)), family="guardrails")
    elif deed == "edit twin" and own:
        patch(api, own[where % len(own)], replace("/guardrail_prompt", str(where)), family="guardrails")
    elif deed == "add":
        patch(api, a_set, add(place, new), family="guardrails")
    elif deed in ("remove", "replace") and own:
        patch(api, a_set, remove(place) if deed == "remove" else replace(place, new), family="guardrails")
    elif deed == "move" and own:
        patch(api, a_set, {"op": "move", "from": place, "path": "/data/0"}, family="guardrails")
    elif deed == "delete twin" and own:
        api.delete(f"{GUARDRAILS}/{own[where % len(own)]}")
    elif deed == "restore twin":
        uuid = ever[where % len(ever)]
        return uuid if api.post(f"{GUARDRAILS}/{uuid}/restore").status_code == 200 else None
    elif deed in ("rollback", "revert"):
        number = where % len(revisions(api, a_set, "guardrails")) + 1
        back = "rollback" if deed == "rollback" else f"revisions/{number}/revert"
        answer = api.post(f"{path}/{back}", json={"to": number} if deed == "rollback" else {})
        assert answer.status_code in (200, 304, 400, 409), answer.text
    elif deed == "delete and restore":
        assert api.delete(path).status_code == 204
        assert api.post(f"{path}/restore").status_code == 200
    return None


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds)
def test_whatever_happens_items_and_twins_say_the_same(api: httpx.Client, done: list[tuple[str, int]]) -> None:
    a_set = made(api, rule("a"), rule("b"))
    ever, alone = uuids(api, a_set), set[str]()
    for deed, where in done:
        back = do(api, a_set, ever, deed, where)
        alone |= {back} if back else set()
        now = uuids(api, a_set)
        ever += [uuid for uuid in now if uuid not in ever]
        alone -= set(now)
        assert_twins(api, a_set)
        assert {uuid for uuid in ever if is_there(api, uuid)} - alone == set(now)
