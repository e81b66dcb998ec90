"""Work that outlives a request: the list of all kinds of jobs, and what carries them out."""

from palace.jobs.conversations import ACT_AFTERWARDS
from palace.jobs.faces import TRAIN_FACE
from palace.jobs.rehearsals import REHEARSE
from palace.jobs.runner import Work, keep_working
from palace.resources.faces.making import JOB
from palace.resources.rehearsals import JOB as REHEARSAL
from palace.talking import POST_CALL

JOBS: dict[str, Work] = {JOB: TRAIN_FACE, POST_CALL: ACT_AFTERWARDS, REHEARSAL: REHEARSE}
"""What is done for a job of each kind."""

__all__ = ["JOBS", "keep_working"]
