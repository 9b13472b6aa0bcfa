"""One script for each table or figure of the papers; `python -m reproduce.NAME --help` tells its options."""
