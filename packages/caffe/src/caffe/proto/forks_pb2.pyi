from caffe.proto import caffe_pb2 as _caffe_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BNParameter(_message.Message):
    __slots__ = ["bias_filler", "bn_mode", "engine", "eps", "frozen", "momentum", "scale_filler", "shift_filler", "slope_filler", "var_eps"]
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = []
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = []
    BIAS_FILLER_FIELD_NUMBER: _ClassVar[int]
    BN_MODE_FIELD_NUMBER: _ClassVar[int]
    CAFFE: BNParameter.Engine
    CUDNN: BNParameter.Engine
    DEFAULT: BNParameter.Engine
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    EPS_FIELD_NUMBER: _ClassVar[int]
    FROZEN_FIELD_NUMBER: _ClassVar[int]
    INFERENCE: BNParameter.Mode
    LEARN: BNParameter.Mode
    MOMENTUM_FIELD_NUMBER: _ClassVar[int]
    SCALE_FILLER_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FILLER_FIELD_NUMBER: _ClassVar[int]
    SLOPE_FILLER_FIELD_NUMBER: _ClassVar[int]
    VAR_EPS_FIELD_NUMBER: _ClassVar[int]
    bias_filler: _caffe_pb2.FillerParameter
    bn_mode: BNParameter.Mode
    engine: BNParameter.Engine
    eps: float
    frozen: bool
    momentum: float
    scale_filler: _caffe_pb2.FillerParameter
    shift_filler: _caffe_pb2.FillerParameter
    slope_filler: _caffe_pb2.FillerParameter
    var_eps: float
    def __init__(self, slope_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., bias_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., momentum: _Optional[float] = ..., eps: _Optional[float] = ..., frozen: bool = ..., engine: _Optional[_Union[BNParameter.Engine, str]] = ..., scale_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., shift_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., bn_mode: _Optional[_Union[BNParameter.Mode, str]] = ..., var_eps: _Optional[float] = ...) -> None: ...

class CenterLossParameter(_message.Message):
    __slots__ = ["axis", "center_filler", "num_output"]
    AXIS_FIELD_NUMBER: _ClassVar[int]
    CENTER_FILLER_FIELD_NUMBER: _ClassVar[int]
    NUM_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    axis: int
    center_filler: _caffe_pb2.FillerParameter
    num_output: int
    def __init__(self, num_output: _Optional[int] = ..., center_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., axis: _Optional[int] = ...) -> None: ...

class DetectionOutputParameter(_message.Message):
    __slots__ = ["background_label_id", "code_type", "confidence_threshold", "keep_top_k", "nms_param", "num_classes", "save_file", "save_output_param", "share_location", "variance_encoded_in_target", "visualize", "visualize_threshold"]
    BACKGROUND_LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_TYPE_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    KEEP_TOP_K_FIELD_NUMBER: _ClassVar[int]
    NMS_PARAM_FIELD_NUMBER: _ClassVar[int]
    NUM_CLASSES_FIELD_NUMBER: _ClassVar[int]
    SAVE_FILE_FIELD_NUMBER: _ClassVar[int]
    SAVE_OUTPUT_PARAM_FIELD_NUMBER: _ClassVar[int]
    SHARE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    VARIANCE_ENCODED_IN_TARGET_FIELD_NUMBER: _ClassVar[int]
    VISUALIZE_FIELD_NUMBER: _ClassVar[int]
    VISUALIZE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    background_label_id: int
    code_type: PriorBoxParameter.CodeType
    confidence_threshold: float
    keep_top_k: int
    nms_param: NonMaximumSuppressionParameter
    num_classes: int
    save_file: str
    save_output_param: SaveOutputParameter
    share_location: bool
    variance_encoded_in_target: bool
    visualize: bool
    visualize_threshold: float
    def __init__(self, num_classes: _Optional[int] = ..., share_location: bool = ..., background_label_id: _Optional[int] = ..., nms_param: _Optional[_Union[NonMaximumSuppressionParameter, _Mapping]] = ..., save_output_param: _Optional[_Union[SaveOutputParameter, _Mapping]] = ..., code_type: _Optional[_Union[PriorBoxParameter.CodeType, str]] = ..., keep_top_k: _Optional[int] = ..., variance_encoded_in_target: bool = ..., confidence_threshold: _Optional[float] = ..., visualize: bool = ..., visualize_threshold: _Optional[float] = ..., save_file: _Optional[str] = ...) -> None: ...

