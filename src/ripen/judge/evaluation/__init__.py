"""What the stage `evaluate` scores, fits and draws, one kind of thing a module."""
