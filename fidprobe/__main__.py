"""`python -m fidprobe`, and what torchrun starts."""

from fidprobe.cli import main

if __name__ == "__main__":
    main()
