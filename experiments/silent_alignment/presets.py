"""The presets of silent alignment: the quick default, what breaks it, modes, digits."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="Depths 2, 3, 4 on 30 whitened inputs, 4 init scales each, 10 seeds: about a minute on two cores. Run to "
        "its end: at the smallest scales the alignment is 0.348, 0.486 and 0.593 when 10 % of the loss is gone "
        "(largest 0.348, 0.487, 0.596), at 0.3 about half of that. Depth 2 loses half of the loss at time 2.2, 4.6, "
        "6.9 for σ = 0.1, 0.01, 0.001 and has aligned at 1.5; depths 3 and 4 take 1.15/σ and 0.62/σ².",
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
        help="Depths 2 and 3 over 9 init scales from 0.01 to 1, 10 seeds: about a minute on two cores. Run to its "
        "end: the share of the largest alignment that is there when 10 % of the loss is gone falls from 1.00 at 0.01 "
        "to 0.47 and 0.29 at 1.",
        flags={"depth": "2,3", "init_scale": "log:0.01:1:9", "learning_rate": "0.02", "seed": "0:10", "steps": "20000"},
    ),
    "unwhitened": Preset(
        help="Depths 2 and 3, input variances falling as i^-α with α 0, 0.5, 1, 1.5, 10 seeds: about a minute on two "
        "cores. Run to its end: at α = 1.5 outputs have cosine 0.78 with the labels when learning begins, and turn to "
        "them as it goes on. The kernel turns little: its cosine with the final one is 0.98 and 0.96, whitened 1.00.",
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
        "seeds: less than a minute on two cores. Run to its end: every mode is half learnt within 1 % of the time on "
        "Saxe's curve.",
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
        help="Depths 2, 3, 4 from balanced weights, one run each since they start without chance: less than a minute "
        "on two cores. Run to its end: within 1 % of the exact times of gradient flow.",
        flags={"depth": "2,3,4", "start": "balanced", "init_scale": "0.2,0.1,0.05", "steps": "60000"},
    ),
    "digits": Preset(
        help="Two-layer ReLU networks on scikit-learn's zeros and ones, 30 whitened components, 6 init scales, 10 "
        "seeds: a minute and a half on two cores. Run to its end: from σ = 0.01 test outputs are 2.9 % off regression "
        "with the final kernel and 20 % off that with the initial one; from 2 it is 21 % and 15 %.",
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
        help="Two-layer ReLU networks of 500 units on 793 zeros and ones of MNIST, 50 whitened components, 2 init "
        "scales, 5 seeds: three minutes of processor time. Run to its end: from σ = 0.01 test outputs are 2.8 % off "
        "regression with the final kernel and 11 % off that with the initial one; from 2 it is 7.3 % and 6.2 %.",
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
