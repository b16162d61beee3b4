"""The presets of grokking: the quick default, and the settings of the course and the papers."""

from phenom_jax.experiment import Preset

RECIPE = {"learning_rate": "1e-3", "warmup": "10"}
NANDA = {**RECIPE, "model": "nanda", "weight_decay": "0,1"}
POWER = {**RECIPE, "model": "power", "modulus": "97", "width": "512", "batching": "minibatch", "seed": "0:3"}
POWER |= {"steps": "50000"}
PRESETS = {
    "": Preset(
        help="Addition mod 53, one hidden layer: 10 seeds x weight decay 0, 0.1, 0.3, 1, 3 x width 48, 128, one to "
        "three minutes on two cores. Without decay none generalises; with it the wide ones do, the sooner the larger "
        "the decay, up to a decay of 3, which keeps most from it.",
        flags={"modulus": "53", "learning_rate": "5e-2", "seed": "0:10", "steps": "3000"}
        | {"weight_decay": "0,0.1,0.3,1,3", "width": "48,128"},
    ),
    "debug": Preset(
        help="4 runs of 200 steps, addition mod 13, some seconds: whether everything runs.",
        flags={"modulus": "13", "width": "32", "seed": "0:2", "weight_decay": "0,1", "steps": "200"},
        expects={"memorisation_step": (50, 110), "train_accuracy": (0.99, 1.01), "test_accuracy": (0, 0.05)},
    ),
    "delay_law": Preset(
        help="The delay against step size and weight decay: quadratic units, addition mod 59, 10 seeds, three step "
        "sizes and three weight decays over a factor of ten each, about two minutes on two cores. All generalise, "
        "the more slowly the smaller either is.",
        flags={"activation": "quadratic", "seed": "0:10", "steps": "10000"}
        | {"learning_rate": "3e-3,1e-2,3e-2", "weight_decay": "0.1,0.3,1"},
    ),
    "transformer": Preset(
        help="Nanda's transformer made quick: addition mod 59, half the pairs, 256 hidden units, 10 seeds with and "
        "without decay, three minutes on two cores. With decay it generalises within some hundred steps.",
        flags=NANDA
        | {"width": "256", "learning_rate": "3e-3", "seed": "0:10", "steps": "1500", "retire_done": "false"},
    ),
    "course": Preset(
        help="The course's two models, addition mod 97, step size 1e-3: one-hot 128-128 and embedding 128 -> 256, "
        "weight decay 1, 8 seeds, about five minutes on two cores: they generalise near step 2200 while the weight "
        "norm falls. Without decay (--weight_decay=0 --steps=20000) none did.",
        flags={"model": "mlp,embedding_mlp", "hidden_layers": "2,1", "width": "128,256"}
        | {"zip": "model,hidden_layers,width", "biases": "true", "modulus": "97", "learning_rate": "1e-3"}
        | {"second_momentum": "0.999", "seed": "0:8", "steps": "4000"},
    ),
    "nanda": Preset(
        help="Nanda et al. 2023: one-layer transformer, addition mod 113, 30 % of pairs, 8 seeds with and without "
        "decay, 40k steps. Published: generalisation at 5k-14k steps. Not run whole; seeds 0 and 1 with decay took 4 "
        "minutes on two cores: memorisation at step 140, generalisation at 6430 and 3670.",
        flags=NANDA | {"modulus": "113", "train_fraction": "0.3", "width": "512", "seed": "0:8", "steps": "40000"},
    ),
    "power": Preset(
        help="Power et al. 2022: two-layer decoder, minibatches of 512, four operations mod 97 and the product in S5, "
        "3 seeds, 50k steps. Expected: all but the negative control x^3+xy^2+y generalise. Not run to its end yet.",
        flags=POWER | {"operation": "add,divide,x^2+y^2,s5_xy,x^3+xy^2+y"},
    ),
    "grokfast": Preset(
        help="Lee et al. 2024: x*y mod 97, two-layer decoder, Adam with decay 0.005, with and without Grokfast, "
        "3 seeds, 50k steps. Published: 43.8 times fewer steps. Not run to its end yet.",
        flags=POWER
        | {"operation": "multiply", "optimizer": "adam", "gradient_filter": "none,grokfast", "weight_decay": "0.005"},
    ),
}
