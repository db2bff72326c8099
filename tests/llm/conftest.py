"""Generated inputs are never timed: the machine is shared, and speed has its own benchmarks."""

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
