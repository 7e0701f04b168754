"""A reproducible experiment pipeline for competitions."""

import os

# Caffe logs on standard error from its import on; ripen shows its own progress, and warnings only.
os.environ.setdefault("GLOG_minloglevel", "1")
