"""Who runs a Caffe net: ripen's own Caffe in process, or real Caffe 1.0 over files."""
