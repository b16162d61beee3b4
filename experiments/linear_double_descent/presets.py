"""The presets of linear double descent."""

from phenom_jax.experiment import Preset

GRID = "1,25,50,80,110,140,160,175,188,195,200,205,212,225,240,270,310,360,420,500"

PRESETS = {
    "": Preset(
        help="The course's grid: 4 noise levels x 4 ridges x 20 dimensions x 20 seeds at 200 samples.",
        flags={"seed": "0:20", "noise": "0.1,0.5,1,2", "ridge": "0,1e-5,1e-3,1e-1", "dimension": GRID},
    ),
    "samples": Preset(
        help="Sample-wise.",
        flags={
            "seed": "0:100",
            "dimension": "100",
            "samples": "10,20,30,40,50,60,70,80,86,92,96,100,104,108,114,120,130,140,160,180,200",
            "ridge": "0,1e-2,1e-1",
            "noise": "0.25,0.5,1",
        },
    ),
    "threshold": Preset(
        help="The threshold up close.",
        flags={
            "seed": "0:100",
            "samples": "100",
            "dimension": ",".join(map(str, range(80, 121, 2))),
            "ridge": "0,1e-5,1e-4,1e-3,1e-2",
            "singular_values": "true",
        },
    ),
    "weak_features": Preset(
        help="Belkin, Hsu, Xu 2020.",
        flags={
            "model": "weak_features",
            "coordinates": "100",
            "samples": "40",
            "noise": "0.2",
            "dimension": "1,5,10,15,20,25,30,33,36,38,40,42,44,47,50,55,60,70,80,90,100",
            "seed": "0:1000",
        },
    ),
    "ablation": Preset(
        help="Schaeffer et al. 2023.",
        flags={
            "ablation": "none,small_modes,residuals,test_directions",
            "singular_values": "true",
            "samples": "100",
            "dimension": "10,25,50,70,80,90,95,100,105,110,120,130,150,200,300",
            "seed": "0:100",
        },
    ),
}
