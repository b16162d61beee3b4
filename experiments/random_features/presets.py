"""The presets of random features: the quick default, finite sizes, and the course's 1-D setting."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="ReLU and Fourier features, 150 inputs on a sphere in 50 dimensions: 15 numbers of features x 4 ridges x "
        "12 seeds, a minute on two shared cores. Run to its end: without ridge the median excess risk of ReLU "
        "features is 0.81 at N = 60, 175 at N = 150 and 0.23 at N = 600; at ridge 1e-3 it is 1.1 at N = 150. All "
        "cells away from the peak agree with the limit.",
        flags={
            "seed": "0:12",
            "activation": "relu,fourier",
            "ridge": "0,1e-3,1e-2,1e-1",
            "features": "15,30,60,90,120,135,143,150,158,165,180,225,300,450,600",
        },
    ),
    "finite_size": Preset(
        help="The same at d = 20, 40, 80 with N/d and n/d held, 40 seeds, a minute on two shared cores. Run to its "
        "end: extrapolated to infinite d all 8 families lie within 0.9 standard errors of the limit.",
        flags={
            "seed": "0:40",
            "activation": "relu,fourier",
            "ridge": "0,1e-2",
            "dimension": "20,20,40,40,80,80",
            "samples": "60,60,120,120,240,240",
            "features": "30,120,60,240,120,480",
            "zip": "dimension,samples,features",
        },
    ),
    "course": Preset(
        help="The course's 1-D setting, 100 samples of sin 3x with noise 0.3, ridge 1e-8, two bandwidths, beside the "
        "sphere, 20 seeds, a minute on two shared cores. Run to its end: no second descent, at 2000 features the "
        "median test error is 10 to 24 times that at 100; on the sphere it falls from 89 to 0.23.",
        flags={
            "seed": "0:20",
            "inputs": "line,line,sphere",
            "frequency": "1,2,1",
            "zip": "inputs,frequency",
            "features": "10,20,50,80,100,120,200,500,2000",
            "samples": "100",
            "ridge": "1e-8",
            "noise": "0.3",
        },
    ),
}