class FocalLossParameter(_message.Message):
    __slots__ = ["alpha", "gamma"]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    GAMMA_FIELD_NUMBER: _ClassVar[int]
    alpha: float
    gamma: float
    def __init__(self, alpha: _Optional[float] = ..., gamma: _Optional[float] = ...) -> None: ...

class ImResizeParameter(_message.Message):
    __slots__ = ["factor", "scale_gap", "start_scale", "target_spatial_height", "target_spatial_width"]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    SCALE_GAP_FIELD_NUMBER: _ClassVar[int]
    START_SCALE_FIELD_NUMBER: _ClassVar[int]
    TARGET_SPATIAL_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TARGET_SPATIAL_WIDTH_FIELD_NUMBER: _ClassVar[int]
    factor: float
    scale_gap: float
    start_scale: float
    target_spatial_height: int
    target_spatial_width: int
    def __init__(self, target_spatial_width: _Optional[int] = ..., target_spatial_height: _Optional[int] = ..., factor: _Optional[float] = ..., start_scale: _Optional[float] = ..., scale_gap: _Optional[float] = ...) -> None: ...

class InterpParameter(_message.Message):
    __slots__ = ["height", "pad_beg", "pad_end", "shrink_factor", "width", "zoom_factor"]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PAD_BEG_FIELD_NUMBER: _ClassVar[int]
    PAD_END_FIELD_NUMBER: _ClassVar[int]
    SHRINK_FACTOR_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    ZOOM_FACTOR_FIELD_NUMBER: _ClassVar[int]
    height: int
    pad_beg: int
    pad_end: int
    shrink_factor: int
    width: int
    zoom_factor: int
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., zoom_factor: _Optional[int] = ..., shrink_factor: _Optional[int] = ..., pad_beg: _Optional[int] = ..., pad_end: _Optional[int] = ...) -> None: ...

class LabelSpecificAddParameter(_message.Message):
    __slots__ = ["bias", "transform_test"]
    BIAS_FIELD_NUMBER: _ClassVar[int]
    TRANSFORM_TEST_FIELD_NUMBER: _ClassVar[int]
    bias: float
    transform_test: bool
    def __init__(self, bias: _Optional[float] = ..., transform_test: bool = ...) -> None: ...

