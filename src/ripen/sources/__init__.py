"""Where the bytes of a competition come from."""
