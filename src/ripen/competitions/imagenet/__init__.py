"""ImageNet's samples: `samples.csv` lists the images, and the hash of each."""