class LayerParameter(_message.Message):
    __slots__ = ["bn_param", "center_loss_param", "detection_output_param", "focal_loss_param", "imresize_param", "interp_param", "label_specific_add_param", "multibox_loss_param", "nms_param", "norm_param", "normalized_inner_product_param", "pad_param", "prior_box_param", "proposal_param", "psroi_pooling_param", "reverse_param", "roi_pooling_param", "shuffle_channel_param", "smooth_l1_loss_param", "st_param", "transpose_param", "triplet_loss_param", "upsample_param", "warpctc_param"]
    BN_PARAM_FIELD_NUMBER: _ClassVar[int]
    CENTER_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    DETECTION_OUTPUT_PARAM_FIELD_NUMBER: _ClassVar[int]
    FOCAL_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    IMRESIZE_PARAM_FIELD_NUMBER: _ClassVar[int]
    INTERP_PARAM_FIELD_NUMBER: _ClassVar[int]
    LABEL_SPECIFIC_ADD_PARAM_FIELD_NUMBER: _ClassVar[int]
    MULTIBOX_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    NMS_PARAM_FIELD_NUMBER: _ClassVar[int]
    NORMALIZED_INNER_PRODUCT_PARAM_FIELD_NUMBER: _ClassVar[int]
    NORM_PARAM_FIELD_NUMBER: _ClassVar[int]
    PAD_PARAM_FIELD_NUMBER: _ClassVar[int]
    PRIOR_BOX_PARAM_FIELD_NUMBER: _ClassVar[int]
    PROPOSAL_PARAM_FIELD_NUMBER: _ClassVar[int]
    PSROI_POOLING_PARAM_FIELD_NUMBER: _ClassVar[int]
    REVERSE_PARAM_FIELD_NUMBER: _ClassVar[int]
    ROI_POOLING_PARAM_FIELD_NUMBER: _ClassVar[int]
    SHUFFLE_CHANNEL_PARAM_FIELD_NUMBER: _ClassVar[int]
    SMOOTH_L1_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    ST_PARAM_FIELD_NUMBER: _ClassVar[int]
    TRANSPOSE_PARAM_FIELD_NUMBER: _ClassVar[int]
    TRIPLET_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    UPSAMPLE_PARAM_FIELD_NUMBER: _ClassVar[int]
    WARPCTC_PARAM_FIELD_NUMBER: _ClassVar[int]
    bn_param: BNParameter
    center_loss_param: CenterLossParameter
    detection_output_param: DetectionOutputParameter
    focal_loss_param: FocalLossParameter
    imresize_param: ImResizeParameter
    interp_param: InterpParameter
    label_specific_add_param: LabelSpecificAddParameter
    multibox_loss_param: MultiBoxLossParameter
    nms_param: NmsParameter
    norm_param: NormalizeParameter
    normalized_inner_product_param: NormalizedInnerProductParameter
    pad_param: PadParameter
    prior_box_param: PriorBoxParameter
    proposal_param: ProposalParameter
    psroi_pooling_param: PSROIPoolingParameter
    reverse_param: ReverseParameter
    roi_pooling_param: ROIPoolingParameter
    shuffle_channel_param: ShuffleChannelParameter
    smooth_l1_loss_param: SmoothL1LossParameter
    st_param: SpatialTransformerParameter
    transpose_param: TransposeParameter
    triplet_loss_param: TripletLossParameter
    upsample_param: UpsampleParameter
    warpctc_param: WarpCTCParameter
    def __init__(self, multibox_loss_param: _Optional[_Union[MultiBoxLossParameter, _Mapping]] = ..., prior_box_param: _Optional[_Union[PriorBoxParameter, _Mapping]] = ..., detection_output_param: _Optional[_Union[DetectionOutputParameter, _Mapping]] = ..., norm_param: _Optional[_Union[NormalizeParameter, _Mapping]] = ..., roi_pooling_param: _Optional[_Union[ROIPoolingParameter, _Mapping]] = ..., smooth_l1_loss_param: _Optional[_Union[SmoothL1LossParameter, _Mapping]] = ..., psroi_pooling_param: _Optional[_Union[PSROIPoolingParameter, _Mapping]] = ..., proposal_param: _Optional[_Union[ProposalParameter, _Mapping]] = ..., upsample_param: _Optional[_Union[UpsampleParameter, _Mapping]] = ..., bn_param: _Optional[_Union[BNParameter, _Mapping]] = ..., interp_param: _Optional[_Union[InterpParameter, _Mapping]] = ..., shuffle_channel_param: _Optional[_Union[ShuffleChannelParameter, _Mapping]] = ..., pad_param: _Optional[_Union[PadParameter, _Mapping]] = ..., center_loss_param: _Optional[_Union[CenterLossParameter, _Mapping]] = ..., normalized_inner_product_param: _Optional[_Union[NormalizedInnerProductParameter, _Mapping]] = ..., label_specific_add_param: _Optional[_Union[LabelSpecificAddParameter, _Mapping]] = ..., triplet_loss_param: _Optional[_Union[TripletLossParameter, _Mapping]] = ..., imresize_param: _Optional[_Union[ImResizeParameter, _Mapping]] = ..., nms_param: _Optional[_Union[NmsParameter, _Mapping]] = ..., warpctc_param: _Optional[_Union[WarpCTCParameter, _Mapping]] = ..., reverse_param: _Optional[_Union[ReverseParameter, _Mapping]] = ..., transpose_param: _Optional[_Union[TransposeParameter, _Mapping]] = ..., st_param: _Optional[_Union[SpatialTransformerParameter, _Mapping]] = ..., focal_loss_param: _Optional[_Union[FocalLossParameter, _Mapping]] = ...) -> None: ...

