"""Work that outlives a request: the list of all kinds of jobs, and what carries them out."""

from palace.jobs.faces import TRAIN_FACE
from palace.jobs.rehearsals import REHEARSE
from palace.jobs.runner import Work, keep_working
from palace.resources.faces.making import JOB as FACE_JOB
from palace.resources.rehearsals import JOB as REHEARSAL_JOB

JOBS: dict[str, Work] = {FACE_JOB: TRAIN_FACE, REHEARSAL_JOB: REHEARSE}
"""What is done for a job of each kind."""

__all__ = ["JOBS", "keep_working"]
