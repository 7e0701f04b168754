"""Fields and layer types of Caffe's well-known forks: those that run, and the origin of others.

`caffe.proto` is Caffe 1.0's and nothing more, and so are the messages of `caffe_pb2`, which are
used everywhere. The additions of forks that run here are in `forks.proto`. Text is parsed by a
superset of the two, built at run time (`superset`), and then converted to Caffe's own messages
(`plain`):

- pooling's `ceil_mode` becomes Caffe's `round_mode`, or nothing if it has the default value, so
  that real Caffe can read what we write;
- everything else stays in the message as unknown fields, which protobuf copies, saves and reads
  back. A layer reads them with `extra`, `formats.to_text` writes them by name, and real Caffe skips
  them in a binary file.

NetSpec builds its layers in the superset, too. It returns Caffe's own message unless something is
left that only a fork has: then it returns the superset's, since `str()` of the other would omit
those fields. `Net` accepts both.
"""

from functools import cache
from typing import Any, TypeVar, cast

from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from caffe.errors import FormatError
from caffe.proto import caffe_pb2, forks_pb2
from caffe.proto.caffe_pb2 import LayerParameter, PoolingParameter
from caffe.proto.fields import is_repeated

M = TypeVar("M", bound=Message)

SSD = "the SSD fork (weiliu89/caffe)"
FAST_RCNN = "the Fast R-CNN fork (rbgirshick/caffe-fast-rcnn)"
R_FCN = "the R-FCN fork (daijifeng001/caffe-rfcn)"
DEEPLAB = "the DeepLab fork"
PSPNET = "the PSPNet fork (hszhao/PSPNet)"
SEGNET = "the SegNet fork (alexgkendall/caffe-segnet)"
ENET = "the ENet fork (TimoSaemann/ENet)"
SENET = "the SENet fork (hujie-frank/SENet)"
SHUFFLENET = "the ShuffleNet fork (farmingyard/ShuffleNet)"
FLOWNET = "the FlowNet fork (lmb-freiburg)"
OPENPOSE = "the OpenPose fork"
NVCAFFE = "NVIDIA's fork (NVIDIA/caffe)"
CENTER_LOSS = "the caffe-face fork (ydwen/caffe-face)"
SPHEREFACE = "the SphereFace fork (wy1iu/sphereface)"
RISTRETTO = "the Ristretto fork (pmgysel/caffe)"
YOLO = "the MobileNet-YOLO fork (eric612/MobileNet-YOLO)"
MOBILENET = "forks for MobileNet"
COSFACE = "forks for CosFace and AM-Softmax"
CRF_RNN = "the CRF-RNN fork (torrvision/crfasrnn)"
CRNN = "forks for CRNN"
FASTER_RCNN = "the forks of Faster R-CNN in C++"
SPATIAL = "the fork for spatial transformers (daerduoCarey)"
SEVERAL = "several forks"

