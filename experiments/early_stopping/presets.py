"""The presets of early stopping: the quick default beside its closed form, and what changes it."""

from phenom_jax.experiment import Preset

MANY = {"features": "16", "samples": "160"}
FEW_AND_MANY = {"features": "1,16", "samples": "10,160", "zip": "features,samples"}
NOISES = {"noise": "0.5,1,1.5"}
PRESETS = {
    "": Preset(
        help="The two-scale linear model of Heckel and Yilmaz: 400 seeds x noise 0.5, 1, 1.5 x 1 and 16 features per "
        "scale (10 and 160 samples), 2400 runs, half a minute on two cores. At noise 1 the mean risk is lowest near "
        "step 12, rises, and is lower near 500; with 16 features single runs look more like it than with 1.",
        flags={**FEW_AND_MANY, **NOISES, "seed": "0:400"},
        expects={"best_step": (450, 750), "best_risk": (0.1, 0.13)},
    ),
    "debug": Preset(
        help="Noise 0.5 and 1 with 4 features per scale, 40 samples, 8 seeds, 16 runs, ten seconds.",
        flags={"features": "4", "samples": "40", "noise": "0.5,1", "seed": "0:8", "validation": "100"},
        expects={"best_step": (1500, 3000), "best_risk": (0.05, 0.075)},
    ),
    "aligned": Preset(
        help="Equal step sizes beside those that let both scales be lowest at the same step: 200 seeds x 3 noises, "
        "1200 runs, half a minute on two cores. One minimum in place of two, and a lower one.",
        flags={**MANY, **NOISES, "step_sizes": "equal,aligned", "seed": "0:200"},
    ),
    "noise": Preset(
        help="When to stop as the noise grows: 17 noises x equal and aligned step sizes x 100 seeds, 3400 runs, less "
        "than a minute on two cores. With little noise the second minimum is the lower one, with much the first.",
        flags={**MANY, "step_sizes": "equal,aligned", "noise": "log:0.25:4:17", "seed": "0:100"},
    ),
    "three_scales": Preset(
        help="Three scales, 400 seeds, 100k steps, a minute on two cores. In closed form three minima, near steps 13, "
        "530 and 25k, each lower than the one before.",
        flags={**MANY, "scales": "three", "seed": "0:400", "steps": "100000"},
    ),
    "gaussian": Preset(
        help="The default with Gaussian inputs, for which the closed form is approximate: 2400 runs, less than a "
        "minute on two cores.",
        flags={**FEW_AND_MANY, **NOISES, "inputs": "gaussian", "seed": "0:400"},
    ),
    "ridge": Preset(
        help="One scale, 60 Gaussian features, 100 samples, 200 seeds x 3 noises: the U-curve of validation loss, and "
        "early stopping beside ridge regression; 600 runs, half a minute on two cores.",
        flags={"inputs": "gaussian", "scales": "one", "features": "60", "samples": "100", "noise": "0.25,0.5,1"}
        | {"seed": "0:200", "steps": "2000"},
    ),
    "network": Preset(
        help="A ReLU network of 200 units on 20 Gaussian inputs, 100 samples, 40 seeds x 3 noises, 120 runs, less than "
        "a minute on two cores. The train loss goes to zero, the excess risk is lowest long before.",
        flags={"model": "network", "inputs": "gaussian", "scales": "one", "features": "20", "samples": "100"}
        | {"noise": "0.25,0.5,1", "seed": "0:40", "steps": "5000"},
    ),
}
