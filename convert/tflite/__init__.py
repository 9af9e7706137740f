"""What is inside a .tflite, and whether it will run.

graph         operators, tensors, scales, float islands
finalise      the tools' leavings mended: inline buffers, static shapes, operator versions, contract names
edgetpu_rules  the operators that the Edge TPU takes, with their limits
edgetpu       where the Edge TPU would stop in a model, and why; its compiler, where there is one
inspection    what a .tflite is, for a reader and as JSON
runtimes      the finished model in every TFLite runtime that can be found
"""