# Types that run here although real Caffe 1.0 has none of them.
RUN = {
    "Axpy": SENET,
    "BN": f"{SEGNET} and {PSPNET}",
    "CenterLoss": CENTER_LOSS,
    "ConvolutionDepthwise": MOBILENET,
    "DepthwiseConvolution": MOBILENET,
    "DetectionOutput": SSD,
    "Erf": "ONNX",
    "FocalLoss": SEVERAL,
    "HardSwish": MOBILENET,
    "ImResize": OPENPOSE,
    "Interp": f"{DEEPLAB} and {PSPNET}",
    "LabelSpecificAdd": COSFACE,
    "MatMul": "ONNX",
    "Mish": YOLO,
    "MultiBoxLoss": SSD,
    "Nms": OPENPOSE,
    "Normalize": SSD,
    "NormalizedInnerProduct": COSFACE,
    "PSROIPooling": R_FCN,
    "Pad": SEVERAL,
    "PriorBox": SSD,
    "Proposal": FASTER_RCNN,
    "ROIPooling": FAST_RCNN,
    "ReLU6": MOBILENET,
    "Reverse": CRNN,
    "ShuffleChannel": SHUFFLENET,
    "SmoothL1Loss": FAST_RCNN,
    "SoftmaxFocalLoss": SEVERAL,
    "SpatialTransformer": SPATIAL,
    "Transpose": CRNN,
    "TripletLoss": SEVERAL,
    "Upsample": f"{SEGNET} and {YOLO}",
    "WarpCTC": CRNN,
}
# Types that only the fork itself runs.
REFUSED = {
    "AnnotatedData": SSD,
    "BoxAnnotatorOHEM": R_FCN,
    "CPMBottomUpData": OPENPOSE,
    "CPMData": OPENPOSE,
    "ChannelNorm": FLOWNET,
    "ConvolutionRistretto": RISTRETTO,
    "Correlation": FLOWNET,
    "CustomData": FLOWNET,
    "DataAugmentation": FLOWNET,
    "DeformableConvolution": "forks for deformable convolutions",
    "DenseCRF": DEEPLAB,
    "DenseImageData": SEGNET,
    "DetectNetTransformation": NVCAFFE,
    "DetectionEvaluate": SSD,
    "Downsample": FLOWNET,
    "FcRistretto": RISTRETTO,
    "FlowWarp": FLOWNET,
    "ImageSegData": DEEPLAB,
    "L1Loss": f"{FLOWNET} and {NVCAFFE}",
    "LRNRistretto": RISTRETTO,
    "MarginInnerProduct": SPHEREFACE,
    "MatRead": DEEPLAB,
    "MatWrite": DEEPLAB,
    "MultiStageMeanfield": CRF_RNN,
    "ROIAlign": "forks for Mask R-CNN",
    "Region": YOLO,
    "Reorg": YOLO,
    "Resample": FLOWNET,
    "SegAccuracy": f"{DEEPLAB} and {PSPNET}",
    "SmoothL1LossOHEM": R_FCN,
    "SoftmaxWithLossOHEM": R_FCN,
    "SpatialDropout": ENET,
    "VideoData": SSD,
    "YoloDetectionOutput": YOLO,
    "Yolov3": YOLO,
    "Yolov3DetectionOutput": YOLO,
}
# Fields that real Caffe 1.0 lacks, whether they have an effect here or not.
FIELDS = {
    "annotated_data_param": SSD,
    "augmentation_param": FLOWNET,
    "bn_param": RUN["BN"],
    "box_annotator_ohem_param": R_FCN,
    "ceil_mode": SEVERAL,
    "center_loss_param": CENTER_LOSS,
    "class_weighting": SEGNET,
    "correlation_param": FLOWNET,
    "cpm_transform_param": OPENPOSE,
    "dense_crf_param": DEEPLAB,
    "dense_image_data_param": SEGNET,
    "detection_evaluate_param": SSD,
    "detection_output_param": SSD,
    "distort_param": SSD,
    "emit_constraint": SSD,
    "expand_param": SSD,
    "flow_warp_param": FLOWNET,
    "focal_loss_param": SEVERAL,
    "hole": DEEPLAB,
    "hole_h": DEEPLAB,
    "hole_w": DEEPLAB,
    "imresize_param": OPENPOSE,
    "interp_param": RUN["Interp"],
    "l1_loss_param": FLOWNET,
    "label_specific_add_param": COSFACE,
    "margin_inner_product_param": SPHEREFACE,
    "mat_read_param": DEEPLAB,
    "mat_write_param": DEEPLAB,
    "multi_stage_meanfield_param": CRF_RNN,
    "multibox_loss_param": SSD,
    "nms_param": OPENPOSE,
    "noise_param": SSD,
    "norm_param": SSD,
    "normalized_inner_product_param": COSFACE,
    "pad_param": SEVERAL,
    "prior_box_param": SSD,
    "proposal_param": FASTER_RCNN,
    "psroi_pooling_param": R_FCN,
    "quantization_param": RISTRETTO,
    "region_loss_param": YOLO,
    "reorg_param": YOLO,
    "resample_param": FLOWNET,
    "resize_param": SSD,
    "reverse_param": CRNN,
    "roi_pooling_param": FAST_RCNN,
    "scale_bias": NVCAFFE,
    "scale_factors": "forks for multi-scale images",
    "seg_accuracy_param": REFUSED["SegAccuracy"],
    "shuffle_channel_param": RUN["ShuffleChannel"],
    "smooth_l1_loss_param": FAST_RCNN,
    "st_param": SPATIAL,
    "transpose_param": CRNN,
    "triplet_loss_param": SEVERAL,
    "upsample_param": RUN["Upsample"],
    "video_data_param": SSD,
    "warpctc_param": CRNN,
    "weight_by_label_freqs": SEGNET,
    "yolo_detection_output_param": YOLO,
}


