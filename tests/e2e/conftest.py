"""Fixtures of the end-to-end tests. Every test that starts a gateway or an upstream gets them from here, so that
after each test the same questions are asked: does a sanitizer complain, is a descriptor, a connection or a child left,
has the gateway sent an upstream something malformed or unexpected, does it exit 0 on SIGTERM.
"""

import contextlib
import itertools
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib import recordings  # noqa: E402
from lib.certs import Certs  # noqa: E402
from lib.faultd import Faultd  # noqa: E402
from lib.gateway import Gateway, find_binary  # noqa: E402


class Stage:
    """The gateways and upstreams of one scope, and the checks at its end."""

    def __init__(self, folder, parent=None):
        self.folder = pathlib.Path(folder)
        self.parent = parent
        self.gateways, self.upstreams, self.closing = [], [], []
        self.allow_unmatched = False     # a test may set it: requests no script wanted are then no fault
        self.allow_problems = False      # likewise for malformed requests
        self._names = itertools.count(1)

    def start_gateway(self, config, **kw):
        gateway = Gateway(config, self.folder / f"gateway{next(self._names)}", start=False, **kw)
        gateway.expected_children = 0
        self.gateways.append(gateway)
        return gateway.start()

    def new_gateway(self, config, **kw):
        """As start_gateway, but not started: for tests of the start itself."""
        gateway = Gateway(config, self.folder / f"gateway{next(self._names)}", start=False, **kw)
        gateway.expected_children = 0
        self.gateways.append(gateway)
        return gateway

    def faultd(self, **kw):
        upstream = Faultd(**kw)
        self.upstreams.append(upstream)
        return upstream

    def all_gateways(self):
        return self.gateways + (self.parent.all_gateways() if self.parent else [])

    def all_upstreams(self):
        return self.upstreams + (self.parent.all_upstreams() if self.parent else [])

    def finish(self):
        """Ends the scope; the first fault found is raised after everything has been stopped."""
        faults = []
        for thing in reversed(self.closing):
            with contextlib.suppress(OSError):
                thing.close()
        for gateway in self.all_gateways():
            gateway.close_clients()
        faults += self._upstream_faults()
        for upstream in self.upstreams:
            upstream.stop()
        held = [u for u in self.all_upstreams() if u not in self.upstreams]
        for gateway in self.all_gateways():
            with _collect(faults):
                if gateway.process is not None:
                    gateway.check_quiet(allowed_connections=sum(len(u.open_conns()) for u in held if not u._unix),
                                        allowed_other=sum(len(u.open_conns()) for u in held if u._unix),
                                        children=gateway.expected_children)
        for gateway in self.gateways:
            with _collect(faults):
                gateway.stop()
        if faults:
            raise faults[0]

    def _upstream_faults(self):
        out = []
        for upstream in self.all_upstreams():
            unmatched, problems = upstream.take_faults()
            if unmatched and not self.allow_unmatched:
                out.append(AssertionError(f"requests no script wanted: {unmatched[:5]}"))
            if problems and not self.allow_problems:
                out.append(AssertionError(f"malformed requests to the upstream: {problems[:5]}"))
        return out


@contextlib.contextmanager
def _collect(faults):
    try:
        yield
    except Exception as e:      # every kind: the rest must still be stopped
        faults.append(e)


