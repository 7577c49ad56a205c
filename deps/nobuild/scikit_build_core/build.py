from nobuild import get_requires_for_build_wheel, prepare_metadata_for_build_wheel  # noqa: F401