class MultiBoxLossParameter(_message.Message):
    __slots__ = ["background_label_id", "bp_inside", "code_type", "conf_loss_type", "do_neg_mining", "encode_variance_in_target", "ignore_cross_boundary_bbox", "loc_loss_type", "loc_weight", "map_object_to_agnostic", "match_type", "mining_type", "neg_overlap", "neg_pos_ratio", "nms_param", "num_classes", "overlap_threshold", "sample_size", "share_location", "use_difficult_gt", "use_prior_for_matching", "use_prior_for_nms"]
    class ConfLossType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = []
    class LocLossType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = []
    class MatchType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = []
    class MiningType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = []
    BACKGROUND_LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    BIPARTITE: MultiBoxLossParameter.MatchType
    BP_INSIDE_FIELD_NUMBER: _ClassVar[int]
    CODE_TYPE_FIELD_NUMBER: _ClassVar[int]
    CONF_LOSS_TYPE_FIELD_NUMBER: _ClassVar[int]
    DO_NEG_MINING_FIELD_NUMBER: _ClassVar[int]
    ENCODE_VARIANCE_IN_TARGET_FIELD_NUMBER: _ClassVar[int]
    HARD_EXAMPLE: MultiBoxLossParameter.MiningType
    IGNORE_CROSS_BOUNDARY_BBOX_FIELD_NUMBER: _ClassVar[int]
    L2: MultiBoxLossParameter.LocLossType
    LOC_LOSS_TYPE_FIELD_NUMBER: _ClassVar[int]
    LOC_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    LOGISTIC: MultiBoxLossParameter.ConfLossType
    MAP_OBJECT_TO_AGNOSTIC_FIELD_NUMBER: _ClassVar[int]
    MATCH_TYPE_FIELD_NUMBER: _ClassVar[int]
    MAX_NEGATIVE: MultiBoxLossParameter.MiningType
    MINING_TYPE_FIELD_NUMBER: _ClassVar[int]
    NEG_OVERLAP_FIELD_NUMBER: _ClassVar[int]
    NEG_POS_RATIO_FIELD_NUMBER: _ClassVar[int]
    NMS_PARAM_FIELD_NUMBER: _ClassVar[int]
    NONE: MultiBoxLossParameter.MiningType
    NUM_CLASSES_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    PER_PREDICTION: MultiBoxLossParameter.MatchType
    SAMPLE_SIZE_FIELD_NUMBER: _ClassVar[int]
    SHARE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    SMOOTH_L1: MultiBoxLossParameter.LocLossType
    SOFTMAX: MultiBoxLossParameter.ConfLossType
    USE_DIFFICULT_GT_FIELD_NUMBER: _ClassVar[int]
    USE_PRIOR_FOR_MATCHING_FIELD_NUMBER: _ClassVar[int]
    USE_PRIOR_FOR_NMS_FIELD_NUMBER: _ClassVar[int]
    background_label_id: int
    bp_inside: bool
    code_type: PriorBoxParameter.CodeType
    conf_loss_type: MultiBoxLossParameter.ConfLossType
    do_neg_mining: bool
    encode_variance_in_target: bool
    ignore_cross_boundary_bbox: bool
    loc_loss_type: MultiBoxLossParameter.LocLossType
    loc_weight: float
    map_object_to_agnostic: bool
    match_type: MultiBoxLossParameter.MatchType
    mining_type: MultiBoxLossParameter.MiningType
    neg_overlap: float
    neg_pos_ratio: float
    nms_param: NonMaximumSuppressionParameter
    num_classes: int
    overlap_threshold: float
    sample_size: int
    share_location: bool
    use_difficult_gt: bool
    use_prior_for_matching: bool
    use_prior_for_nms: bool
    def __init__(self, loc_loss_type: _Optional[_Union[MultiBoxLossParameter.LocLossType, str]] = ..., conf_loss_type: _Optional[_Union[MultiBoxLossParameter.ConfLossType, str]] = ..., loc_weight: _Optional[float] = ..., num_classes: _Optional[int] = ..., share_location: bool = ..., match_type: _Optional[_Union[MultiBoxLossParameter.MatchType, str]] = ..., overlap_threshold: _Optional[float] = ..., use_prior_for_matching: bool = ..., background_label_id: _Optional[int] = ..., use_difficult_gt: bool = ..., do_neg_mining: bool = ..., neg_pos_ratio: _Optional[float] = ..., neg_overlap: _Optional[float] = ..., code_type: _Optional[_Union[PriorBoxParameter.CodeType, str]] = ..., encode_variance_in_target: bool = ..., map_object_to_agnostic: bool = ..., ignore_cross_boundary_bbox: bool = ..., bp_inside: bool = ..., mining_type: _Optional[_Union[MultiBoxLossParameter.MiningType, str]] = ..., nms_param: _Optional[_Union[NonMaximumSuppressionParameter, _Mapping]] = ..., sample_size: _Optional[int] = ..., use_prior_for_nms: bool = ...) -> None: ...

