"""The daemon under test as a black box: start it, look at it from outside, stop it, and see that it left nothing.

It relies only on what the documentation promises: `llm-gateway serve --config FILE`, the YAML keys, /health, signals,
exit codes. What the daemon holds (memory, descriptors, sockets, children) is read from /proc.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from .sseclient import Client

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
SANITIZER_LINE = re.compile(
    r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|UndefinedBehaviorSanitizer|: runtime error: )")
ASSERT_LINE = re.compile(r"(Assertion .* failed|stack smashing detected|free\(\): invalid|double free)")


def find_binary():
    """The binary to test: $LLM_GATEWAY_BIN, else the ASan build, else the release build; None if there is none."""
    named = os.environ.get("LLM_GATEWAY_BIN")
    if named:
        return os.path.abspath(named)
    for build in ("asan", "release"):
        path = CHECKOUT / "build" / build / "llm-gateway"
        if path.is_file():
            return str(path)
    return None


class PortHold:
    """A TCP port that nobody else is given while it is held, and that the gateway can bind nevertheless.

    A bound socket that does not listen keeps the kernel from handing the port out; set after the bind,
    SO_REUSEADDR and SO_REUSEPORT let a program that sets either of them listen there.
    """

    def __init__(self, host="127.0.0.1"):
        self._sock = socket.socket()
        self._sock.bind((host, 0))
        self.port = self._sock.getsockname()[1]
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def close(self):
        self._sock.close()


def to_yaml(value, indent=0):
    """Block-style YAML of dicts, lists and scalars, as a person would write it."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        return "".join(
            f"{pad}{_key(k)}:{_nested(v, indent)}" for k, v in value.items())
    if isinstance(value, list) and value:
        out = ""
        for item in value:
            text = to_yaml(item, indent + 1)
            out += f"{pad}- {text.lstrip()}" if isinstance(item, (dict, list)) and item else f"{pad}- {_scalar(item)}\n"
        return out
    return f"{pad}{_scalar(value)}\n"


def _nested(value, indent):
    if isinstance(value, (dict, list)) and value:
        return "\n" + to_yaml(value, indent + 1)
    return f" {_scalar(value)}\n"


def _key(key):
    return key if re.match(r"[A-Za-z_][A-Za-z0-9_.-]*\Z", str(key)) else json.dumps(str(key))


def _scalar(value):
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False)


def merged(base, more):
    """`more` over `base`, dictionaries merged all the way down."""
    out = dict(base)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(out.get(key), dict)
        out[key] = merged(out[key], value) if both else value
    return out


class _ReadySocket:
    """Where the daemon says, as sd_notify(3) has it, that all its workers are there: /health answers when the first is."""

    def __enter__(self):
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.bind("")     # a name of the kernel's choice
        name = self._sock.getsockname()
        self.env = {"NOTIFY_SOCKET": "@" + name[1:].decode()}
        return self

    def wait(self, timeout=5):
        """Returns when it has said so, or after the timeout."""
        self._sock.settimeout(timeout)
        with contextlib.suppress(TimeoutError):
            while not self._sock.recv(4096).startswith(b"READY=1"):
                pass

    def __exit__(self, *exc):
        self._sock.close()


class GatewayFailed(Exception):
    """The daemon did not start, died, or left something behind. The message holds its last output."""


