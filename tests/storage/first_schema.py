"""A data folder as the first version of the server left it: schema 0001, secrets sealed inside the documents' rows."""

import json
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import apsw
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from palace.keys import digest
from palace.storage.migrate import migrations
from tests.serving import KEY, STOCK_FACE

MINE, YOURS, STOCK = 1, 2, 0
MASTER_KEY = bytes(range(32))
MASK = "*" * 8
LLM_KEY, TTS_KEY = "/layers/llm/api_key", "/layers/tts/api_key"
SECRETS = {LLM_KEY: "sk-old-llm-1b9f", TTS_KEY: "el-old-ключ-夜"}


def pal(id: str, day: int, **members: Any) -> dict[str, Any]:
    """A PAL as it was stored, every member in its place."""
    document = {
        "pal_id": id,
        "pal_name": None,
        "pal_description": None,
        "system_prompt": "Answer.",
        "context": "",
        "greeting": None,
        "dynamic_greeting": False,
        "pipeline_mode": "full",
        "default_face_id": STOCK_FACE,
        "languages": [],
        "document_ids": [],
        "document_tags": [],
        "objectives_id": None,
        "guardrail_ids": [],
        "guardrail_tags": [],
        "guardrails_id": None,
        "tool_ids": [],
        "memories": [],
        "disclosure_type": "auto",
        "verbal_disclosure": None,
        "visual_disclosure": None,
        "is_template": False,
        "layers": {},
        "is_published": True,
    }
    return {**document, **members, **times(day)}


def face(id: str, day: int) -> dict[str, Any]:
    """A face as it was stored."""
    document = {"face_id": id, "face_name": "Studio", "status": "completed", "training_progress": "100/100"}
    document |= {"error_message": None, "model_name": "phoenix-4"}
    return {**document, "thumbnail_video_url": None, "thumbnail_image_url": None, **times(day)}


def times(day: int) -> dict[str, str]:
    return {"created_at": f"2026-01-0{day}T00:00:00.000000Z", "updated_at": f"2026-02-0{day}T12:34:56.789012Z"}


CUSTOM_LLM = {"model": "gpt", "base_url": "https://llm.example/v1", "api_key": MASK}
ODD_FORM = {"a/b": [1, {"~": None}], "": 1.0, "ключ": "夜\u2028\U0001f319"}

ROWS: list[tuple[int, int, int, dict[str, Any], dict[str, str]]] = [
    (1, STOCK, 1, face(STOCK_FACE, 1), {}),
    (2, STOCK, 1, pal("pb87e71797da", 1, pipeline_mode="echo", system_prompt=""), {}),
    (4, MINE, 1, pal("p00000000001", 2, pal_name="Zoë “夜” \U0001f319"), {}),
    (5, YOURS, 3, pal("p00000000002", 2, layers={"tts": {"api_key": MASK}}), {TTS_KEY: "yours"}),
    (9, MINE, 41, pal("p00000000003", 3, layers={"llm": CUSTOM_LLM, "tts": {"api_key": MASK}}), SECRETS),
    (10, MINE, 7, pal("p00000000004", 4, layers={"transport": ODD_FORM}, memories=["x" * 1000] * 200), {}),
    (12, MINE, 2, pal("p00000000005", 5, layers={"conferencing": {"username": "night.desk"}}), {}),
]
"""seq (some are missing: deleted objects), owner, revision, document, secrets"""


def write_first_schema(folder: Path) -> None:
    """Make the folder, with a master key, two accounts, keys, documents, secrets and a claimed name."""
    folder.mkdir()
    (folder / "master.key").write_text(MASTER_KEY.hex() + "\n")
    connection = apsw.Connection(str(folder / "palace.db"))
    connection.pragma("journal_mode", "wal")
    number, script = migrations()[0]
    connection.execute(script)
    connection.pragma("user_version", number)
    moment = times(1)["created_at"]
    for account, name in ((MINE, "default"), (YOURS, "zweites Konto")):
        connection.execute("INSERT INTO accounts VALUES (?, ?, ?)", (account, name, moment))
    for key_id, key, revoked_at in (("k1", KEY, None), ("k2", "an-old-revoked-key", moment)):
        row = (key_id, digest(key), MINE, "old", "…sts", moment, revoked_at)
        connection.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    for seq, owner, revision, document, secrets in ROWS:
        kind = "pal" if "pal_id" in document else "face"
        id = document[f"{kind}_id"]
        sealed = {place: seal(secret, f"{kind}/{id}{place}") for place, secret in secrets.items()}
        row = (seq, kind, id, owner, revision, document["created_at"], document["updated_at"])
        row += (text(sealed) if sealed else None, text(document))
        connection.execute("INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.execute("INSERT INTO claims VALUES ('conferencing_username', 'night.desk', 'pal', 'p00000000005')")
    connection.close()


def seal(secret: str, place: str) -> str:
    """A secret as it was sealed for its place."""
    nonce = os.urandom(12)
    return b64encode(nonce + AESGCM(MASTER_KEY).encrypt(nonce, secret.encode(), place.encode())).decode()


def text(value: Any) -> bytes:
    """JSON as it is stored."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