class NmsParameter(_message.Message):
    __slots__ = ["max_peaks", "num_parts", "num_peak", "threshold"]
    MAX_PEAKS_FIELD_NUMBER: _ClassVar[int]
    NUM_PARTS_FIELD_NUMBER: _ClassVar[int]
    NUM_PEAK_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    max_peaks: int
    num_parts: int
    num_peak: int
    threshold: float
    def __init__(self, threshold: _Optional[float] = ..., num_peak: _Optional[int] = ..., max_peaks: _Optional[int] = ..., num_parts: _Optional[int] = ...) -> None: ...

class NonMaximumSuppressionParameter(_message.Message):
    __slots__ = ["eta", "nms_threshold", "top_k"]
    ETA_FIELD_NUMBER: _ClassVar[int]
    NMS_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    eta: float
    nms_threshold: float
    top_k: int
    def __init__(self, nms_threshold: _Optional[float] = ..., top_k: _Optional[int] = ..., eta: _Optional[float] = ...) -> None: ...

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

class NormalizedInnerProductParameter(_message.Message):
    __slots__ = ["axis", "num_output", "weight_filler"]
    AXIS_FIELD_NUMBER: _ClassVar[int]
    NUM_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FILLER_FIELD_NUMBER: _ClassVar[int]
    axis: int
    num_output: int
    weight_filler: _caffe_pb2.FillerParameter
    def __init__(self, num_output: _Optional[int] = ..., weight_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., axis: _Optional[int] = ...) -> None: ...

class PSROIPoolingParameter(_message.Message):
    __slots__ = ["group_size", "output_dim", "spatial_scale"]
    GROUP_SIZE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DIM_FIELD_NUMBER: _ClassVar[int]
    SPATIAL_SCALE_FIELD_NUMBER: _ClassVar[int]
    group_size: int
    output_dim: int
    spatial_scale: float
    def __init__(self, spatial_scale: _Optional[float] = ..., output_dim: _Optional[int] = ..., group_size: _Optional[int] = ...) -> None: ...

class PadParameter(_message.Message):
    __slots__ = ["pad", "padtype"]
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = []
    PADTYPE_FIELD_NUMBER: _ClassVar[int]
    PAD_FIELD_NUMBER: _ClassVar[int]
    REFLECT: PadParameter.Kind
    REPLICATE: PadParameter.Kind
    ZERO: PadParameter.Kind
    pad: int
    padtype: PadParameter.Kind
    def __init__(self, padtype: _Optional[_Union[PadParameter.Kind, str]] = ..., pad: _Optional[int] = ...) -> None: ...

class PoolingParameter(_message.Message):
    __slots__ = ["ceil_mode"]
    CEIL_MODE_FIELD_NUMBER: _ClassVar[int]
    ceil_mode: bool
    def __init__(self, ceil_mode: bool = ...) -> None: ...

