"""Whether distances in several spaces agree over several models."""
