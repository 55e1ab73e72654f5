"""What a later release of a package will break is an error today: in tests, in kernels, in logs."""

import logging
import warnings

import pytest
from sample_notebook import code, make_notebook

from rlbook.book.publish.execute import ENVIRONMENT, execute

ANNOUNCED = [FutureWarning, DeprecationWarning, PendingDeprecationWarning]


@pytest.mark.parametrize("category", ANNOUNCED)
def test_in_tests(category):
    with pytest.raises(category, match="goes away"):
        warnings.warn("this goes away", category, stacklevel=1)


def test_in_the_log_of_transformers():
    with pytest.raises(DeprecationWarning, match="`x` is deprecated"):
        logging.getLogger("transformers.models").warning("`x` is deprecated. Use `y` instead.")


@pytest.mark.slow
def test_in_kernels(tmp_path):
    assert all(category.__name__ in ENVIRONMENT["PYTHONWARNINGS"] for category in ANNOUNCED)
    module = "import warnings\n\n\ndef f(category):\n    warnings.warn('goes away', category, 2)\n"
    (tmp_path / "some_package.py").write_text(module)
    source = (
        "import some_package\n\ntry:\n    some_package.f({0})\nexcept {0}:\n    print('an error')"
    )
    notebook = make_notebook([code(source.format(c.__name__)) for c in ANNOUNCED])
    execute(notebook, tmp_path)
    assert [cell.outputs[0].text for cell in notebook.cells] == 3 * ["an error\n"]
