"""The presets of linear double descent."""

from phenom_jax.experiment import Preset

GRID = "1,25,50,80,110,140,160,175,188,195,200,205,212,225,240,270,310,360,420,500"

PRESETS = {
    "": Preset(
        help="The course's grid, 200 samples: 4 noise levels x 4 ridges x 20 dimensions x 20 seeds in one program, a "
        "quarter of a minute on two cores. Run to its end: none of 308 cells is more than 2.4 standard errors from its "
        "exact mean, the risk is highest at 200 features, and a ridge of 0.1 takes the peak away.",
        flags={"seed": "0:20", "noise": "0.1,0.5,1,2", "ridge": "0,1e-5,1e-3,1e-1", "dimension": GRID},
    ),
    "samples": Preset(
        help="More data hurts: 21 sample counts from 10 to 200 at 100 features, 3 noise levels, 3 ridges, 100 seeds, "
        "20 seconds on two cores. Run to its end: at noise 0.5 without ridge the median risk grows 65 times from 50 to "
        "100 samples; with ridge 0.1 it falls throughout.",
        flags={
            "seed": "0:100",
            "dimension": "100",
            "samples": "10,20,30,40,50,60,70,80,86,92,96,100,104,108,114,120,130,140,160,180,200",
            "ridge": "0,1e-2,1e-1",
            "noise": "0.25,0.5,1",
        },
    ),
    "threshold": Preset(
        help="The threshold up close: 21 dimensions from 80 to 120 at 100 samples, 5 ridges, 100 seeds, with the "
        "smallest singular value; 40 seconds on two cores. Run to its end: none of 98 cells is more than 2.8 standard "
        "errors off, and the median peak falls from 47 without ridge to 1.1 at 0.01.",
        flags={
            "seed": "0:100",
            "samples": "100",
            "dimension": ",".join(map(str, range(80, 121, 2))),
            "ridge": "0,1e-5,1e-4,1e-3,1e-2",
            "singular_values": "true",
        },
    ),
    "weak_features": Preset(
        help="Belkin, Hsu, Xu 2020: the target depends on 100 coordinates of which up to all are seen, 40 samples, "
        "1000 seeds, a quarter of a minute on two cores. Run to its end: the risk with all features is 0.614 times "
        "that at the first minimum.",
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
        help="Schaeffer et al. 2023: each of the peak's three causes removed, 15 dimensions at 100 samples, 100 seeds, "
        "half a minute on two cores. Run to its end: the whole peak is 65 times the risk beside it, without small "
        "singular values 0.75, without residuals 0, with test inputs along large modes 1.1.",
        flags={
            "ablation": "none,small_modes,residuals,test_directions",
            "singular_values": "true",
            "samples": "100",
            "dimension": "10,25,50,70,80,90,95,100,105,110,120,130,150,200,300",
            "seed": "0:100",
        },
    ),
}
