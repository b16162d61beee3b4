"""The presets of early stopping: the quick default beside its closed form, and what changes it."""

from phenom_jax.experiment import Preset

FEW_AND_MANY = {"features": "1,16", "samples": "10,160", "zip": "features,samples"}

PRESETS = {
    "": Preset(
        help="The two-scale linear model of Heckel and Yilmaz: 1000 seeds x noise 0.5, 1, 1.5 x 1 and 16 features per "
        "scale (10 and 160 samples), half a minute on two cores. Run to its end: the mean is within 1.9 standard "
        "errors of the closed form at every step; at noise 1 it is lowest near step 12, rises, and is lower near "
        "491. With 16 features 53 % of the runs stop at the first minimum if they wait until the steps have "
        "doubled, with 1 feature 22 %.",
        flags={**FEW_AND_MANY, "noise": "0.5,1,1.5", "seed": "0:1000"},
    ),
    "aligned": Preset(
        help="Equal step sizes beside those that let both scales be lowest at the same step: 1000 seeds x 3 noises, "
        "less than a minute on two cores. Run to its end: one minimum, and at noise 1 a lowest risk of 0.135 in "
        "place of 0.168.",
        flags={
            "step_sizes": "equal,aligned",
            "features": "16",
            "samples": "160",
            "noise": "0.5,1,1.5",
            "seed": "0:1000",
        },
    ),
    "noise": Preset(
        help="When to stop as the noise grows: 17 noises x equal and aligned step sizes x 100 seeds, less than a "
        "minute on two cores. Run to its end: the second minimum is the lower one up to noise 1.2, the first from 1.4 "
        "on.",
        flags={
            "step_sizes": "equal,aligned",
            "features": "16",
            "samples": "160",
            "noise": "log:0.25:4:17",
            "seed": "0:100",
        },
    ),
    "three_scales": Preset(
        help="Three scales, 400 seeds, 100k steps, less than a minute on two cores. Run to its end: three minima, near "
        "steps 13, 530 and 25k, each lower than the one before.",
        flags={"scales": "three", "features": "16", "samples": "160", "seed": "0:400", "steps": "100000"},
    ),
    "gaussian": Preset(
        help="The default with Gaussian inputs, for which the closed form is approximate; less than a minute on two "
        "cores. Run to its end: the same two minima, above the closed form by a quarter or more at the end of "
        "training.",
        flags={**FEW_AND_MANY, "inputs": "gaussian", "noise": "0.5,1,1.5", "seed": "0:1000"},
    ),
    "ridge": Preset(
        help="One scale, 60 Gaussian features, 100 samples, 200 seeds x 3 noises: the U-curve of validation loss, and "
        "early stopping beside ridge regression; half a minute on two cores. Run to its end: the best step has at "
        "most 1.05 times the risk of the best penalty.",
        flags={
            "inputs": "gaussian",
            "scales": "one",
            "features": "60",
            "samples": "100",
            "noise": "0.25,0.5,1",
            "seed": "0:200",
            "steps": "2000",
        },
    ),
    "network": Preset(
        help="A ReLU network of 200 units on 20 Gaussian inputs, 100 samples, 40 seeds x 3 noises, less than a minute "
        "on two cores. Run to its end: train loss goes to zero; the excess risk is lowest at step 88, 44 and 20, "
        "and at noise 1 ends at 0.79 in place of 0.28.",
        flags={
            "model": "network",
            "inputs": "gaussian",
            "scales": "one",
            "features": "20",
            "samples": "100",
            "noise": "0.25,0.5,1",
            "seed": "0:40",
            "steps": "5000",
        },
    ),
}
