"""Calls of tools that go out over HTTPS: with the tool as it was when the conversation began."""

import json

import structlog

from palace.conversation import Script
from palace.conversation.commands import AskModel, CallTool
from palace.conversation.events import ToolAnswered
from palace.masks import unmasked
from palace.resource import Services
from palace.talking.given import Pinned
from palace.talking.room import Room
from palace.talking.rooms import Rooms
from palace.tool_delivery import BadArguments, Delivered, Facts, Tokens, deliver, read_arguments

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
        tool = room.given.tools[command.tool_id]
        done = await self.delivered(tool, json.dumps(command.arguments), command.tool_call_id, room.script)
        request = {**done.request, "response_status": done.response_status, "attempts": done.attempts}
        is_error = done.status == "error"
        return ToolAnswered(command.tool_call_id, done.output, is_error, request=request, problem=done.problem)

    async def delivered(self, tool: Pinned, arguments: str, tool_call_id: str, script: Script) -> Delivered:
        """What became of a call with these arguments, which are JSON. Raises BadArguments and VaultError."""
        checked = read_arguments(arguments, tool.document["parameters"])
        services = self._services
        opened = await unmasked(tool.kind, tool.id, tool.document, tool.refs, services.store.reading, services.vault)
        more = {"tavus_pal_id": script.pal_id, "tavus_face_id": script.face_id or ""}
        facts = Facts(script.conversation_id, tool_call_id, more)
        return await deliver(opened, checked, facts, services.fetcher, services.clock, self._tokens)
