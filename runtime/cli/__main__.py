"""`python -m meshwright.runtime.cli`: the command line where the script `meshwright` is not on the path."""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())
