"""Calls of tools that go out over HTTPS: with the tool as it was when the conversation began."""

import json

import structlog

from palace.conversation.commands import AskModel, CallTool
from palace.conversation.events import ToolAnswered
from palace.masks import unmasked
from palace.resource import Services
from palace.talking.rooms import Room, Rooms
from palace.tool_delivery import BadArguments, Facts, Tokens, deliver, read_arguments

BROKEN = "The tool could not be called; the server's log tells why."

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.talking")


class Deliver:
    """Carries out calls; the secrets of a tool are opened for that and kept nowhere."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tokens = Tokens(services.clock)

    async def __call__(self, rooms: Rooms, room: Room, command: AskModel | CallTool) -> None:
        """Call the tool, and tell the conversation what came of it."""
        assert isinstance(command, CallTool)
        try:
            answered = await self._answered(room, command)
        except BadArguments as error:
            answered = ToolAnswered(command.tool_call_id, str(error), is_error=True)
        except Exception:
            log.exception("tool could not be called", id=room.place.id, tool=command.tool_id)
            answered = ToolAnswered(command.tool_call_id, BROKEN, is_error=True)
        await rooms.surely(room, answered)

    async def _answered(self, room: Room, command: CallTool) -> ToolAnswered:
        given = room.given.tools[command.tool_id]
        read_arguments(json.dumps(command.arguments), given.document["parameters"])
        services = self._services
        tool = await unmasked(given.kind, given.id, given.document, given.refs, services.store.reading, services.vault)
        more = {"tavus_pal_id": room.script.pal_id, "tavus_face_id": room.script.face_id or ""}
        facts = Facts(room.script.conversation_id, command.tool_call_id, more)
        done = await deliver(tool, command.arguments, facts, services.fetcher, services.clock, self._tokens)
        request = {**done.request, "response_status": done.response_status, "attempts": done.attempts}
        return ToolAnswered(command.tool_call_id, done.output, done.status == "error", request, done.problem)
