"""Data: LMDB or LevelDB of Datum."""
