"""The presets of silent alignment: the quick default, what breaks it, modes, digits."""

from phenom_jax.experiment import Preset

RELU = {"model": "relu", "learning_rate": "0.05", "steps": "10000"}
PRESETS = {
    "": Preset(
        help="Depths 2, 3, 4 on 30 whitened inputs, 4 init scales each, 10 seeds: 120 runs, about a minute on two "
        "cores. From small weights the kernel has aligned when the loss begins to fall, from 0.3 about half.",
        flags={
            "depth": "2,2,2,2,3,3,3,3,4,4,4,4",
            "init_scale": "0.3,0.1,0.01,0.001,0.3,0.1,0.03,0.01,0.3,0.1,0.05,0.03",
            "zip": "depth,init_scale",
            "learning_rate": "0.02",
            "seed": "0:10",
            "steps": "60000",
        },
    ),
    "debug": Preset(
        help="Small networks of depth 2, 2 init scales, 2 seeds: 4 runs, a few seconds, to see that it works.",
        flags={"init_scale": "0.01,0.1", "inputs": "5", "width": "8", "seed": "0:2", "steps": "1500"},
        expects={"half_time": (2.6, 4), "silent_alignment": (0.9, 1)},
    ),
    "large_init": Preset(
        help="Depths 2 and 3, 9 init scales from 0.01 to 1: 180 runs, a minute. Less is aligned when learning begins.",
        flags={"depth": "2,3", "init_scale": "log:0.01:1:9", "learning_rate": "0.02", "seed": "0:10", "steps": "20000"},
    ),
    "unwhitened": Preset(
        help="Input variances falling as i^-α, α up to 1.5: 80 runs, a minute. Outputs turn while they grow.",
        flags={"depth": "2,3", "spectrum": "0,0.5,1,1.5", "seed": "0:10"},
    ),
    "modes": Preset(
        help="Two layers, a teacher of singular values 3, 1.5, 0.75, from Gaussian and from balanced weights, 10 "
        "seeds: 60 runs, less than a minute on two cores. Each mode keeps Saxe's time.",
        flags={
            "modes": "3",
            "strength": "3",
            "init_scale": "0.1,0.01,0.001",
            "start": "gaussian,balanced",
            "learning_rate": "0.005",
            "seed": "0:10",
            "steps": "4000",
        },
    ),
    "balanced": Preset(
        help="Depths 2, 3, 4 from balanced weights, which no seed changes: 9 runs, less than a minute on two cores. "
        "They keep the exact times of gradient flow.",
        flags={"depth": "2,3,4", "start": "balanced", "init_scale": "0.2,0.1,0.05", "steps": "60000"},
    ),
    "digits": Preset(
        help="Two-layer ReLU networks on scikit-learn's zeros and ones, 6 init scales, 10 seeds: 60 runs, a minute and "
        "a half on two cores. From small weights they end as regression with their final kernel.",
        flags=RELU | {"width": "100", "init_scale": "0.01,0.03,0.1,0.3,1,2", "seed": "0:10"},
    ),
    "paper": Preset(
        help="Two-layer ReLU networks of 500 units on 793 zeros and ones of MNIST, 50 whitened components, 2 init "
        "scales, 8 seeds: 16 runs, three minutes on two cores. The same as of digits.",
        flags=RELU | {"digits": "mnist5000", "inputs": "50", "width": "500", "init_scale": "0.01,2", "seed": "0:8"},
    ),
}
