"""A build backend that builds nothing.

`pip download` asks a source package's build backend for its metadata even with --no-deps. The real backends would be
fetched unpinned and would run the package's set-up code, and all we want is the archive whose hash we know. pip finds
this one first on PYTHONPATH and gets its answer from the package's own PKG-INFO.
"""
import email.parser
import os


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    with open("PKG-INFO", encoding="utf-8") as f:
        info = f.read()
    head = email.parser.Parser().parsestr(info)
    name = head["Name"].replace("-", "_").replace(".", "_")
    folder = f"{name}-{head['Version']}.dist-info"
    os.mkdir(os.path.join(metadata_directory, folder))
    with open(os.path.join(metadata_directory, folder, "METADATA"), "w", encoding="utf-8") as f:
        f.write(info)
    with open(os.path.join(metadata_directory, folder, "WHEEL"), "w", encoding="utf-8") as f:
        f.write("Wheel-Version: 1.0\nGenerator: nobuild\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    return folder
