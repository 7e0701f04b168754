"""Convolutions: Convolution, Deconvolution, Im2col."""
