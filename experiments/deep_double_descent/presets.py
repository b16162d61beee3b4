"""The presets of deep double descent: the quick default, the published settings, and one for each kind of descent."""

from phenom_jax.experiment import Preset

_CIFAR10 = {"data": "cifar10", "data_dir": "data", "batch_size": "128", "samples": "50000"}
_WIDTHS = "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,18,20,22,24,28,32,36,40,44,48,52,56,60,64"

PRESETS = {
    "": Preset(
        help="MNIST-1D, 2000 examples: 20 widths x 3 seeds x label noise 0 and 20 %, 400 epochs, one to two minutes on "
        "two cores. Run to its end: with noise test error falls to 58 % at width 8, peaks at 63 % near width 32, just "
        "below where networks fit their train set, and ends at 56 % at width 128; test loss peaks without noise too.",
        flags={
            "samples": "2000",
            "test_samples": "2000",
            "width": "6,8,10,12,14,16,18,20,23,26,29,32,36,40,46,54,64,80,100,128",
            "label_noise": "0,0.2",
            "seed": "0:3",
            "steps": "8000",
        },
    ),
    "mnist1d": Preset(
        help="Greydanus' study of MNIST-1D: 4000 train and 12000 test examples, 500 epochs, label noise 0 and 15 %, 3 "
        "seeds. Published, noisy: test error 47.2 % at width 16, 54.1 % at 47 (peak), 45.5 % at 300. Run to its end in "
        "MNIST1D_TIME.",
        flags={
            "convention": "uniform",
            "width": "16,20,24,28,32,36,41,47,54,61,70,80,95,110,130,160,200,250,300",
            "label_noise": "0,0.15",
            "seed": "0:3",
            "steps": "20000",
        },
    ),
}
