"""Pictures of which images an attack preferred."""
