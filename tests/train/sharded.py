"""``training.py`` with sharded weights: ``torchrun sharded.py OUT …``.

accelerate shards on accelerators only; so it is told that these processes have some.
"""

import os

from accelerate.state import PartialState
from accelerate.utils import DistributedType

from tests.train.training import main

if __name__ == "__main__":
    os.environ |= {
        "ACCELERATE_USE_FSDP": "true",
        "FSDP_VERSION": "2",
        "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    }
    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_XPU
    main()
