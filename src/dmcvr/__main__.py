"""`python -m dmcvr`."""

from dmcvr.cli.main import main

main()
