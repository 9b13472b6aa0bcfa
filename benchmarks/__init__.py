"""What fidprobe costs, beside its floors and beside its peers: `python -m benchmarks`."""
