"""Tests that run side by side take one core each: more threads than cores make matrix algebra many times slower."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # set before torch is imported, here and in the processes that tests start
    os.environ.setdefault("OMP_NUM_THREADS", "1")
