import os

import torch

# Without a GPU, Triton's interpreter runs the CUDA kernels on the CPU; it must be asked for before they are imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

os.environ["COLUMNS"] = "400"  # commands break long lines where a terminal ends, paths among them
