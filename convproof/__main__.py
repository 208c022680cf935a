"""`python -m convproof`."""

from convproof.cli import main

main()
