"""Run ministack with its gaps filled; its settings are its own environment variables. Needs .venv-deploy."""

import sys

from ministack.app import main

from cloud import plug

plug.fill()
sys.exit(main())
