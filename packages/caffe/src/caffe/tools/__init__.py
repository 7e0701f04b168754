"""Caffe's command line tools: one module each, run as `python -m caffe <command>`."""
