"""Engines that run Caffe nets: ripen's own Caffe in this process, or real Caffe 1.0 over files."""
