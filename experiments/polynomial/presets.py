"""The presets of polynomial regression: bias and variance, and double descent of the least-norm fit."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="Fits of sin πx on 25 fixed inputs with noise 0.3: degrees 0 to 15 x 400 datasets, half a minute on two "
        "cores. The test error falls up to degree 3 and grows beyond; bias² and variance are the exact ones.",
        flags={"seed": "0:400", "functions": "1:17"},
        expects={"relative_risk": (0.94, 1), "test_error": (0.14, 0.152)},
    ),
    "debug": Preset(
        help="The same with 4 numbers of functions and 40 datasets, a few seconds.",
        flags={"seed": "0:40", "functions": "1,2,4,8"},
        expects={"relative_risk": (0.95, 1.05), "test_error": (0.2, 0.26)},
    ),
    "course": Preset(
        help="The same on 40 drawn inputs with plain powers of x, as the course's table (whose curve and number of "
        "samples are not known). At degree 15 a few datasets make the mean test error many times the median.",
        flags={"seed": "0:400", "inputs": "uniform", "samples": "40", "functions": "1:17", "basis": "monomial"},
    ),
    "legendre": Preset(
        help="Schaeffer et al. 2023: 15 samples of 2x + cos 25x, Legendre polynomials from degree 1, least norm, 17 "
        "numbers of functions x 1000 datasets, a minute. The error has its pole at 15 functions and comes down again.",
        flags={
            "seed": "0:1000",
            "inputs": "uniform",
            "curve": "wiggle",
            "lowest_degree": "1",
            "noise": "0",
            "samples": "15",
            "functions": "1,2,3,5,8,10,12,14,15,16,18,20,25,30,50,100,200",
        },
    ),
}
