"""`python -m rnnjax.cli`: the command `rnnjax` where its script is not on the path."""

from rnnjax.cli.command import main

if __name__ == "__main__":
    main()
