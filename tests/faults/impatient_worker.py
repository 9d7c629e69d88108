"""A worker whose client leaves the group when nothing was read for a few seconds, instead of a day."""

import sys

import streams.app
from deploy.cli.main import main

POLL_SECONDS, UNASSIGNED_SECONDS = 5.0, 5.0

if __name__ == "__main__":
    streams.app.DAY_SECONDS = POLL_SECONDS
    streams.app.UNASSIGNED_SECONDS = UNASSIGNED_SECONDS
    sys.exit(main(sys.argv[1:]))
