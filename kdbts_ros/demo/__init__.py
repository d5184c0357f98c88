"""`kdbts demo`: a drive through the real node over DDS, watched, recorded and judged."""
