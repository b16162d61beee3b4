"""The presets of deep linear networks in stages."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="3-3-3-3 networks that learn a teacher with singular values 3, 1.5, 0.7 from weights of deviation 0.05: "
        "200 seeds, 10 seconds on two cores. Run to its end: 193 learn the three in their order, at median steps 240, "
        "740 and 2920, and the next is near 1 % when half of one is learnt.",
        flags={"seed": "0:200"},
    ),
    "scales": Preset(
        help="Initial weights of deviation 0.01 to 1: 5 x 100 seeds, 100k steps, half a minute on two cores. Run to "
        "its end: from 0.01 all learn in order, at median steps 1200, 3940 and 16000.",
        flags={"deviation": "0.01,0.03,0.1,0.3,1", "seed": "0:100", "steps": "100000"},
    ),
    "depth": Preset(
        help="2, 3 and 4 matrices: 3 x 200 seeds, 100k steps, half a minute on two cores. Run to its end: 588 of 593 "
        "learn in order.",
        flags={"depth": "2,3,4", "seed": "0:200", "steps": "100000"},
    ),
    "samples": Preset(
        help="10, 30 and 100 noisy examples in place of the expected loss: 3 x 100 seeds, about a minute on two cores. "
        "Run to its end: 241 of 296 learn in order, so that this claim fails; with few examples the noise has its own "
        "stages.",
        flags={"data": "gaussian", "samples": "10,30,100", "noise": "0.5", "seed": "0:100"},
    ),
}
