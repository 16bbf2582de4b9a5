"""`python -m blockqnn_devcluster VERB`."""

import sys

from .command_line import main

sys.exit(main())
