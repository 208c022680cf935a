"""python -m convproof.recheck FILE..."""

import sys

from convproof.recheck.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
