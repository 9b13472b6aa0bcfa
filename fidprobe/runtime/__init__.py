"""What touches the machine: files, processes, threads, progress, messages."""
