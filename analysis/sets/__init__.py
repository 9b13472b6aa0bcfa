"""Opening and extracting sets in several spaces, and warnings about them."""