@pytest.fixture(scope="session")
def gateway_binary():
    binary = find_binary()
    if not binary:
        pytest.fail("no llm-gateway binary: build it first (make asan or make build), or set LLM_GATEWAY_BIN")
    return binary


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    return Certs(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="session")
def other_certs(tmp_path_factory):
    """A second CA, which nobody is told to trust."""
    return Certs(tmp_path_factory.mktemp("other-certs"), name="untrusted CA")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    """The SDKs of the test process see no key, base URL or proxy of the developer's."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "ANTHROPIC_API_KEY",
                 "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "GEMINI_API_KEY", "GOOGLE_API_KEY",
                 "GOOGLE_GEMINI_BASE_URL", "GOOGLE_GENAI_USE_VERTEXAI", "http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY",
                 "HTTPS_PROXY", "ALL_PROXY", "OLLAMA_HOST", "OLLAMA_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def module_stage(tmp_path_factory):
    """What all tests of a module share. The checks between tests are made by `stage`."""
    stage = Stage(tmp_path_factory.mktemp("module"))
    yield stage
    stage.finish()


@pytest.fixture
def stage(tmp_path, request):
    """The scope of one test; it knows the module's, if the module has one."""
    parent = request.getfixturevalue("module_stage") if "module_stage" in request.fixturenames else None
    stage = Stage(tmp_path, parent)
    # Scripts that a test adds to an upstream of the module go with the test.
    before = [(upstream, list(upstream.scripts)) for upstream in parent.upstreams] if parent else []
    for upstream, _ in before:
        upstream.forget()
    yield stage
    for upstream, scripts in before:
        upstream.scripts[:] = scripts
    stage.finish()


@pytest.fixture(autouse=True)
def _stage_always(request):
    """A test on a module's gateway is checked even if it asks for no `stage` itself."""
    if "module_stage" in request.fixturenames and "stage" not in request.fixturenames:
        request.getfixturevalue("stage")


@pytest.fixture
def faultd(stage):
    """faultd(**kw): a new scripted upstream, stopped after the test."""
    return stage.faultd


@pytest.fixture
def upstream(stage):
    """One scripted upstream on TCP."""
    return stage.faultd()


@pytest.fixture
def start_gateway(stage, gateway_binary):
    """start_gateway(config, **kw): a running gateway of this test's own."""
    return stage.start_gateway


@pytest.fixture
def new_gateway(stage, gateway_binary):
    return stage.new_gateway


@pytest.fixture(scope="module")
def start_module_gateway(module_stage, gateway_binary):
    """For a module's own `gateway` fixture of module scope: quicker, and checked after each test all the same."""
    return module_stage.start_gateway


@pytest.fixture(scope="module")
def module_faultd(module_stage):
    return module_stage.faultd


@pytest.fixture
def openai_client(stage):
    """openai_client(gateway): the official SDK pointed at it, without retries."""
    openai = pytest.importorskip("openai")

    def make(gateway, **kw):
        kw = {"base_url": f"{gateway.url}/v1", "api_key": "sk-test-client", "max_retries": 0, "timeout": 30, **kw}
        client = openai.OpenAI(**kw)
        stage.closing.append(client)
        return client
    return make


@pytest.fixture
def anthropic_client(stage):
    """anthropic_client(gateway): the official SDK pointed at it, without retries."""
    anthropic = pytest.importorskip("anthropic")

    def make(gateway, **kw):
        kw = {"base_url": gateway.url, "api_key": "sk-ant-test-client", "max_retries": 0, "timeout": 30, **kw}
        client = anthropic.Anthropic(**kw)
        stage.closing.append(client)
        return client
    return make


@pytest.fixture
def genai_client(stage):
    """genai_client(gateway): Google's official SDK pointed at it, without retries."""
    genai = pytest.importorskip("google.genai")

    def make(gateway, **options):
        client = genai.Client(api_key="test-client", http_options={"base_url": gateway.url, "timeout": 30000, **options})
        stage.closing.append(client)
        return client
    return make


@pytest.fixture
def ollama_client(stage):
    """ollama_client(gateway): the official SDK pointed at it."""
    ollama = pytest.importorskip("ollama")

    def make(gateway, **kw):
        client = ollama.Client(host=gateway.url, timeout=kw.pop("timeout", 30), **kw)
        stage.closing.append(client)
        return client
    return make


@pytest.fixture(scope="session")
def need_recordings():
    if recordings.shared_dir() is None:
        pytest.skip(recordings.reason_missing())
