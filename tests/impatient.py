"""`python -m tests.impatient serve …`: a Palace that looks every half second whether who listens still may."""

from palace.api import changes, streams
from palace.cli import main

SECONDS = 0.5

if __name__ == "__main__":
    streams.LOOK_SECONDS = SECONDS
    changes.HEARTBEAT_SECONDS = SECONDS
    main()
