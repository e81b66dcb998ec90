"""Who may come into a conversation, and coming, losing the line, coming back and going by a line of one's own."""

import re
from collections.abc import Sequence

from palace.call import Account
from palace.conversation.events import Joined, Left, LostTouch, What
from palace.errors import BadRequest, ClientError, Detail
from palace.ids import Ids
from palace.resource import Services
from palace.talking.room import Room
from palace.talking.rooms import BROKEN_SECONDS, LEASE_SECONDS, Rooms
from palace.talking.tokens import read_token

GOING_SECONDS = 3.0
"""Where several servers share a database, a person who goes here has so long another line elsewhere to show."""
GUESSED_BY_NOBODY = 16
"""So many characters an id must have to open the door with a token that has expired: those that people make up are
shorter."""
NAMED = re.compile(r"[A-Za-z0-9._-]{1,64}")


class NotAllowedIn(ClientError):
    """403: a private conversation, and no token that opens it (contract 2.5)."""

    status = 403
    code = "not_allowed_in"

    def __init__(self, problem: str) -> None:
        super().__init__("You are not allowed to join this meeting.", [Detail(self.code, problem)])


class Full(ClientError):
    """403: as many people are in the conversation as may be (contract 13.4)."""

    status = 403
    code = "conversation_full"

    def __init__(self, most: int) -> None:
        text = "The conversation is full: nobody else can come in until somebody leaves."
        super().__init__(text, [Detail(self.code, text, facts={"limit": "max_participants", "maximum": most + 1})])


def participant_of(named: str | None, ids: Ids) -> str:
    """The id of a person: the one that the client chose, or a new one. Raises BadRequest."""
    if not named:
        return ids.new("u-", 32)
    if not NAMED.fullmatch(named):
        problem = "participant takes 1 to 64 letters, digits, dots, underscores and hyphens."
        raise BadRequest(f"Bad Request. {problem}", [Detail("invalid_participant", problem)])
    return named


def admit(room: Room, token: str | None, participant: str, account: Account | None, services: Services) -> None:
    """Raises NotAllowedIn for a stranger at the door of a private conversation.

    Who owns it may always come in. Who came in with a token and lost the line comes back with it though it has expired,
    while the others still count on them (docs/decisions/0029-ways-in.md).
    """
    if not room.given.is_private or (account is not None and account.id == room.place.owner):
        return
    if not token:
        raise NotAllowedIn("This conversation is private: add ?t= and its meeting_token to the address.")
    said = read_token(services.meeting_key, token)
    if said is None or said.conversation_id != room.place.id:
        raise NotAllowedIn("The token is not one of this conversation.")
    is_known = len(participant) >= GUESSED_BY_NOBODY and participant in room.state.people
    if said.expires_at <= services.clock.now().timestamp() and not is_known:
        raise NotAllowedIn("The token has expired.")


def refuse_where_full(room: Room, participant: str) -> None:
    """Raises Full where a new person would not come in."""
    most, people = room.script.most_people, room.state.people
    if most and participant not in people and len(people) >= most:
        raise Full(most)


async def come_in(rooms: Rooms, room: Room, participant: str) -> None:
    """A person has one more line. Raises Full, Gone, StorageFailure."""
    room.visitors[participant] += 1
    try:
        await rooms.happen(room, *_is_there(rooms, participant))
        most = room.script.most_people
        if most and not room.state.is_over and participant not in room.state.people:
            raise Full(most)
    except BaseException:
        _let_go(room, participant)
        raise


async def still_there(rooms: Rooms, room: Room, participant: str) -> None:
    """Say so from time to time, where another server could not know. Raises Gone, StorageFailure."""
    if rooms.is_shared and not room.state.is_over:
        await rooms.happen(room, *_is_there(rooms, participant))


async def go(rooms: Rooms, room: Room, participant: str, *, is_clean: bool) -> None:
    """A line is gone. With their last one a person has left; at once, or unless they come back in time."""
    _let_go(room, participant)
    if not room.visitors[participant] and (room.is_stale or not room.state.is_over):
        seconds = BROKEN_SECONDS if not is_clean else GOING_SECONDS if rooms.is_shared else 0
        await rooms.surely(room, LostTouch(participant, seconds) if seconds else Left(participant))


def _is_there(rooms: Rooms, participant: str) -> Sequence[What]:
    joined = Joined(participant)
    return (joined, LostTouch(participant, LEASE_SECONDS)) if rooms.is_shared else (joined,)


def _let_go(room: Room, participant: str) -> None:
    room.visitors[participant] -= 1
    if not room.visitors[participant]:
        del room.visitors[participant]
