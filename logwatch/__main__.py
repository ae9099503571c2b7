"""`python -m logwatch` is `mailbrake`."""

import sys

from logwatch.commands import main

sys.exit(main())
