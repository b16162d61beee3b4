"""The presets of linear double descent."""

from phenom_jax.experiment import Preset

GRID = "1,25,50,80,110,140,160,175,188,195,200,205,212,225,240,270,310,360,420,500"

PRESETS = {
    "": Preset(
        help="The course's grid, 200 samples: 4 noise levels x 4 ridges x 20 dimensions x 100 seeds in one program, a "
        "minute on two cores. The risk follows its exact mean, without ridge it has its pole at 200 features, and a "
        "ridge of 0.1 takes the peak away.",
        flags={"seed": "0:100", "noise": "0.1,0.5,1,2", "ridge": "0,1e-5,1e-3,1e-1", "dimension": GRID},
    ),
    "debug": Preset(
        help="80 solves with 20 samples, a few seconds.",
        flags={"seed": "0:5", "samples": "20", "dimension": "5,10,20,40", "noise": "0.5,2", "ridge": "0,0.1"},
        expects={"relative_risk": (0.85, 1), "squared_norm": (1.8, 2.3)},
    ),
    "samples": Preset(
        help="More data hurts: 21 sample counts from 10 to 200 at 100 features, 3 noise levels, 3 ridges, 100 seeds, "
        "half a minute on two cores. Without ridge the risk grows up to 100 samples; with ridge 0.1 it falls.",
        flags={
            "seed": "0:100",
            "dimension": "100",
            "samples": "10,20,30,40,50,60,70,80,86,92,96,100,104,108,114,120,130,140,160,180,200",
            "ridge": "0,1e-2,1e-1",
            "noise": "0.25,0.5,1",
        },
    ),
    "threshold": Preset(
        help="The threshold up close: 13 dimensions from 80 to 120 at 100 samples, 4 ridges, 400 seeds, with the "
        "smallest singular value; a minute on two cores. Without ridge the risk leaps at 100, with 0.01 it does not.",
        flags={
            "seed": "0:400",
            "samples": "100",
            "dimension": "80,86,90,94,96,98,100,102,104,106,110,114,120",
            "ridge": "0,1e-5,1e-3,1e-2",
            "singular_values": "true",
        },
    ),
    "weak_features": Preset(
        help="Belkin, Hsu, Xu 2020: the target depends on 100 coordinates of which up to all are seen, 40 samples, "
        "400 seeds, half a minute on two cores. With all features the risk is below that of any few.",
        flags={
            "model": "weak_features",
            "coordinates": "100",
            "samples": "40",
            "noise": "0.2",
            "dimension": "1,5,10,15,20,25,30,33,36,38,40,42,44,47,50,55,60,70,80,90,100",
            "seed": "0:400",
        },
    ),
    "ablation": Preset(
        help="Schaeffer et al. 2023: each of the peak's three causes removed, 15 dimensions at 100 samples, 100 seeds, "
        "a minute on two cores. The whole has a peak, each of the others has none.",
        flags={
            "ablation": "none,small_modes,residuals,test_directions",
            "singular_values": "true",
            "samples": "100",
            "dimension": "10,25,50,70,80,90,95,100,105,110,120,130,150,200,300",
            "seed": "0:100",
        },
    ),
}
