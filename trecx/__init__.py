"""trecx: early-exit TinyML models, from Keras to bit-exact C on a Cortex-M."""

__version__ = "0.1.0"
