"""Choose the device of a command."""

import torch

import caffe
from caffe import glog
from caffe.errors import CaffeError


def choose(gpu: str, where: str) -> None:
    """Compute on the device of a `-gpu` flag, or on the CPU if it is empty.

    Parameters
    ----------
    gpu : str
        A number, or nothing.
    where : str
        The source line of Caffe that logs the choice.

    Raises
    ------
    CaffeError
        For several devices, or if there is none.
    """
    if not gpu:
        glog.info(where, "Use CPU.")
        caffe.set_mode_cpu()
        return
    if gpu == "all" and torch.cuda.device_count() == 1:
        gpu = "0"
    if gpu == "all" or "," in gpu:
        raise CaffeError(
            f"-gpu {gpu}: a net trains on one GPU. Allowed: one number. To use several, start one "
            "command for each with its own -gpu and snapshot_prefix"
        )
    if not gpu.isdecimal():
        raise CaffeError(f"-gpu {gpu}: is not a device. Allowed: a number, counted from 0")
    caffe.set_device(int(gpu))
    caffe.set_mode_gpu()
    glog.info(where, "Use GPU with device ID %s", gpu)
