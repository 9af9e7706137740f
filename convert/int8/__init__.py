"""Float -> int8: what a model's tensors hold on real pictures, and the numbers that follow from it.

calibration   images or a video -> the agent's own letterbox -> a histogram per activation tensor
domain        whether pictures are fit to calibrate on: too few, alike, grey, unreadable, of another world
ranges        histograms -> a handful of candidate ranges; ranges <-> JSON, so that a rebuild needs no images
quantize      float TFLite + ranges -> int8 TFLite, some operators left in float where asked
equalise      channels of very different size brought to one, before SiLU
"""
