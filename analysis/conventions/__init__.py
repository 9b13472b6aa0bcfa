"""One pair of sets by every library's conventions."""
