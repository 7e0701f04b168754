"""How the nets of each kind of competition are trained: what stage `train` does."""
