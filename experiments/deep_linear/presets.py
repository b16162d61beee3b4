"""The presets of deep linear networks in stages."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="3-3-3-3 networks, 200 seeds: 10 seconds on two cores.",
        flags={"seed": "0:200"},
        expects={"rank": (3, 3), "learning_coefficient": (4.4, 4.6)},
    ),
    "debug": Preset(
        help="3 seeds, 3000 steps: a few seconds.",
        flags={"seed": "0:3", "steps": "3000"},
        expects={"rank": (2, 3), "learning_coefficient": (4, 4.5)},
    ),
    "scales": Preset(
        help="Initial weights of deviation 0.01 to 1: 500 runs of 100k steps, half a minute. Small ones wait longer.",
        flags={"deviation": "0.01,0.03,0.1,0.3,1", "seed": "0:100", "steps": "100000"},
    ),
    "depth": Preset(
        help="2, 3 and 4 matrices: 600 runs of 100k steps, half a minute on two cores. Deep networks wait longer.",
        flags={"depth": "2,3,4", "seed": "0:200", "steps": "100000"},
    ),
    "samples": Preset(
        help="10, 30 and 100 noisy examples: 300 runs, half a minute. With few of them the noise has its own stages.",
        flags={"data": "gaussian", "samples": "10,30,100", "noise": "0.5", "seed": "0:100"},
    ),
}
