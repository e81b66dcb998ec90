"""Asking the model: what it writes comes back to the conversation piece by piece."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from palace.conversation.commands import AskModel, CallTool
from palace.conversation.events import ModelAnswered, ModelFailed, ModelSpoke, Wish
from palace.engines import Answer, Ask, LanguageModel, ModelDown, Piece
from palace.talking.given import Given
from palace.talking.room import Room
from palace.talking.rooms import Rooms

PIECES_APART_SECONDS = 0.08
"""Clients are told that often at most how far the model has come."""
BROKEN = "The model could not be asked; the server's log tells why."

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("palace.talking")


class Think:
    """Has a model write, one model for each conversation's settings."""

    def __init__(self, model_of: Callable[[Given], Awaitable[LanguageModel]]) -> None:
        self._model_of = model_of

    async def __call__(self, rooms: Rooms, room: Room, command: AskModel | CallTool) -> None:
        """Ask, and tell the conversation what comes; that no model can answer is told too."""
        assert isinstance(command, AskModel)
        id = command.inference_id
        try:
            model = await self._model_of(room.given)
            await self._ask(model, rooms, room, command)
        except ModelDown as error:
            log.warning("model is down", id=room.place.id, reason=error.reason, problem=str(error))
            await rooms.surely(room, ModelFailed(id, error.reason, str(error)))
        except Exception:
            log.exception("model could not be asked", id=room.place.id)
            await rooms.surely(room, ModelFailed(id, "bad_answer", BROKEN))

    async def _ask(self, model: LanguageModel, rooms: Rooms, room: Room, command: AskModel) -> None:
        text, told_at, first_at = "", 0.0, None
        loop = asyncio.get_running_loop()
        async for item in model.stream(Ask(command.messages, command.tools, {})):
            if isinstance(item, Piece):
                text += item.text
                first_at = first_at or rooms.now()
                if loop.time() - told_at >= PIECES_APART_SECONDS:
                    told_at = loop.time()
                    await rooms.stream(room, ModelSpoke(command.inference_id, text))
            elif isinstance(item, Answer):
                wishes = tuple(Wish(wish.id, wish.name, wish.arguments) for wish in item.wishes)
                usage = item.usage
                answered = ModelAnswered(
                    command.inference_id,
                    item.text,
                    wishes,
                    item.model,
                    usage.prompt_tokens,
                    usage.completion_tokens,
                    first_at,
                )
                await rooms.surely(room, answered)
