"""Make Arrow values from Python's by ways that do not import pandas, which costs a short run most.

``pa.array`` and ``pa.scalar`` look for pandas at their first call; these build on buffers.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def int_array(values: np.ndarray) -> pa.Array:
    """Return an int64 array over the memory of ``values``."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def text_scalar(text: str) -> pa.Scalar:
    """Return ``text`` as a string scalar."""
    content = text.encode("utf-8")
    offsets = np.array([0, len(content)], dtype=np.int32)
    return pa.StringArray.from_buffers(1, pa.py_buffer(offsets), pa.py_buffer(content))[0]
