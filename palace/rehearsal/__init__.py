"""Rehearsals: visitors from a script talk to a PAL before people do (docs/howto/rehearse.md).

The brain is the one of real conversations; time is counted and not waited for, tools are answered by fixtures, and only
language models are really asked.
"""

from palace.rehearsal.comparing import fixtures_of, replayed, turns_of
from palace.rehearsal.playing import Cast, Played, rehearse
from palace.rehearsal.report import Report, junit_of, report_of
from palace.rehearsal.suite import InvalidSuite, Suite, read_suite, rules, written_out

__all__ = [
    "Cast",
    "InvalidSuite",
    "Played",
    "Report",
    "Suite",
    "fixtures_of",
    "junit_of",
    "read_suite",
    "rehearse",
    "replayed",
    "report_of",
    "rules",
    "turns_of",
    "written_out",
]
