"""A small client of a running server: the only place of the command line that knows paths, headers and statuses.

Every failure is one exception, `RemoteError`, whose text tells people what is wrong and how to put it right.
"""

from palace.client.line import Line
from palace.client.refusals import Document, RemoteError
from palace.client.remote import PLAIN, OnDraft, Preview, Remote, Seen, Terms, Written, normal_url

__all__ = [
    "PLAIN",
    "Document",
    "Line",
    "OnDraft",
    "Preview",
    "Remote",
    "RemoteError",
    "Seen",
    "Terms",
    "Written",
    "normal_url",
]
