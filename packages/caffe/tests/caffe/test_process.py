"""Memory stays in the process between passes."""

import resource
import sys

import pytest
import torch

from caffe.process import prepare_process


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_reallocated_arrays_reuse_the_process_memory():
    prepare_process()
    faults = []
    for _ in range(30):  # the allocator needs a few rounds to settle
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(2**24)  # 64 MB: 16384 pages of 4 KB
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    assert min(faults[10:]) < 100  # a machine short of memory takes some pages back
