"""The checks and counters of tools/ and deps/fetch: each must notice what it is there to notice."""

import hashlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as xml

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    """tree({path: text}): a small checkout with the real list of layers."""
    def make(files):
        (tmp_path / "src").mkdir(exist_ok=True)
        shutil.copy(ROOT / "src" / "LAYERS", tmp_path / "src")
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return tmp_path
    return make


def check(tool, root):
    done = subprocess.run([ROOT / "tools" / tool, root], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize("path, text", [
    ("src/net/a.c", '#include "net/a.h"\n#include "base/str.h"\n#include <uv.h>\n'),
    ("src/protocols/x/a.c", '#include "protocols/y/b.h"\n#include "ir/event.h"\n#include <string.h>\n'),
    ("src/cli/version.c", '#include "gw_revision.h"\n'),
    ("src/ir/a.c", "/* at a time (see below) */ int real_time(void);\n"),
])
def test_layers_allow(tree, path, text):
    assert check("check-layers", tree({path: text})) == (0, "")


@pytest.mark.parametrize("path, text, why", [
    ("src/base/a.c", '#include "net/origin.h"\n', "base may not include net/origin.h"),
    ("src/protocols/x/a.c", '#include "providers/provider.h"\n', "protocols may not include"),
    ("src/ir/a.c", "\n#include <sys/socket.h>\n", "src/ir/a.c:2: pure folder ir includes <sys/socket.h>"),
    ("src/json/a.c", '#include "base/log.h"\n', "pure folder json includes base/log.h"),
    ("src/ir/a.c", "int t = time(NULL);\n", "reads the clock"),
    ("src/ir/a.c", "uint64_t t = clock_mono_ms();\n", "reads the clock"),
    ("src/util/a.c", "\n", "util is not in src/LAYERS"),
    ("src/base/a.c", '#include "arena.h"\n', "not in a folder of src/LAYERS"),
])
def test_layers_refuse(tree, path, text, why):
    code, output = check("check-layers", tree({path: text}))
    assert code == 1 and why in output


@pytest.mark.parametrize("path, text", [
    ("src/base/a.c", "/* strcpy(a, b) */\nsnprintf(a, n, \"strcpy(\");\n"),
    ("src/base/a.c", "x->system(1); my_strcpy(a);\n"),
    ("src/cli/a.c", 'printf("x");\n'),
    ("src/base/a.c", "/* allowed here: it is a test */\nrand();\n"),
    ("bench/a.c", "usleep(1);\n"),
])
def test_banned_allow(tree, path, text):
    assert check("check-banned", tree({path: text})) == (0, "")


@pytest.mark.parametrize("path, text, why", [
    ("src/base/a.c", "\n\tstrcpy(a, b);\n", "src/base/a.c:2: strcpy(): use"),
    ("tests/unit/base/test_a.c", "atoi (s);\n", "atoi(): use"),
    ("src/http/a.c", "usleep(1);\n", "usleep(): use"),
    ("src/http/a.c", 'printf("x");\n', "printf(): use"),
    ("src/store/a.c", 'x("SELECT a FROM b WHERE c = \'%s\'", y);\n', "SQL made with printf"),
])
def test_banned_refuse(tree, path, text, why):
    code, output = check("check-banned", tree({path: text}))
    assert code == 1 and why in output


# Put together, so that the tool does not take what stands here for tests of this tree.
TRAP = "trap" + "_"


def test_traps_are_counted_by_the_names_of_tests(tree):
    root = tree({"tests/unit/ir/test_a.c": f"static void {TRAP}016_split(void **state)\n",
                 "tests/e2e/test_b.py": f"def test_{TRAP}017_018_and_{TRAP}020_all():\n    '''{TRAP}099 is only mentioned'''\n",
                 f"tests/golden/{TRAP}001.json": "{}"})
    code, output = check("traps", root)
    assert code == 1
    assert [line.split()[0] for line in output.splitlines() if line.startswith(TRAP)] == [
        f"{TRAP}{n}" for n in ("001", "016", "017", "018", "020")]
    assert output.endswith("5 of 124 traps: 5 by tests, 0 explained in tests/traps.md\n")


def test_traps_that_cannot_apply_are_explained(tree):
    tests = "".join(f"static void {TRAP}{n:03d}_x(void **state)\n" for n in range(1, 124))
    root = tree({"tests/unit/ir/test_a.c": tests, "tests/traps.md": f"# Traps\n\n- `{TRAP}124`: nothing here does that.\n"})
    code, output = check("traps", root)
    assert code == 0
    assert f"{TRAP}124  tests/traps.md: nothing here does that.\n" in output
    assert output.endswith("without a test: none\n124 of 124 traps: 123 by tests, 1 explained in tests/traps.md\n")


@pytest.mark.parametrize("files, why", [
    ({"tests/unit/test_a.c": f"void {TRAP}125_x(void **s)\n"}, "no such trap: 125"),
    ({"tests/traps.md": f"- `{TRAP}000`: no.\n"}, "no such trap: 000"),
    ({"tests/traps.md": f"- `{TRAP}001`:\n"}, "without a reason"),
    ({"tests/unit/test_a.c": f"void {TRAP}001_x(void **s)\n", "tests/traps.md": f"- `{TRAP}001`: no.\n"}, "and has tests: 001"),
])
def test_traps_refuse_what_cannot_be(tree, files, why):
    code, output = check("traps", tree(files))
    assert code == 1 and why in output


# ---- the count of run-tests ------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def run_tests():
    path = str(ROOT / "tools" / "run-tests")
    spec = importlib.util.spec_from_loader("run_tests", importlib.machinery.SourceFileLoader("run_tests", path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("status, output, line", [
    ("run", "1..2\nok 1 - a\nok 2 - b\n# ok - tests\n", "2 passed, 0 failed"),
    ("fail", "1..2\nok 1 - a\nnot ok 2 - b\n# not ok - tests\n", "1 passed, 1 failed"),
    ("run", "1..2\nok 1 - a\nnot ok 2 # SKIP b\n", "1 passed, 0 failed, 1 skipped"),
    ("fail", "1..9\nok 1 - a\nAddressSanitizer: ...\n", "1 passed, 1 failed"),    # died in the second test
    ("fail", "1..1\nok 1 - a\nLeakSanitizer: ...\n", "1 passed, 1 failed"),       # leaked at its end
    ("notrun", "", "0 passed, 1 failed"),                                         # could not be started
    ("run", "says nothing\n", "1 passed, 0 failed"),
])
def test_test_programs_are_counted_by_case(run_tests, status, output, line):
    tally = run_tests.Tally()
    case = xml.Element("testcase", name="unit/x", status=status)
    xml.SubElement(case, "system-out").text = output
    run_tests.count_program(tally, "asan", case)
    assert tally.line() == line


@pytest.mark.parametrize("child, line", [
    (None, "1 passed, 0 failed"), ("failure", "0 passed, 1 failed"), ("error", "0 passed, 1 failed"),
    ("skipped", "0 passed, 0 failed, 1 skipped"),
])
def test_pytest_cases_are_counted(run_tests, child, line):
    tally = run_tests.Tally()
    case = xml.Element("testcase", classname="c", name="n")
    if child:
        xml.SubElement(case, child)
    run_tests.count_case(tally, case)
    assert tally.line() == line


# ---- deps/fetch ------------------------------------------------------------------------------------------------------

SETUP_THAT_MUST_NOT_RUN = b"raise SystemExit('set-up code of the package was run')\n"


@pytest.fixture
def fetch(tmp_path):
    """fetch(sha256=None): runs deps/fetch for a small package from a local folder; (exit code, folder, the cache)."""
    shutil.copytree(ROOT / "deps", tmp_path / "deps")
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    archive = shelf / "tinything-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in (("PKG-INFO", b"Metadata-Version: 2.1\nName: tinything\nVersion: 1.0\n"),
                           ("setup.py", SETUP_THAT_MUST_NOT_RUN), ("lib/tiny.c", b"int tiny;\n")):
            info = tarfile.TarInfo(f"tinything-1.0/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))

    def run(sha256=None):
        sha256 = sha256 or hashlib.sha256(archive.read_bytes()).hexdigest()
        (tmp_path / "deps" / "pins").write_text(f"tinything 1.0 source {sha256}\n")
        env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PIP_NO_INDEX": "1",
               "PIP_FIND_LINKS": str(shelf), "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
        done = subprocess.run([tmp_path / "deps" / "fetch", "tinything"], env=env, capture_output=True, text=True,
                              timeout=60)
        return done, tmp_path / "cache" / "llm-gateway" / "deps"
    return run


def test_fetch_unpacks_what_is_pinned_and_runs_none_of_it(fetch):
    done, cache = fetch()
    assert done.returncode == 0, done.stderr
    folder = pathlib.Path(done.stdout.strip())
    assert folder.parent == cache and (folder / "lib" / "tiny.c").read_text() == "int tiny;\n"
    assert [p.name for p in cache.iterdir()] == [folder.name]
    again, _ = fetch()
    assert again.stdout == done.stdout and "fetching" not in again.stderr


def test_fetch_refuses_another_content_and_leaves_nothing(fetch):
    done, cache = fetch(sha256="0" * 64)
    assert done.returncode == 1
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("folder", ["node", "node/agents"])
def test_node_lock_files_hold_exact_versions_and_hashes_and_no_registry(folder):
    wanted = json.loads((ROOT / "tests" / folder / "package.json").read_text())["dependencies"]
    assert all(version.replace(".", "").isdigit() for version in wanted.values()), wanted
    packages = json.loads((ROOT / "tests" / folder / "package-lock.json").read_text())["packages"]
    assert packages.pop("")["dependencies"] == wanted, "make lock"
    for name, package in packages.items():
        assert package["integrity"].startswith("sha512-") and "resolved" not in package, name
