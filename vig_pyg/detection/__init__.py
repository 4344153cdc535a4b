"""Object detection and instance segmentation on graph backbones."""
