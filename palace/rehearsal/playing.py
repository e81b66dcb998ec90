"""A whole suite, played: each visitor as often as is asked for, a few at once."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from palace.conversation import Script
from palace.conversation.events import ObjectiveConfirmed, Said
from palace.engines import LanguageModel
from palace.engines.base import Usage
from palace.rehearsal.expecting import Compiled, Failure, Seen, misses
from palace.rehearsal.judging import judged
from palace.rehearsal.player import Talk, TooLong, transcript_of
from palace.rehearsal.suite import Expectation, Step, Suite, Visitor

AT_ONCE = 4
"""talks that one rehearsal plays beside each other"""
LONGEST_TALK_SECONDS = 600
"""of real time, in which the models answer"""


@dataclass(slots=True)
class Played:
    """What came of one talk. `seconds` are those of its own clock."""

    visitor: str
    run: int
    failures: list[Failure] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    transcript: list[dict[str, Any]] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)
    usage: Usage = Usage()
    judge_usage: Usage = Usage()
    seconds: float = 0.0

    @property
    def has_passed(self) -> bool:
        """Whether everything held, and nothing else went wrong."""
        return not self.failures and not self.problems


@dataclass(frozen=True, slots=True)
class Cast:
    """Who takes part: the PAL's script, the model that speaks for it, and the one that judges."""

    script: Script
    model: LanguageModel
    judge: LanguageModel


async def rehearse(cast: Cast, suite: Suite, runs: int, tell: Callable[[int, int], None]) -> list[Played]:
    """Every visitor `runs` times, in the order of the suite. `tell` hears how many talks are over, and of how many."""
    compiled = Compiled()
    wanted = [(visitor, run) for visitor in suite.visitors for run in range(1, runs + 1)]
    turn, over = asyncio.Semaphore(AT_ONCE), 0

    async def one(visitor: Visitor, run: int) -> Played:
        nonlocal over
        async with turn:
            played = await play(cast, suite, visitor, run, compiled)
        over += 1
        tell(over, len(wanted))
        return played

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(visitor, run)) for visitor, run in wanted]
    return [task.result() for task in tasks]


async def play(cast: Cast, suite: Suite, visitor: Visitor, run: int, compiled: Compiled) -> Played:
    """One visitor, once."""
    played = Played(visitor.name, run)
    script = replace(cast.script, conversation_id=f"{cast.script.conversation_id}/{visitor.name}/{run}")
    if visitor.context:
        script = replace(script, context="\n\n".join(part for part in (script.context, visitor.context) if part))
    talk = Talk(script, cast.model, suite.tools, suite.most_turns, script.started_at)
    try:
        async with asyncio.timeout(LONGEST_TALK_SECONDS):
            await _play_steps(talk, visitor, played, cast.judge, compiled)
    except TooLong as error:
        played.problems.append(str(error))
    except TimeoutError:
        played.problems.append(f"The models took longer than {LONGEST_TALK_SECONDS} seconds for this talk.")
    played.problems = [*talk.problems, *played.problems]
    played.seen, played.transcript = talk.whole, transcript_of(talk.lines)
    played.usage = Usage(talk.prompt_tokens, talk.completion_tokens)
    played.seconds = round(talk.now - script.started_at, 3)
    return played


async def _play_steps(talk: Talk, visitor: Visitor, played: Played, judge: LanguageModel, compiled: Compiled) -> None:
    await talk.begin()
    for number, step in enumerate(visitor.steps, 1):
        if talk.is_over and _does_something(step):
            text = f"The conversation had ended before this step: {talk.state.shutdown_reason}."
            played.failures.append(Failure(number, "ended", text))
            break
        await _do(talk, step)
        await _check(talk, step.expect, talk.seen, number, played, judge, compiled)
    await _check(talk, visitor.expect, talk.whole, None, played, judge, compiled)


def _does_something(step: Step) -> bool:
    return step.say is not None or step.wait_seconds is not None or step.confirm is not None


async def _do(talk: Talk, step: Step) -> None:
    if step.say is not None:
        await talk.happen(Said(step.say))
    elif step.wait_seconds is not None:
        await talk.wait(step.wait_seconds)
    elif step.confirm is not None:
        await talk.happen(ObjectiveConfirmed(step.confirm))


async def _check(
    talk: Talk,
    expect: Expectation,
    seen: Seen,
    step: int | None,
    played: Played,
    judge: LanguageModel,
    compiled: Compiled,
) -> None:
    played.failures += misses(expect, seen, step, compiled)
    for sentence in expect.judge:
        await asyncio.sleep(0)  # For others, as before each question to the PAL's model.
        verdict = await judged(judge, sentence, transcript_of(talk.lines))
        played.judge_usage = together(played.judge_usage, verdict.usage)
        if verdict.is_true is None:
            played.problems.append(verdict.reason)
        elif not verdict.is_true:
            played.failures.append(Failure(step, "judge", f"“{sentence}” is not so, says the judge: {verdict.reason}"))


def together(*usages: Usage) -> Usage:
    """The tokens of all of them."""
    return Usage(sum(one.prompt_tokens for one in usages), sum(one.completion_tokens for one in usages))


def tokens_of(usage: Usage) -> Mapping[str, int]:
    """As it stands in a report."""
    return {"prompt": usage.prompt_tokens, "completion": usage.completion_tokens}
