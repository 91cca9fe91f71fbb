"""`python -m meshwright.runtime.cli`: the command line where the script `meshwright` is not on the path."""

import sys

from .main import main

sys.exit(main())