class Gateway:
    """One running `llm-gateway serve`.

    `config` is a dict (server.address, admin.address and data_dir are filled in unless given) or YAML text, which is
    written as it stands; then --listen and LLM_GATEWAY_ADMIN_ADDRESS say where to listen.
    """

    def __init__(self, config, folder, *, binary=None, env=None, args=(), ready_timeout=15, start=True, cwd=None,
                 wrapper=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.binary = binary or find_binary()
        if not self.binary:
            raise GatewayFailed("no llm-gateway binary: build it first (make asan or make build)")
        self.ready_timeout = ready_timeout
        self._holds = [PortHold(), PortHold()]
        self.port, self.admin_port = (hold.port for hold in self._holds)
        self.address = ("127.0.0.1", self.port)
        self.admin_address = ("127.0.0.1", self.admin_port)
        self.config_file = self.folder / "gateway.yaml"
        self.stdout_file, self.stderr_file = self.folder / "stdout", self.folder / "stderr"
        self.args = list(args)
        self.cwd = cwd or self.folder
        self.wrapper = list(wrapper)
        self.env = self._environment(env or {})
        self.process = None
        self.exit_code = None
        self.baseline = None
        self._clients = []
        self.write_config(config)
        if start:
            self.start()

    # ---- starting and stopping ---------------------------------------------------------------------------------

    def _environment(self, more):
        """Nothing of the developer's environment: no real key, proxy or configuration gets in."""
        env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(self.folder / "home"), "LANG": "C.UTF-8",
               "TMPDIR": str(self.folder),
               "ASAN_OPTIONS": "detect_leaks=1:detect_stack_use_after_return=1:exitcode=99:abort_on_error=0",
               "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=99",
               "TSAN_OPTIONS": "halt_on_error=0:exitcode=99:second_deadlock_stack=1"}
        (self.folder / "home").mkdir(exist_ok=True)
        for name in ("LSAN_OPTIONS", "LLVM_PROFILE_FILE", "GCOV_PREFIX"):
            if name in os.environ:
                env[name] = os.environ[name]
        env.update({k: str(v) for k, v in more.items() if v is not None})
        return env

    def write_config(self, config):
        """(Re)writes the configuration file; .reload() makes the daemon read it."""
        if isinstance(config, dict):
            own = {"server": {"address": f"127.0.0.1:{self.port}"}, "admin": {"address": f"127.0.0.1:{self.admin_port}"},
                   "data_dir": str(self.folder / "data")}
            text = to_yaml(merged(own, config))
        else:
            text = config
            if "--listen" not in self.args:
                self.args += ["--listen", f"127.0.0.1:{self.port}"]
            self.env.setdefault("LLM_GATEWAY_ADMIN_ADDRESS", f"127.0.0.1:{self.admin_port}")
        # A rename, so that a reload never sees half a file.
        temporary = self.config_file.with_suffix(".new")
        temporary.write_text(text, encoding="utf-8")
        temporary.rename(self.config_file)

    def start(self, wait=True):
        self.exit_code = None
        with open(self.stdout_file, "ab") as out, open(self.stderr_file, "ab") as err, _ReadySocket() as ready:
            self.process = subprocess.Popen(
                [*self.wrapper, self.binary, "serve", "--config", str(self.config_file), *self.args], cwd=self.cwd,
                env={**ready.env, **self.env}, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True)
            if wait:
                self.wait_ready()
                if "NOTIFY_SOCKET" not in self.env:
                    ready.wait()
                self.baseline = self.descriptors()
        return self

    def wait_ready(self):
        """Returns once /health answers 200."""
        deadline = time.monotonic() + self.ready_timeout
        while not self.healthy():
            if self.process.poll() is not None:
                raise GatewayFailed(f"exit {self.process.returncode} at start\n{self.last_output()}")
            if time.monotonic() > deadline:
                self.kill()
                raise GatewayFailed(f"no 200 from /health within {self.ready_timeout} s\n{self.last_output()}")
            time.sleep(0.005)

    def healthy(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health", headers={"Connection": "close"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self, config=None):
        """SIGHUP, after writing a new configuration if one is given."""
        if config is not None:
            self.write_config(config)
        self.signal(signal.SIGHUP)

    def wait_exit(self, timeout=10):
        """The exit code; GatewayFailed if it is still running then."""
        try:
            self.exit_code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise GatewayFailed(f"still running after {timeout} s\n{self.last_output()}") from None
        return self.exit_code

    def stop(self, timeout=10):
        """SIGTERM; must exit 0 in time, without a sanitizer's complaint, and leave no child."""
        self.close_clients()
        if self.process is None or self.exit_code is not None:
            self._release_ports()
            return
        children = self.children()
        if self.running:
            self.signal(signal.SIGTERM)
        try:
            code = self.wait_exit(timeout)
        except GatewayFailed:
            self.kill()
            raise
        finally:
            self._release_ports()
        self.check_output()
        if code != 0:
            raise GatewayFailed(f"exit {code} on SIGTERM\n{self.last_output()}")
        alive = [pid for pid in children if _wait_gone(pid)]
        if alive:
            raise GatewayFailed(f"children {alive} outlive the gateway")

    def kill(self):
        """SIGKILL to the daemon alone."""
        if self.running:
            self.process.kill()
        if self.process:
            self.exit_code = self.process.wait(10)

    def _release_ports(self):
        for hold in self._holds:
            hold.close()

    @property
    def sanitized(self):
        """Whether the binary is a sanitizer build, whose memory and speed say nothing."""
        return b"__asan_init" in (data := pathlib.Path(self.binary).read_bytes()) or b"__tsan_init" in data

    # ---- talking to it -----------------------------------------------------------------------------------------

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def connect(self, **kw):
        """A strict client connected to it; closed at the end of the test."""
        client = Client(self.address, **kw)
        self._clients.append(client)
        return client

    def request(self, method, target, headers=(), body=None, **kw):
        """One request on a connection of its own; the whole answer."""
        with self.connect() as client:
            client.request(method, target, headers, body, **kw)
            return client.read_response(method)

    def close_clients(self):
        while self._clients:
            with contextlib.suppress(OSError):
                self._clients.pop().close()

    # ---- what it says ------------------------------------------------------------------------------------------

    def output(self):
        """All it has written to stdout and stderr."""
        parts = [p.read_text(encoding="utf-8", errors="replace") for p in (self.stdout_file, self.stderr_file)
                 if p.exists()]
        return "".join(parts)

    def last_output(self, n=6000):
        return self.output()[-n:]

    def log_records(self):
        """Every JSON object among the lines of output."""
        records = []
        for line in self.output().split("\n"):
            if line.startswith("{"):
                with contextlib.suppress(ValueError):
                    records.append(json.loads(line))
        return records

    def access_records(self):
        """The access records: one per finished exchange."""
        return [r for r in self.log_records() if is_access_record(r)]

    def wait_access(self, condition=lambda record: True, n=1, timeout=5):
        """The access records that meet the condition, once there are n of them."""
        deadline = time.monotonic() + timeout
        while len(found := [r for r in self.access_records() if condition(r)]) < n:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {n} access records after {timeout} s\n{self.last_output()}")
            time.sleep(0.01)
        return found

    def wait_log(self, pattern, timeout=5):
        """The match of a regular expression in the output, once it is there."""
        deadline = time.monotonic() + timeout
        while not (m := re.search(pattern, self.output())):
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {pattern!r} in the output after {timeout} s\n{self.last_output()}")
            time.sleep(0.01)
        return m

    # ---- what it holds -----------------------------------------------------------------------------------------

    def rss_kib(self):
        return _status_kib(self.pid, "VmRSS")

    def peak_rss_kib(self):
        return _status_kib(self.pid, "VmHWM")

    def cpu_seconds(self):
        """User and system time of all its threads so far."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def fds(self):
        """{descriptor: what it points to}"""
        out = {}
        for name in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(OSError):
                out[int(name)] = os.readlink(f"/proc/{self.pid}/fd/{name}")
        return out

    def children(self):
        """Pids of its child processes."""
        out = []
        for task in os.listdir(f"/proc/{self.pid}/task") if self.running else ():
            with contextlib.suppress(OSError):
                text = pathlib.Path(f"/proc/{self.pid}/task/{task}/children").read_text()
                out += [int(pid) for pid in text.split()]
        return out

    def sockets(self):
        """Its TCP sockets as (state, local port, remote port)."""
        table = _tcp_table(self.pid)
        inodes = [int(m.group(1)) for m in (re.match(r"socket:\[(\d+)\]", t) for t in self.fds().values()) if m]
        return [table[inode] for inode in inodes if inode in table]

    def descriptors(self):
        """What it holds, counted: listeners, connections, CLOSE_WAIT, and all that is not a TCP socket."""
        table = _tcp_table(self.pid)
        counts = {"listen": 0, "connected": 0, "close_wait": 0, "other": 0}
        for target in self.fds().values():
            if target == "/dev/null":   # reserves for when descriptors run out; libuv takes one at a loop's first stream
                continue
            if re.search(r"\.db(-wal|-shm)?( \(deleted\))?$", target):   # the store's, opened with its first call
                continue
            m = re.match(r"socket:\[(\d+)\]", target)
            state = table.get(int(m.group(1)), (None,))[0] if m else None
            kind = {"LISTEN": "listen", "CLOSE_WAIT": "close_wait", None: "other"}.get(state, "connected")
            counts[kind] += 1
        return counts

    # ---- after each test ---------------------------------------------------------------------------------------

    def check_output(self):
        """Raises if a sanitizer or an assertion has spoken."""
        for line in self.output().split("\n"):
            if SANITIZER_LINE.search(line) or ASSERT_LINE.search(line):
                raise GatewayFailed(f"{line}\n{self.last_output(12000)}")

    def check_quiet(self, allowed_connections=0, allowed_other=0, children=0, timeout=5):
        """Raises unless, within the timeout, its descriptors are back to what they were after the start.

        `allowed_connections` and `allowed_other`: TCP and other connections that upstreams of the test hold idle, as
        a pool may. `children`: how many child processes are meant to be there.
        """
        self.check_output()
        if not self.running:
            if self.exit_code is None:
                raise GatewayFailed(f"died with {self.process.poll()}\n{self.last_output()}")
            return
        deadline = time.monotonic() + timeout
        while (wrong := self._leaks(allowed_connections, allowed_other, children)):
            if time.monotonic() > deadline:
                raise GatewayFailed(f"not quiet {timeout} s after the test: {wrong}\nsockets: {self.sockets()}\n"
                                    f"{sorted(self.fds().items())}\n{self.last_output(3000)}")
            time.sleep(0.01)

    def _leaks(self, allowed_connections, allowed_other, children):
        now, wrong = self.descriptors(), []
        if now["close_wait"]:
            wrong.append(f"{now['close_wait']} sockets in CLOSE_WAIT")
        if now["connected"] > self.baseline["connected"] + allowed_connections:
            wrong.append(f"{now['connected']} TCP connections, {allowed_connections} allowed")
        if now["other"] > self.baseline["other"] + allowed_other:
            wrong.append(f"{now['other']} other descriptors, {self.baseline['other']} at start")
        if now["listen"] > self.baseline["listen"]:
            wrong.append(f"{now['listen']} listeners")
        if len(self.children()) > children:
            wrong.append(f"children {self.children()}")
        return wrong


def is_access_record(record):
    """Whether a log line is an access record."""
    return isinstance(record, dict) and record.get("event") == "access"


def run_cli(*args, folder, env=None, timeout=20, input=None, binary=None):
    """Runs `llm-gateway ARGS` in a clean environment; the CompletedProcess with text output."""
    folder = pathlib.Path(folder)
    clean = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(folder), "LANG": "C.UTF-8",
             "ASAN_OPTIONS": "detect_leaks=1:exitcode=99", "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99"}
    clean.update(env or {})
    return subprocess.run([binary or find_binary(), *args], cwd=folder, env=clean, timeout=timeout, input=input,
                          stdin=subprocess.DEVNULL if input is None else None, capture_output=True, text=True)


def _status_kib(pid, name):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise GatewayFailed(f"no {name} of {pid}")


STATES = {"01": "ESTABLISHED", "02": "SYN_SENT", "03": "SYN_RECV", "04": "FIN_WAIT1", "05": "FIN_WAIT2",
          "06": "TIME_WAIT", "07": "CLOSE", "08": "CLOSE_WAIT", "09": "LAST_ACK", "0A": "LISTEN", "0B": "CLOSING"}


def _tcp_table(pid):
    """{inode: (state, local port, remote port)} of the network namespace."""
    table = {}
    for name in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/net/{name}") as f:
            next(f)
            for line in f:
                fields = line.split()
                table[int(fields[9])] = (STATES.get(fields[3], fields[3]), int(fields[1].rpartition(":")[2], 16),
                                         int(fields[2].rpartition(":")[2], 16))
    return table


def _wait_gone(pid, timeout=3):
    """Whether the process is still there after the timeout."""
    deadline = time.monotonic() + timeout
    while os.path.exists(f"/proc/{pid}"):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.01)
    return False
