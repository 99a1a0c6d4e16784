"""The stages of the pipeline that join several parts of trecx, one a module."""
