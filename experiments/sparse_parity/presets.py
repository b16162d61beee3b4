"""The presets of sparse parity: the quick default, and the settings of the papers and the course."""

from phenom_jax.experiment import Preset

PRESETS = {
    "": Preset(
        help="",
        flags={"inputs": "20,30,40,50,60", "degree": "2,3,4", "seed": "0:64", "steps": "20000"},
    ),
    "paper": Preset(
        help="",
        flags={"inputs": "20,30,50", "degree": "3,4,5", "seed": "0:16", "steps": "100000"},
    ),
    "course": Preset(
        help="",
        flags={
            "model": "sine",
            "loss": "square",
            "learning_rate": "0.01",
            "init_scale": "4",
            "inputs": "10,20,30,40",
            "degree": "2,3,4",
            "seed": "0:32",
            "steps": "50000",
        },
    ),
    "polynet": Preset(
        help="",
        flags={
            "model": "polynet",
            "loss": "square",
            "learning_rate": "0.01",
            "inputs": "12,24,36,48,60",
            "degree": "2,3,4",
            "seed": "0:32",
            "steps": "100000",
        },
    ),
    "losses": Preset(
        help="",
        flags={"loss": "hinge,square,logistic", "inputs": "20,30,40", "seed": "0:32", "steps": "50000"},
    ),
    "widths": Preset(
        help="",
        flags={"width": "10,30,100,300,1000", "batch_size": "2,8,32,128", "seed": "0:16", "steps": "30000"},
    ),
    "grokking": Preset(
        help="",
        flags={
            "data": "finite",
            "inputs": "40",
            "samples": "1000",
            "width": "1000",
            "weight_decay": "0,0.01",
            "seed": "0:8",
            "steps": "9600",
            "retire_done": "false",
        },
    ),
    "samples": Preset(
        help="",
        flags={
            "data": "finite",
            "inputs": "40",
            "samples": "300,600,1000,2000,4000",
            "weight_decay": "0,0.003,0.01",
            "width": "300",
            "seed": "0:8",
            "steps": "20000",
        },
    ),
}