def of_type(name: str) -> str:
    """Return the origin of a layer type that Caffe 1.0 lacks; "" if no known fork has it."""
    return _whose({**RUN, **REFUSED}.get(name))


def of_old_type(name: str) -> str:
    """Return the origin of a type of old nets, such as ROI_POOLING; "" if no known fork has it."""
    plain = name.replace("_", "").lower()
    return next((of_type(kind) for kind in (*RUN, *REFUSED) if kind.lower() == plain), "")


def of_field(name: str) -> str:
    """Return the origin of a field that Caffe 1.0 lacks; "" if no known fork has it."""
    return _whose(FIELDS.get(name))


def _whose(fork: str | None) -> str:
    return f"from {fork}, not from BVLC Caffe 1.0" if fork else ""


def superset(kind: type[M]) -> type[M]:
    """Return a message class with the fields of the forks in addition to `caffe.proto`'s."""
    descriptor = _pool().FindMessageTypeByName(kind.DESCRIPTOR.full_name)
    return cast("type[M]", message_factory.GetMessageClass(descriptor))


def plain(message: Message, kind: type[M]) -> M:
    """Return a message of the superset (or of `caffe.proto`) as one of `caffe.proto`.

    Raises
    ------
    FormatError
        If it is another message, a required field is missing, or a pooling layer's `ceil_mode`
        contradicts its `round_mode`.
    """
    name = message.DESCRIPTOR.full_name
    if name != kind.DESCRIPTOR.full_name:
        raise FormatError(f"a {name} where a {kind.DESCRIPTOR.full_name} is needed")
    if not message.IsInitialized():
        missing = cast(Any, message).FindInitializationErrors()
        raise FormatError(f"required fields are missing: {', '.join(missing)}")
    translated = superset(kind).FromString(message.SerializeToString())
    _translate(translated)
    return kind.FromString(translated.SerializeToString())


def simplest(message: Message, kind: type[M]) -> M:
    """Return the message as one of `caffe.proto` if that can hold it, else of the superset."""
    given = plain(message, kind)
    known = kind()
    known.CopyFrom(given)
    known.DiscardUnknownFields()
    return given if known == given else superset(kind).FromString(given.SerializeToString())


def extra(layer: LayerParameter) -> forks_pb2.LayerParameter:
    """Return the forks' fields of a layer's definition."""
    found = forks_pb2.LayerParameter.FromString(layer.SerializeToString())
    found.DiscardUnknownFields()
    return found


@cache
def _pool() -> DescriptorPool:
    file, forks = FileDescriptorProto(), FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(file)
    forks_pb2.DESCRIPTOR.CopyToProto(forks)
    ours = {message.name: message for message in file.message_type}
    for message in forks.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(".caffe.forks.", ".caffe.")
        if message.name in ours:
            ours[message.name].field.extend(message.field)
        else:
            file.message_type.append(message)
    pool = DescriptorPool()
    pool.Add(file)
    return pool


def _translate(message: Message) -> None:
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in value if is_repeated(field) else (value,):
            if part.DESCRIPTOR.name == "PoolingParameter":
                _translate_pooling(part)
            _translate(part)


def _translate_pooling(pooling: Any) -> None:
    if not pooling.HasField("ceil_mode"):
        return
    mode = PoolingParameter.CEIL if pooling.ceil_mode else PoolingParameter.FLOOR
    if pooling.HasField("round_mode") and pooling.round_mode != mode:
        raise FormatError(f"pooling has ceil_mode {pooling.ceil_mode} and a different round_mode")
    if not pooling.ceil_mode:
        pooling.round_mode = mode
    pooling.ClearField("ceil_mode")
