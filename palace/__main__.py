"""`python -m palace` is the `palace` command."""

from palace.cli import main

if __name__ == "__main__":
    main()
