"""What several metrics are tested under."""

import math
from collections.abc import Iterator

import pytest

from fidprobe.metrics import nearest_pairs, product_bounds


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "projected"])
def pair_products_of_both_kinds(request: pytest.FixtureRequest) -> Iterator[None]:
    """All products whole; and, of sets however small, only where few coordinates leave open whether a pair matters."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setattr(product_bounds, "_LEAST_IMAGES", 1)
            patch.setattr(product_bounds, "_LEAST_SHARE", 0)
            patch.setattr(product_bounds, "_WORTH", math.inf)
            patch.setattr(nearest_pairs, "PAIR_COST", 1)  # however many pairs are left
        yield
