"""`python -m targetry` is the command `targetry`."""

from targetry.cli import main

if __name__ == "__main__":
    main()