class PriorBoxParameter(_message.Message):
    __slots__ = ["aspect_ratio", "clip", "flip", "img_h", "img_size", "img_w", "max_size", "min_size", "offset", "step", "step_h", "step_w", "variance"]
    class CodeType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = []
    ASPECT_RATIO_FIELD_NUMBER: _ClassVar[int]
    CENTER_SIZE: PriorBoxParameter.CodeType
    CLIP_FIELD_NUMBER: _ClassVar[int]
    CORNER: PriorBoxParameter.CodeType
    CORNER_SIZE: PriorBoxParameter.CodeType
    FLIP_FIELD_NUMBER: _ClassVar[int]
    IMG_H_FIELD_NUMBER: _ClassVar[int]
    IMG_SIZE_FIELD_NUMBER: _ClassVar[int]
    IMG_W_FIELD_NUMBER: _ClassVar[int]
    MAX_SIZE_FIELD_NUMBER: _ClassVar[int]
    MIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEP_H_FIELD_NUMBER: _ClassVar[int]
    STEP_W_FIELD_NUMBER: _ClassVar[int]
    VARIANCE_FIELD_NUMBER: _ClassVar[int]
    aspect_ratio: _containers.RepeatedScalarFieldContainer[float]
    clip: bool
    flip: bool
    img_h: int
    img_size: int
    img_w: int
    max_size: _containers.RepeatedScalarFieldContainer[float]
    min_size: _containers.RepeatedScalarFieldContainer[float]
    offset: float
    step: float
    step_h: float
    step_w: float
    variance: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, min_size: _Optional[_Iterable[float]] = ..., max_size: _Optional[_Iterable[float]] = ..., aspect_ratio: _Optional[_Iterable[float]] = ..., flip: bool = ..., clip: bool = ..., variance: _Optional[_Iterable[float]] = ..., img_size: _Optional[int] = ..., img_h: _Optional[int] = ..., img_w: _Optional[int] = ..., step: _Optional[float] = ..., step_h: _Optional[float] = ..., step_w: _Optional[float] = ..., offset: _Optional[float] = ...) -> None: ...

class ProposalParameter(_message.Message):
    __slots__ = ["base_size", "feat_stride", "min_size", "nms_thresh", "post_nms_topn", "pre_nms_topn", "ratio", "scale"]
    BASE_SIZE_FIELD_NUMBER: _ClassVar[int]
    FEAT_STRIDE_FIELD_NUMBER: _ClassVar[int]
    MIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    NMS_THRESH_FIELD_NUMBER: _ClassVar[int]
    POST_NMS_TOPN_FIELD_NUMBER: _ClassVar[int]
    PRE_NMS_TOPN_FIELD_NUMBER: _ClassVar[int]
    RATIO_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    base_size: int
    feat_stride: int
    min_size: int
    nms_thresh: float
    post_nms_topn: int
    pre_nms_topn: int
    ratio: _containers.RepeatedScalarFieldContainer[float]
    scale: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, feat_stride: _Optional[int] = ..., base_size: _Optional[int] = ..., min_size: _Optional[int] = ..., ratio: _Optional[_Iterable[float]] = ..., scale: _Optional[_Iterable[float]] = ..., pre_nms_topn: _Optional[int] = ..., post_nms_topn: _Optional[int] = ..., nms_thresh: _Optional[float] = ...) -> None: ...

class ROIPoolingParameter(_message.Message):
    __slots__ = ["pooled_h", "pooled_w", "spatial_scale"]
    POOLED_H_FIELD_NUMBER: _ClassVar[int]
    POOLED_W_FIELD_NUMBER: _ClassVar[int]
    SPATIAL_SCALE_FIELD_NUMBER: _ClassVar[int]
    pooled_h: int
    pooled_w: int
    spatial_scale: float
    def __init__(self, pooled_h: _Optional[int] = ..., pooled_w: _Optional[int] = ..., spatial_scale: _Optional[float] = ...) -> None: ...

class ReverseParameter(_message.Message):
    __slots__ = ["axis"]
    AXIS_FIELD_NUMBER: _ClassVar[int]
    axis: int
    def __init__(self, axis: _Optional[int] = ...) -> None: ...

class SaveOutputParameter(_message.Message):
    __slots__ = ["label_map_file", "name_size_file", "num_test_image", "output_directory", "output_format", "output_name_prefix"]
    LABEL_MAP_FILE_FIELD_NUMBER: _ClassVar[int]
    NAME_SIZE_FILE_FIELD_NUMBER: _ClassVar[int]
    NUM_TEST_IMAGE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_NAME_PREFIX_FIELD_NUMBER: _ClassVar[int]
    label_map_file: str
    name_size_file: str
    num_test_image: int
    output_directory: str
    output_format: str
    output_name_prefix: str
    def __init__(self, output_directory: _Optional[str] = ..., output_name_prefix: _Optional[str] = ..., output_format: _Optional[str] = ..., label_map_file: _Optional[str] = ..., name_size_file: _Optional[str] = ..., num_test_image: _Optional[int] = ...) -> None: ...

class ShuffleChannelParameter(_message.Message):
    __slots__ = ["group"]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: int
    def __init__(self, group: _Optional[int] = ...) -> None: ...

