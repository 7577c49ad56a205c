import sys

from nobuild import get_requires_for_build_wheel, prepare_metadata_for_build_wheel  # noqa: F401

__legacy__ = sys.modules[__name__]  # what pip asks for where a package has no pyproject.toml
