from caffe.proto import caffe_pb2 as _caffe_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LayerParameter(_message.Message):
    __slots__ = ["norm_param"]
    NORM_PARAM_FIELD_NUMBER: _ClassVar[int]
    norm_param: NormalizeParameter
    def __init__(self, norm_param: _Optional[_Union[NormalizeParameter, _Mapping]] = ...) -> None: ...

class NormalizeParameter(_message.Message):
    __slots__ = ["across_spatial", "channel_shared", "eps", "scale_filler"]
    ACROSS_SPATIAL_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_SHARED_FIELD_NUMBER: _ClassVar[int]
    EPS_FIELD_NUMBER: _ClassVar[int]
    SCALE_FILLER_FIELD_NUMBER: _ClassVar[int]
    across_spatial: bool
    channel_shared: bool
    eps: float
    scale_filler: _caffe_pb2.FillerParameter
    def __init__(self, across_spatial: bool = ..., scale_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., channel_shared: bool = ..., eps: _Optional[float] = ...) -> None: ...

class PoolingParameter(_message.Message):
    __slots__ = ["ceil_mode"]
    CEIL_MODE_FIELD_NUMBER: _ClassVar[int]
    ceil_mode: bool
    def __init__(self, ceil_mode: bool = ...) -> None: ...
