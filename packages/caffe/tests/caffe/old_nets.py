"""Small nets with every layer type of the old formats V0 and V1."""

from caffe import upgrade_v0, upgrade_v1

V0_NETS = {
    "padding": """
name: "padded" input: "x" input_dim: [1, 2, 6, 6]
layers { layer { name: "p1" type: "padding" pad: 2 } bottom: "x" top: "p1" }
layers {
  layer {
    name: "c1" type: "conv" num_output: 3 kernelsize: 3 stride: 2 group: 1 biasterm: false
    weight_filler { type: "xavier" } blobs_lr: 1 weight_decay: 0.5
  }
  bottom: "p1" top: "c1"
}
layers { layer { name: "r1" type: "relu" } bottom: "c1" top: "c1" }
layers { layer { name: "p2" type: "padding" pad: 1 } bottom: "c1" top: "p2" }
layers {
  layer { name: "m1" type: "pool" pool: AVE kernelsize: 3 stride: 2 } bottom: "p2" top: "m1" }
layers {
  layer {
    name: "ip" type: "innerproduct" num_output: 4 bias_filler { value: 0.5 } blobs_lr: 1
    blobs_lr: 2 weight_decay: 1 weight_decay: 0
  }
  bottom: "m1" top: "ip"
}
layers { layer { name: "s" type: "softmax" } bottom: "ip" top: "s" }
""",
    "padding, pad in the layer": """
input: "x" input_dim: [1, 2, 6, 6] force_backward: true
layers {
  layer { name: "c1" type: "conv" num_output: 3 kernelsize: 3 pad: 1 } bottom: "x" top: "c1" }
layers { layer { name: "m1" type: "pool" pool: MAX kernelsize: 3 pad: 1 } bottom: "c1" top: "m1" }
layers {
  layer { name: "n" type: "lrn" local_size: 3 alpha: 2 beta: 0.5 k: 3 } bottom: "m1" top: "n" }
layers { layer { name: "d" type: "dropout" dropout_ratio: 0.25 } bottom: "n" top: "d" }
layers { layer { name: "f" type: "flatten" } bottom: "d" top: "f" }
layers { layer { name: "i" type: "im2col" } bottom: "d" top: "i" }
layers { layer { name: "q" type: "concat" concat_dim: 0 } bottom: "n" bottom: "d" top: "q" }
""",
    "data": """
layers { layer {
  name: "a" type: "data" source: "db" scale: 0.5 meanfile: "m" batchsize: 3 cropsize: 2
  mirror: true rand_skip: 4 } top: "a" top: "b" }
layers { layer {
  name: "i" type: "images" source: "list" batchsize: 2 shuffle_images: true new_height: 4
  new_width: 5 rand_skip: 1 } top: "c" }
layers { layer {
  name: "w" type: "window_data" source: "list" batchsize: 2 det_fg_threshold: 0.25
  det_bg_threshold: 0.75 det_fg_fraction: 0.5 det_context_pad: 3 det_crop_mode: "square" }
  top: "d" }
layers { layer { name: "h" type: "hdf5_data" source: "list" batchsize: 2 } top: "e" }
layers { layer { name: "g" type: "infogain_loss" source: "H" } bottom: "a" bottom: "b" top: "l" }
layers { layer { name: "o" type: "hdf5_output" hdf5_output_param { file_name: "f" } } bottom: "a" }
""",
    "every type": "".join(
        f'layers {{ layer {{ name: "{kind}" type: "{kind}" }} top: "{kind}" }}\n'
        for kind in upgrade_v0.TYPES
    ),
}

_SETTINGS = {
    "ACCURACY": "accuracy_param { top_k: 2 }",
    "ARGMAX": "argmax_param { top_k: 2 }",
    "CONCAT": "concat_param { concat_dim: 2 }",
    "CONTRASTIVE_LOSS": "contrastive_loss_param { margin: 2 }",
    "CONVOLUTION": "convolution_param { num_output: 2 kernel_size: 3 } blobs_lr: 1 blobs_lr: 2 "
    'weight_decay: 1 weight_decay: 0 param: "w" param: "b" blob_share_mode: PERMISSIVE',
    "DATA": 'data_param { source: "s" scale: 2 mean_file: "m" crop_size: 2 mirror: true }',
    "DROPOUT": "dropout_param { dropout_ratio: 0.25 }",
    "DUMMY_DATA": "dummy_data_param { num: 1 channels: 2 height: 3 width: 4 }",
    "ELTWISE": "eltwise_param { operation: PROD }",
    "EUCLIDEAN_LOSS": "loss_weight: 0.5",
    "EXP": "exp_param { base: 2 }",
    "HDF5_DATA": 'hdf5_data_param { source: "s" }',
    "HDF5_OUTPUT": 'hdf5_output_param { file_name: "s" }',
    "HINGE_LOSS": "hinge_loss_param { norm: L2 }",
    "IMAGE_DATA": 'image_data_param { source: "s" mean_file: "m" scale: 2 }',
    "INFOGAIN_LOSS": 'infogain_loss_param { source: "s" }',
    "INNER_PRODUCT": 'inner_product_param { num_output: 2 } param: "w" blob_share_mode: STRICT',
    "LRN": "lrn_param { local_size: 3 }",
    "MEMORY_DATA": "memory_data_param { batch_size: 2 }",
    "MVN": "mvn_param { across_channels: true }",
    "POOLING": "pooling_param { pool: AVE kernel_size: 2 }",
    "POWER": "power_param { power: 2 }",
    "RELU": "relu_param { negative_slope: 0.5 }",
    "SIGMOID": "sigmoid_param { engine: CAFFE }",
    "SLICE": "slice_param { slice_dim: 1 slice_point: 2 }",
    "SOFTMAX": "softmax_param { engine: CAFFE }",
    "SOFTMAX_LOSS": "loss_param { ignore_label: 2 } include { phase: TRAIN }",
    "TANH": "tanh_param { engine: CAFFE } exclude { stage: 'x' }",
    "THRESHOLD": "threshold_param { threshold: 2 }",
    "WINDOW_DATA": 'window_data_param { source: "s" crop_size: 2 mirror: false }',
}
V1_NETS = {
    "v1: every type": 'name: "v1"\n'
    + "".join(
        f'layers {{ name: "{kind}" type: {kind} bottom: "x" top: "{kind}" '
        f"{_SETTINGS.get(kind, '')} }}\n"
        for kind in upgrade_v1.TYPES
    ),
    "v1: without a type": 'layers { name: "a" bottom: "x" }',
    "v1: with values": 'layers { name: "a" type: INNER_PRODUCT '
    "blobs { num: 1 channels: 1 height: 1 width: 2 data: 1 data: 2 } }",
}
