"""A worker that takes a transaction for hanging after a few seconds."""

import sys

import streams.hanging
from deploy.cli.main import main

HANGING_SECONDS = 3.0

if __name__ == "__main__":
    streams.hanging.HANGING_SECONDS = HANGING_SECONDS
    sys.exit(main(sys.argv[1:]))
