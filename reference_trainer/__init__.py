"""The reference trainer: five legal submissions to Parameter Golf, in code that is meant to be read.

A preset (`presets/`) holds every number of a run. `run` takes it through its stages: train, average, quantise, pack, read back,
score. `folder` writes what a submission consists of, with the modules that the preset uses bundled into one `train_gpt.py`.
"""