class SmoothL1LossParameter(_message.Message):
    __slots__ = ["sigma"]
    SIGMA_FIELD_NUMBER: _ClassVar[int]
    sigma: float
    def __init__(self, sigma: _Optional[float] = ...) -> None: ...

class SpatialTransformerParameter(_message.Message):
    __slots__ = ["output_H", "output_W", "sampler_type", "theta_1_1", "theta_1_2", "theta_1_3", "theta_2_1", "theta_2_2", "theta_2_3", "to_compute_dU", "transform_type"]
    OUTPUT_H_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_W_FIELD_NUMBER: _ClassVar[int]
    SAMPLER_TYPE_FIELD_NUMBER: _ClassVar[int]
    THETA_1_1_FIELD_NUMBER: _ClassVar[int]
    THETA_1_2_FIELD_NUMBER: _ClassVar[int]
    THETA_1_3_FIELD_NUMBER: _ClassVar[int]
    THETA_2_1_FIELD_NUMBER: _ClassVar[int]
    THETA_2_2_FIELD_NUMBER: _ClassVar[int]
    THETA_2_3_FIELD_NUMBER: _ClassVar[int]
    TO_COMPUTE_DU_FIELD_NUMBER: _ClassVar[int]
    TRANSFORM_TYPE_FIELD_NUMBER: _ClassVar[int]
    output_H: int
    output_W: int
    sampler_type: str
    theta_1_1: float
    theta_1_2: float
    theta_1_3: float
    theta_2_1: float
    theta_2_2: float
    theta_2_3: float
    to_compute_dU: bool
    transform_type: str
    def __init__(self, transform_type: _Optional[str] = ..., sampler_type: _Optional[str] = ..., output_H: _Optional[int] = ..., output_W: _Optional[int] = ..., to_compute_dU: bool = ..., theta_1_1: _Optional[float] = ..., theta_1_2: _Optional[float] = ..., theta_1_3: _Optional[float] = ..., theta_2_1: _Optional[float] = ..., theta_2_2: _Optional[float] = ..., theta_2_3: _Optional[float] = ...) -> None: ...

class TransposeParameter(_message.Message):
    __slots__ = ["dim"]
    DIM_FIELD_NUMBER: _ClassVar[int]
    dim: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, dim: _Optional[_Iterable[int]] = ...) -> None: ...

class TripletLossParameter(_message.Message):
    __slots__ = ["margin"]
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    margin: float
    def __init__(self, margin: _Optional[float] = ...) -> None: ...

class UpsampleParameter(_message.Message):
    __slots__ = ["pad_out_h", "pad_out_w", "scale", "scale_h", "scale_w", "upsample_h", "upsample_w"]
    PAD_OUT_H_FIELD_NUMBER: _ClassVar[int]
    PAD_OUT_W_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    SCALE_H_FIELD_NUMBER: _ClassVar[int]
    SCALE_W_FIELD_NUMBER: _ClassVar[int]
    UPSAMPLE_H_FIELD_NUMBER: _ClassVar[int]
    UPSAMPLE_W_FIELD_NUMBER: _ClassVar[int]
    pad_out_h: bool
    pad_out_w: bool
    scale: int
    scale_h: int
    scale_w: int
    upsample_h: int
    upsample_w: int
    def __init__(self, scale: _Optional[int] = ..., scale_h: _Optional[int] = ..., scale_w: _Optional[int] = ..., pad_out_h: bool = ..., pad_out_w: bool = ..., upsample_h: _Optional[int] = ..., upsample_w: _Optional[int] = ...) -> None: ...

class WarpCTCParameter(_message.Message):
    __slots__ = ["alphabet_size", "blank_label_index", "input_length", "label_length"]
    ALPHABET_SIZE_FIELD_NUMBER: _ClassVar[int]
    BLANK_LABEL_INDEX_FIELD_NUMBER: _ClassVar[int]
    INPUT_LENGTH_FIELD_NUMBER: _ClassVar[int]
    LABEL_LENGTH_FIELD_NUMBER: _ClassVar[int]
    alphabet_size: int
    blank_label_index: int
    input_length: int
    label_length: int
    def __init__(self, alphabet_size: _Optional[int] = ..., label_length: _Optional[int] = ..., input_length: _Optional[int] = ..., blank_label_index: _Optional[int] = ...) -> None: ...
