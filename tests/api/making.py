"""Faces that are being made: how tests begin one, and wait for it."""

import time
from typing import Any

import httpx

SECONDS = 20


def created(client: httpx.Client, family: str = "faces", **members: Any) -> str:
    """The id of a new face."""
    answer = client.post(f"/v2/{family}", json=members)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    [id] = [value for name, value in said.items() if name.endswith("_id")]
    assert said == {("face_id" if family == "faces" else "replica_id"): id, "status": "started"}
    return str(id)


def finished(client: httpx.Client, face: str) -> dict[str, Any]:
    """The face, once its job has ended."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found: dict[str, Any] = client.get(f"/v2/faces/{face}").json()
        if found["status"] != "started":
            return found
        time.sleep(0.05)
    raise AssertionError(f"{face} is not finished: {found}")
