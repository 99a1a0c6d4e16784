"""Fixtures that several files share."""

import contextlib
from pathlib import Path

import pytest

with contextlib.suppress(ImportError):
    # Before any test file loads TensorFlow: after it, tflite-runtime calls TensorFlow's libraries.
    import tflite_runtime.interpreter  # noqa: F401


@pytest.fixture(scope="session")
def kws_bundle(tmp_path_factory) -> Path:
    """A bundle of the kws network with random weights. Do not change it; copy it."""
    from tests.support.bundles import random_bundle

    return random_bundle(tmp_path_factory.mktemp("bundles") / "kws.bundle").path


@pytest.fixture(scope="session")
def ic_bundle(tmp_path_factory) -> Path:
    """As kws_bundle, of the ic network."""
    from tests.support.bundles import random_bundle

    return random_bundle(tmp_path_factory.mktemp("bundles") / "ic.bundle", "ic").path
