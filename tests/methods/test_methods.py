"""The list of methods: what each must be, and how another joins."""

import subprocess
import sys
from typing import get_args

import pytest

from crowdpoint.methods import METHODS, register
from crowdpoint.methods.fidtm import FIDTMMethod
from crowdpoint.methods.p2pnet import P2PNET
from crowdpoint.methods.p2pnet.config import P2PNetConfig


def test_a_methods_configuration_has_its_name() -> None:
    for name, method in METHODS.items():
        assert method.name == name
        assert get_args(method.config.model_fields["method"].annotation) == (name,)
        assert method.recipe.model_fields["model"].annotation is method.config


def test_a_name_is_registered_once() -> None:
    register(METHODS["fidtm"])
    with pytest.raises(ValueError, match="'fidtm' is registered already"):
        register(FIDTMMethod())


def test_p2pnet_finds_at_most_a_head_for_each_proposal_even_of_cells_beyond_the_crop() -> None:
    assert P2PNET.most_heads(P2PNetConfig(), 100) == 4 * 13**2


def test_importing_methods_imports_no_slow_packages() -> None:
    code = "import sys, crowdpoint.methods; print(sorted({'torch', 'scipy', 'cv2'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
