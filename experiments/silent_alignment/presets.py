"""The presets of silent alignment: the quick default, what breaks it, modes, digits."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="Depths 2, 3, 4 on 30 whitened inputs, 4 init scales each, 10 seeds.",
        flags={
            "depth": "2,2,2,2,3,3,3,3,4,4,4,4",
            "init_scale": "0.3,0.1,0.01,0.001,0.3,0.1,0.03,0.01,0.3,0.1,0.05,0.03",
            "zip": "depth,init_scale",
            "learning_rate": "0.02",
            "seed": "0:10",
            "steps": "60000",
        },
    ),
    "large_init": Preset(
        help="Depths 2 and 3 over 9 init scales from 0.01 to 1, 10 seeds.",
        flags={"depth": "2,3", "init_scale": "log:0.01:1:9", "learning_rate": "0.02", "seed": "0:10", "steps": "20000"},
    ),
    "unwhitened": Preset(
        help="Depths 2 and 3, input variances falling as i^-α with α 0, 0.5, 1, 1.5, 10 seeds.",
        flags={
            "depth": "2,3",
            "init_scale": "0.01",
            "spectrum": "0,0.5,1,1.5",
            "learning_rate": "0.01",
            "seed": "0:10",
            "steps": "40000",
        },
    ),
    "modes": Preset(
        help="Two layers, a teacher of singular values 3, 1.5, 0.75, from Gaussian and from balanced weights, 10 "
        "seeds.",
        flags={
            "modes": "3",
            "strength": "3",
            "init_scale": "0.1,0.01,0.001",
            "start": "gaussian,balanced",
            "learning_rate": "0.005",
            "seed": "0:10",
            "steps": "4000",
            "retire_done": "false",
        },
    ),
    "balanced": Preset(
        help="Depths 2, 3, 4 from balanced weights, one run each: they start without chance.",
        flags={"depth": "2,3,4", "start": "balanced", "init_scale": "0.2,0.1,0.05", "steps": "60000"},
    ),
    "digits": Preset(
        help="Two-layer ReLU networks on scikit-learn's zeros and ones, 30 whitened components, 6 init scales, 10 "
        "seeds.",
        flags={
            "model": "relu",
            "width": "100",
            "init_scale": "0.01,0.03,0.1,0.3,1,2",
            "learning_rate": "0.05",
            "seed": "0:10",
            "steps": "10000",
        },
    ),
    "paper": Preset(
        help="Two-layer ReLU networks on the zeros and ones of MNIST, 50 whitened components, 2 init scales, 5 seeds.",
        flags={
            "model": "relu",
            "digits": "mnist5000",
            "inputs": "50",
            "width": "500",
            "init_scale": "0.01,2",
            "learning_rate": "0.05",
            "seed": "0:5",
            "steps": "10000",
        },
    ),
}
