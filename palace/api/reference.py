"""The interactive reference at /docs and the plain one for language models at /llms.txt."""

REFERENCE_PAGE = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Palace: API reference</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/static/swagger-ui/swagger-ui.css">
  </head>
  <body>
    <div id="reference"></div>
    <script src="/static/swagger-ui/swagger-ui-bundle.js"></script>
    <script>
      SwaggerUIBundle({
        url: "/openapi.json",
        dom_id: "#reference",
        deepLinking: true,
        defaultModelsExpandDepth: 0,
        persistAuthorization: true,
        validatorUrl: null,
      });
    </script>
  </body>
</html>
"""

LLMS_TEXT = """# Palace

> An open, self-hosted server for the Tavus Developer API: the home of PALs. A PAL is a conversational-video agent
> described by one JSON document. An independent implementation, not affiliated with Tavus.

Every request needs the header `x-api-key`. Bodies are JSON.

- `POST /v2/pals` with `{"system_prompt": "...", "default_face_id": "r4067604db72"}` creates a PAL and answers
  `{"pal_id": "p..."}`.
- `GET /v2/pals/{pal_id}` reads it. `GET /v2/pals?limit=10&page=1&sort=asc&pal_type=user` lists.
- `PATCH /v2/pals/{pal_id}` changes parts of it with a JSON Patch (RFC 6902), all operations or none:
  `[{"op": "replace", "path": "/system_prompt", "value": "..."}]`. Pointers must match the document that GET shows.
  200: changed, the whole PAL. 304: nothing changed, no body. 400: unknown id, or the result is not a valid PAL.
  422: not a JSON Patch, or an operation does not fit the document. Errors carry `message`, `error` and `details`; where
  all that is wrong can be put right, `corrected_patch` is a patch that succeeds.
- `?dry_run=true` on any write checks everything and answers with what would happen; nothing is stored.
- Every answer about one object has an `etag`. Send it as `If-Match` to change only what you read: 412 when it has
  changed. An `Idempotency-Key` makes a retry harmless. `x-comment` says why.
- `GET /v2/pals/{pal_id}/revisions` is the history; `.../revisions/{n}`, `.../diff?from=1&to=2`; `POST .../rollback`
  with `{"to": 1}`, `POST .../revisions/{n}/revert`; `POST .../restore` brings a deleted PAL back.
- `PATCH /v2/pals/{pal_id}/draft` changes a draft, `POST /v2/pals/{pal_id}/publish` makes it live. A patch of the live
  PAL that meets a draft is 409; `?force=true` discards the draft, `?on_draft=rebase` keeps it.
- `DELETE /v2/pals/{pal_id}` deletes it: 204.
- `GET /v2/pals/{pal_id}/effective` is every value that a conversation would use, where it comes from, and which
  revision set it.
- What PALs refer to is made and changed in the same way: `/v2/faces`, `/v2/voices`, `/v2/tools`, `/v2/skills`,
  `/v2/objectives`, `/v2/guardrails`, `/v2/pronunciation-dictionaries`; tools and skills are attached under
  `/v2/pals/{pal_id}/tools` and `/v2/pals/{pal_id}/skills`. Ids must exist when they are written.
- `GET /v2/{collection}/{id}/references` lists what uses an object. Deleting it takes its id out of all of them; a face
  that a PAL shows is 409 unless you send `?cascade=true`.
- `/v2/personas` and `/v2/replicas` serve the same objects with the older names (`persona_id`, `default_replica_id`).
- 408, 429, 503 `too_busy`: nothing was done; send it again after `Retry-After`. 504: a change may have been made.
- Secrets such as `/layers/llm/api_key` are shown as `********`; sending the mask back keeps the stored secret.

## Reference

- [OpenAPI](/openapi.json)
- [Interactive reference](/docs)
"""
