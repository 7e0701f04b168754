"""Things that fit and predict."""
