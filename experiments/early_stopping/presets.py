"""The presets of early stopping."""

from phenom_jax.experiment import Preset

TWO = {"features": "1,16", "samples": "10,160", "zip": "features,samples"}

PRESETS = {
    "": Preset(
        help="",
        flags={**TWO, "noise": "0.5,1,1.5", "seed": "0:1000"},
    ),
    "aligned": Preset(
        help="",
        flags={
            "step_sizes": "equal,aligned",
            "features": "16",
            "samples": "160",
            "noise": "0.5,1,1.5",
            "seed": "0:200",
        },
    ),
    "three_scales": Preset(
        help="",
        flags={"scales": "three", "features": "16", "samples": "160", "seed": "0:100", "steps": "100000"},
    ),
    "gaussian": Preset(
        help="",
        flags={**TWO, "inputs": "gaussian", "noise": "0.5,1,1.5", "seed": "0:200"},
    ),
    "ridge": Preset(
        help="",
        flags={
            "inputs": "gaussian",
            "scales": "one",
            "features": "60",
            "samples": "100",
            "noise": "0.5,1,2",
            "seed": "0:50",
            "steps": "2000",
        },
    ),
    "network": Preset(
        help="",
        flags={
            "model": "network",
            "inputs": "gaussian",
            "scales": "one",
            "features": "20",
            "samples": "100",
            "noise": "0.25,0.5,1",
            "seed": "0:20",
            "steps": "5000",
        },
    ),
}
