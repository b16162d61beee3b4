"""The presets of polynomial regression: bias and variance, and double descent of the least-norm fit."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="Fits of sin πx on 25 fixed inputs with noise 0.3: degrees 0 to 15 x 200 datasets, half a minute on two "
        "shared cores, most of it compiling and drawing. Run to its end: the median test error falls from 0.59 to"
        " 0.106 at degree 3 and grows to 0.94 at degree 15; bias² and variance agree with the exact ones.",
        flags={"seed": "0:200", "functions": "1:17"},
    ),
    "course": Preset(
        help="The same with 40 inputs drawn with every dataset and plain powers of x, as the course's table (whose "
        "curve and number of samples are not known), half a minute. Run to its end: the U is there, but at degree"
        " 15 a few datasets make the mean test error 10^5 times the median.",
        flags={"seed": "0:200", "inputs": "uniform", "samples": "40", "functions": "1:17", "basis": "monomial"},
    ),
    "legendre": Preset(
        help="Schaeffer et al. 2023: 15 samples of 2x + cos 25x, Legendre polynomials from degree 1, least norm, 17 "
        "numbers of functions x 200 datasets, half a minute. Run to its end: the median error is 0.51 at one "
        "function, 6e6 at 15 and 0.39 at 30.",
        flags={
            "seed": "0:200",
            "inputs": "uniform",
            "curve": "wiggle",
            "lowest_degree": "1",
            "noise": "0",
            "samples": "15",
            "functions": "1,2,3,5,8,10,12,14,15,16,18,20,25,30,50,100,200",
        },
    ),
}
