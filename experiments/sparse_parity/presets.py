"""The presets of sparse parity."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="",
        flags={"inputs": "20,30,40,50,60", "degree": "2,3,4", "seed": "0:32", "steps": "20000"},
    ),
}
