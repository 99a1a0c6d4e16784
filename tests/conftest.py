"""Fixtures that several files share."""

from pathlib import Path

import pytest


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
