"""A server that is started on a data folder of the first version goes on where that one stopped."""

import pytest

from tests.serving import KEY, start_palace
from tests.storage.first_schema import LLM_KEY, MINE, ROWS, SECRETS, STOCK, TTS_KEY, write_first_schema

OWNERS = {id: owner for _, owner, _, document, _ in ROWS if (id := document.get("pal_id"))}
OWN_PALS = [id for id, owner in OWNERS.items() if owner == MINE]
WITH_SECRETS = "p00000000003"


@pytest.mark.about_the_file("the first versions had no other database")
def test_lists_keep_their_order_documents_their_tags_and_secrets_their_meaning(tmp_path):
    write_first_schema(tmp_path / "data")
    with start_palace(tmp_path / "data") as palace, palace.client(KEY) as client:
        page = client.get("/v2/pals?pal_type=user").json()
        assert [item["pal_id"] for item in page["data"]] == OWN_PALS
        first = [item["pal_id"] for item in client.get("/v2/pals").json()["data"]][: len(OWN_PALS) + 1]
        assert first == [id for id, owner in OWNERS.items() if owner in (MINE, STOCK)]
        for _, owner, revision, document, _ in ROWS:
            if owner == MINE:
                check_document(client, document, revision)
        check_secrets(client)
        assert client.get("/v2/pals/p00000000002").status_code == 400
        assert client.get("/v2/pals/check-username?username=night.desk").json()["available"] is False
        with palace.client("an-old-revoked-key") as revoked:
            assert revoked.get("/v2/pals").status_code == 401


def check_document(client, document, revision):
    """It reads as it did, and so does the one revision that is remembered of it."""
    path = f"/v2/pals/{document['pal_id']}"
    answer = client.get(path)
    assert (answer.json(), answer.headers["x-revision"]) == (document, str(revision))
    (told,) = client.get(f"{path}/revisions").json()["data"]
    assert (told["revision"], told["action"], told["etag"]) == (revision, "baseline", answer.headers["etag"])
    assert client.get(f"{path}/revisions/{revision}").json()["document"] == document
    assert client.get(f"{path}/revisions/{revision - 1}").status_code == 404
    assert client.get(path, headers={"if-none-match": answer.headers["etag"]}).status_code == 304


def check_secrets(client):
    """The mask keeps a secret, the secret itself changes nothing, another one is a change that can be undone."""
    path = f"/v2/pals/{WITH_SECRETS}"
    etag = client.get(path).headers["etag"]
    for place, secret in SECRETS.items():
        for value in ("********", secret):
            answer = client.patch(path, json=[{"op": "replace", "path": place, "value": value}])
            assert answer.status_code == 304
    answer = client.patch(path, json=[{"op": "replace", "path": TTS_KEY, "value": "new"}], headers={"if-match": etag})
    assert (answer.status_code, answer.headers["x-revision"]) == (200, "42")
    assert answer.headers["etag"] != etag
    assert client.post(f"{path}/rollback", json={"to": 41}).headers["etag"] == etag
    assert client.patch(path, json=[{"op": "replace", "path": LLM_KEY, "value": "x"}]).status_code == 200
