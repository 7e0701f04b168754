"""Pictures: decoding, scanning, duplicates, the split, the data card, batches for nets."""
