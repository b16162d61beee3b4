"""The presets of grokking: the quick default, and the settings of the course and the papers."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="Addition mod 59, one hidden layer: 3 seeds x weight decay 0, 0.1, 0.3, 1 x width 32, 128, 256, one to "
        "two minutes on two cores. Run to its end: width 256 generalises at every positive decay (1 at step 600, 0.3 "
        "at 1300, 0.1 at 4000), width 128 at 1 and 0.3, width 32 in one run of nine; without, none does.",
        flags={"seed": "0:3", "weight_decay": "0,0.1,0.3,1", "width": "32,128,256", "steps": "5000"},
    ),
    "delay_law": Preset(
        help="Delay against lr x weight decay: quadratic activation, 4 seeds, two step sizes, three weight decays, "
        "half a minute on two cores. Run to its end: all 24 runs generalise, the delay falls as (lr wd)^-0.76, more "
        "slowly than the law's -1.",
        flags={
            "activation": "quadratic",
            "seed": "0:4",
            "learning_rate": "3e-3,1e-2",
            "weight_decay": "0.1,0.3,1",
            "steps": "10000",
        },
    ),
    "transformer": Preset(
        help="Nanda's transformer made quick: addition mod 59, half the pairs, 256 hidden units, 3 seeds with and "
        "without decay, one minute on two cores. Run to its end: with decay it generalises by step 650 while the "
        "weight norm falls to a third; without, test accuracy stays below 41 %.",
        flags={
            "model": "nanda",
            "width": "256",
            "learning_rate": "3e-3",
            "warmup": "10",
            "weight_decay": "0,1",
            "seed": "0:3",
            "steps": "1500",
            "retire_done": "false",
        },
    ),
    "course": Preset(
        help="The course's two models, addition mod 97, step size 1e-3: one-hot 128-128 and embedding 128 -> 256, with "
        "and without weight decay, 3 seeds. Run to its end in 11 minutes on two cores: with decay all six generalise "
        "near step 2240 while the weight norm halves; without none does in 20k steps.",
        flags={
            "model": "mlp,embedding_mlp",
            "hidden_layers": "2,1",
            "width": "128,256",
            "zip": "model,hidden_layers,width",
            "biases": "true",
            "modulus": "97",
            "learning_rate": "1e-3",
            "second_momentum": "0.999",
            "weight_decay": "0,1",
            "seed": "0:3",
            "steps": "20000",
        },
    ),
    "nanda": Preset(
        help="Nanda et al. 2023: one-layer transformer, addition mod 113, 30 % of pairs, 4 seeds with and without "
        "decay, 40k steps. Published: generalisation at 5k-14k steps. Not run whole; seeds 0 and 1 with decay took 4 "
        "minutes on two cores: memorisation at step 140, generalisation at 6430 and 3670.",
        flags={
            "model": "nanda",
            "modulus": "113",
            "train_fraction": "0.3",
            "width": "512",
            "learning_rate": "1e-3",
            "weight_decay": "0,1",
            "warmup": "10",
            "seed": "0:4",
            "steps": "40000",
        },
    ),
    "power": Preset(
        help="Power et al. 2022: two-layer decoder, minibatches of 512, four operations mod 97 and the product in S5, "
        "3 seeds, 50k steps. Expected: all but the negative control x^3+xy^2+y generalise. Not run to its end yet.",
        flags={
            "model": "power",
            "operation": "add,divide,x^2+y^2,s5_xy,x^3+xy^2+y",
            "modulus": "97",
            "width": "512",
            "batching": "minibatch",
            "learning_rate": "1e-3",
            "warmup": "10",
            "seed": "0:3",
            "steps": "50000",
        },
    ),
    "grokfast": Preset(
        help="Lee et al. 2024: x*y mod 97, two-layer decoder, Adam with decay 0.005, with and without Grokfast, "
        "3 seeds, 50k steps. Published: 43.8 times fewer steps. Not run to its end yet.",
        flags={
            "model": "power",
            "operation": "multiply",
            "modulus": "97",
            "width": "512",
            "batching": "minibatch",
            "optimizer": "adam",
            "gradient_filter": "none,grokfast",
            "learning_rate": "1e-3",
            "weight_decay": "0.005",
            "warmup": "10",
            "seed": "0:3",
            "steps": "50000",
        },
    ),
}
