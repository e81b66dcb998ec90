"""Asking the model: what it writes comes back to the conversation piece by piece."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import structlog

from palace.conversation.commands import AskModel, CallTool
from palace.conversation.events import ModelAnswered, ModelFailed, ModelSpoke, What, Wish
from palace.engines import Answer, Ask, LanguageModel, ModelDown
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
        id, began = command.inference_id, rooms.now()
        outcome = "answered"
        try:
            model = await self._model_of(room.given)
            try:
                answered = await self._answer(model, rooms, room, command)
            finally:
                await model.close()
        except ModelDown as error:
            log.warning("model is down", id=room.place.id, reason=error.reason, problem=str(error))
            outcome, answered = error.reason, ModelFailed(id, error.reason, str(error))
        except Exception:
            log.exception("model could not be asked", id=room.place.id)
            outcome, answered = "bad_answer", ModelFailed(id, "bad_answer", BROKEN)
        rooms.seeing.asked(room.place, began, {"palace.purpose": command.purpose, "palace.outcome": outcome})
        await rooms.surely(room, answered)

    async def _answer(self, model: LanguageModel, rooms: Rooms, room: Room, command: AskModel) -> What:
        """What the model wrote; meanwhile the conversation is told how far it has come. Raises ModelDown."""
        text, told_at, first_at, asked_at = "", 0.0, None, rooms.now()
        loop = asyncio.get_running_loop()
        async with aclosing(model.stream(Ask(command.messages, command.tools, {}))) as stream:
            async for item in stream:
                if isinstance(item, Answer):
                    return ModelAnswered(
                        command.inference_id,
                        item.text,
                        tuple(Wish(wish.id, wish.name, wish.arguments) for wish in item.wishes),
                        item.model,
                        item.usage.prompt_tokens,
                        item.usage.completion_tokens,
                        first_at,
                        asked_at,
                    )
                text += item.text
                first_at = first_at or rooms.now()
                if loop.time() - told_at >= PIECES_APART_SECONDS:
                    told_at = loop.time()
                    await rooms.stream(room, ModelSpoke(command.inference_id, text))
        raise ModelDown("The model ended without an answer.", "bad_answer")
