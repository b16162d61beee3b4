"""The presets of random features: the quick default, finite sizes, and the course's 1-D setting."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="ReLU and Fourier features, 150 inputs on a sphere in 50 dimensions: 10 numbers of features x 3 ridges x "
        "64 seeds, 3840 regressions, a minute on two cores. Without ridge the excess risk peaks at N = 150 and is "
        "lower at N = 600 than before the peak; ridges take the peak away.",
        flags={"seed": "0:64", "activation": "relu,fourier", "ridge": "0,1e-3,1e-1"}
        | {"features": "20,60,90,120,143,150,158,188,300,600"},
    ),
    "debug": Preset(
        help="ReLU features of 30 inputs, 5 numbers of features x 3 ridges x 6 seeds, 90 regressions, ten seconds.",
        flags={"seed": "0:6", "ridge": "0,1e-3,1e-1", "features": "10,20,30,45,90", "samples": "30", "dimension": "10"},
        expects={"of_limit": (0.9, 1.05), "excess_risk": (0.45, 0.55)},
    ),
    "finite_size": Preset(
        help="The same at d = 20, 50, 100 with N/d and n/d held, ridge 1e-2, 100 seeds, 1200 regressions, a minute on "
        "two cores: what finite sizes add to the limit, and how it shrinks.",
        flags={"seed": "0:100", "activation": "relu,fourier", "ridge": "1e-2"}
        | {
            "dimension": "20,20,50,50,100,100",
            "samples": "60,60,150,150,300,300",
            "features": "30,120,75,300,150,600",
            "zip": "dimension,samples,features",
        },
    ),
    "course": Preset(
        help="The course's 1-D setting, 100 samples of sin 3x with noise 0.3, ridge 1e-8, two bandwidths, beside the "
        "sphere: 9 numbers of features x 20 seeds, 540 regressions, a minute on two cores. On the line no second "
        "descent is to be expected.",
        flags={"seed": "0:20", "features": "10,20,50,80,100,120,200,500,2000", "samples": "100", "ridge": "1e-8"}
        | {"noise": "0.3", "inputs": "line,line,sphere", "frequency": "1,2,1", "zip": "inputs,frequency"},
    ),
}
