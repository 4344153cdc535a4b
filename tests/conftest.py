"""What all tests share: where compiled code is kept, and data sets on disk."""

import os
import tempfile

import torch

# Without a GPU, Triton's interpreter runs the CUDA kernels on the CPU; it must be asked for before they are imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

# What the compiler kept for other vector instructions (ATEN_CPU_CAPABILITY) would crash a process.
kept = f"torchinductor-{torch.backends.cpu.get_cpu_capability()}"
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", os.path.join(tempfile.gettempdir(), kept))

os.environ["COLUMNS"] = "400"  # commands break long lines where a terminal ends, paths among them

pytest_plugins = ["tests.data.written_coco", "tests.data.written_folders", "tests.data.written_scenes"]
