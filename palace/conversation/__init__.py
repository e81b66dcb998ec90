"""The brain of a conversation: events in, commands out (docs/decisions/0025-conversations.md).

Pure: it knows neither the time nor a network nor a database. What happened comes in as an event, in the past tense,
with the moment at which it did; what is to be done goes out as commands, in the imperative. `palace.talking` is the one
who awaits. Voice and video are another way in and out of the same brain.
"""

from palace.conversation.brain import opened, react
from palace.conversation.commands import Command
from palace.conversation.events import Event
from palace.conversation.script import Script, script_of
from palace.conversation.state import Line, State

__all__ = ["Command", "Event", "Line", "Script", "State", "opened", "react", "script_of"]
