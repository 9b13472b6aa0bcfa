"""What touches the machine: files, processes, Ctrl-C, devices, threads, progress, messages."""
