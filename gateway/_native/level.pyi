import numpy as np
from numpy.typing import NDArray

SILENCE_DB: float

def frame_level_db(pcm: NDArray[np.int16]) -> float: ...
def frame_levels_db(frames: NDArray[np.int16]) -> NDArray[np.float32]: ...
