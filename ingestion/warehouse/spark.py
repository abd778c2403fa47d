"""The Spark session, made from the dbt profile."""

from __future__ import annotations

import contextlib
import enum
import locale
import logging
import os
import pwd
import re
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ingestion.errors import PipelineError
from ingestion.warehouse.java import find_java
from ingestion.warehouse.spark_errors import spark_errors

if TYPE_CHECKING:
    import jinja2
    from pyspark.sql import SparkSession

PROFILE = "retail_mart"
_LOG = logging.getLogger(__name__)
_VARIABLES = "RETAIL_SPARK_"
WORK_SIZE_VARIABLE = "RETAIL_WORK_SIZE"  # a WorkSize; the profile chooses Spark's settings by it
_WAREHOUSE_DIR = "spark.sql.warehouse.dir"
SCRATCH_VARIABLE = "RETAIL_SCRATCH"  # a folder for what tasks exchange
DRIVER_MEMORY_VARIABLE = "RETAIL_SPARK_DRIVER_MEMORY"
_CLUSTER_SETTINGS = ("HADOOP_CONF_DIR", "YARN_CONF_DIR")  # they name another file system, say
_MEMORY_LIMITS = (  # of a container, version 2 and version 1 of control groups
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_LEAST_DRIVER_MB, _MOST_DRIVER_MB = 1024, 8192


class WorkSize(enum.StrEnum):
    """How much a run has to do: with little history, on top of much history, or much."""

    SMALL = "small"
    INCREMENT = "increment"
    LARGE = "large"


def find_profiles(project: Path, workspace: Path, environ: Mapping[str, str]) -> Path:
    """The folder whose ``profiles.yml`` dbt is to read.

    DBT_PROFILES_DIR, else the project folder, else ``~/.dbt`` where it has our profile, else a
    copy of the example in the workspace.
    """
    if environ.get("DBT_PROFILES_DIR"):
        return Path(environ["DBT_PROFILES_DIR"])
    if (project / "profiles.yml").is_file():
        return project
    home = Path.home() / ".dbt"
    if (home / "profiles.yml").is_file() and re.search(
        rf"^{PROFILE}:", (home / "profiles.yml").read_text("utf-8", "replace"), re.MULTILINE
    ):
        return home
    copy = workspace / "profiles"
    copy.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(project / "profiles.example.yml", copy / "profiles.yml")
    return copy


def read_target(profiles: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """The profile's chosen target (DBT_TARGET, else its ``target``) with ``env_var()`` rendered.

    dbt itself does not render it: importing dbt takes seconds and goes on while the JVM starts,
    which needs the target before. Raises ``PipelineError`` for a profile that cannot be read, or
    whose target is none for a run.
    """
    import jinja2

    path = profiles / "profiles.yml"

    def env_var(name: str, default: str | None = None) -> str:
        value = environ.get(name, default)
        if value is None:
            raise PipelineError(f"{path} needs the environment variable {name}")
        return value

    try:
        jinja = jinja2.Environment(undefined=jinja2.StrictUndefined)
        jinja.globals["env_var"] = env_var
        jinja.filters |= dict.fromkeys(("as_bool", "as_native", "as_number", "as_text"), str)
        text = path.read_text(encoding="utf-8")
        profile = _rendered(yaml.safe_load(text)[PROFILE], jinja)
        target = profile["outputs"][environ.get("DBT_TARGET") or profile["target"]]
        if not isinstance(target, dict):
            raise TypeError("the target has no settings")
    except (
        OSError,
        KeyError,
        TypeError,
        AttributeError,
        UnicodeDecodeError,
        yaml.YAMLError,
        jinja2.TemplateError,
    ) as error:
        is_missing = isinstance(error, KeyError)
        raise PipelineError(
            f"The dbt profile {PROFILE!r} in {path} cannot be read",
            found=f"no {error} in it" if is_missing else f"{type(error).__name__}: {error}",
            action="Compare it with profiles.example.yml",
        ) from error
    _check_target(target, path)
    for name in sorted(environ):
        is_meant = name.startswith(_VARIABLES) and name != DRIVER_MEMORY_VARIABLE  # set by a run
        if is_meant and name not in text:
            _LOG.warning("%s is set, and %s does not read it", name, path)
    return dict(target)


def _check_target(target: Mapping[str, Any], path: Path) -> None:
    """``PipelineError`` for a target that dbt could not use in this process."""
    if target.get("type") != "spark" or target.get("method") != "session":
        raise PipelineError(
            f"The dbt profile in {path} cannot be used by the pipeline",
            expected="type: spark with method: session (dbt runs in this process)",
            found=f"type: {target.get('type')}, method: {target.get('method')}",
        )
    threads = str(target.get("threads", 1))
    if not _is_count(threads):
        raise PipelineError(
            f"The dbt profile in {path} cannot be read",
            expected="threads: a number of models that are built at once, such as 4",
            found=f"threads: {threads}",
        )


def check_warehouse(target: Mapping[str, Any], warehouse: Path) -> None:
    """``PipelineError`` for a target that builds elsewhere, such as the one for trials."""
    found = (target.get("server_side_parameters") or {}).get(_WAREHOUSE_DIR)
    if found is None or Path(found).resolve() != warehouse.resolve():
        raise PipelineError(
            "The dbt target is not for runs of the pipeline",
            expected=f"{_WAREHOUSE_DIR}: {warehouse}",
            found=f"{_WAREHOUSE_DIR}: {found or 'not set'}",
            action="Unset DBT_TARGET, or compare profiles.yml with profiles.example.yml",
        )


def _is_count(text: str) -> bool:
    """Whether dbt takes it as a whole number from 1 on; it takes 4.0 too."""
    try:
        number = float(text)
    except ValueError:
        return False
    return number >= 1 and number.is_integer()


def _rendered(value: Any, jinja: jinja2.Environment) -> Any:
    if isinstance(value, str):
        return jinja.from_string(value).render()
    if isinstance(value, dict):
        return {key: _rendered(item, jinja) for key, item in value.items()}
    return value


def driver_memory(limits: Sequence[Path] = _MEMORY_LIMITS) -> str:
    """The JVM's memory where no setting says it: a quarter of this machine's or container's, from
    1 to 8 GB. Spark's tables lie on disk, so that a larger heap is of little use."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in limits:
        with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
            sizes.append(int(path.read_text()))
    quarter = min(sizes) // 4 // 1024**2
    return f"{min(max(quarter, _LEAST_DRIVER_MB), _MOST_DRIVER_MB)}m"


def start_session(target: Mapping[str, Any], environ: Mapping[str, str], log: Path) -> SparkSession:
    """The one session of this process, with the settings of the dbt profile's target.

    What the JVM writes to its standard error goes to the end of the file ``log``.
    """
    os.environ["JAVA_HOME"] = str(find_java(environ))
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    check_user(os.getuid())
    import pyspark
    from pyspark.sql import SparkSession

    settings = target.get("server_side_parameters") or {}
    # a machine's own Spark is another version, and what is to be submitted there is none of ours
    os.environ["SPARK_HOME"] = str(Path(pyspark.__file__).parent)
    os.environ.pop("PYSPARK_SUBMIT_ARGS", None)
    if str(settings.get("spark.master", "local")).startswith("local"):
        for name in _CLUSTER_SETTINGS:
            os.environ.pop(name, None)
    if sys.getfilesystemencoding() == "utf-8" != locale.getencoding().lower():
        os.environ["LC_ALL"] = "C.UTF-8"  # by which the JVM reads paths; Python needs none for them

    builder = SparkSession.builder.appName("retail-mart").enableHiveSupport()
    for name, value in settings.items():
        builder = builder.config(name, value)
    with spark_errors(f"Spark cannot start (its log is {log})"), _stderr_to(log), _stops_later():
        session = builder.getOrCreate()
        session.sql("show databases").collect()
    return session


def has_ended(session: SparkSession) -> bool:
    """Whether Spark's JVM, a child of this process, is no longer there."""
    gateway = session.sparkContext._gateway
    return gateway is not None and gateway.proc.poll() is not None


def check_user(user_id: int) -> None:
    """``PipelineError`` for a user without a name: Hadoop, in Spark, cannot do without one."""
    try:
        pwd.getpwuid(user_id)
    except KeyError as error:
        raise PipelineError(
            "Spark cannot start",
            expected="a user that has a name on this machine",
            found=f"the user id {user_id}, which is not in /etc/passwd",
            action=(
                "Run as another user, or give this one an entry (for example, in the container "
                "image)"
            ),
        ) from error


@contextlib.contextmanager
def _stderr_to(log: Path) -> Iterator[None]:
    """A process started in the block inherits ``log`` as its standard error; what this one writes
    meanwhile, in another thread, goes where it always does."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stderr.flush()
    is_live = sys.stderr is not sys.__stderr__  # a live line takes it, and writes elsewhere
    encoding = getattr(sys.stderr, "encoding", None)
    with os.fdopen(os.dup(2), "w", 1, encoding=encoding, errors="backslashreplace") as kept:
        try:
            with log.open("ab") as file:
                os.dup2(file.fileno(), 2)
            with contextlib.nullcontext() if is_live else contextlib.redirect_stderr(kept):
                yield
        finally:
            os.dup2(kept.fileno(), 2)


@contextlib.contextmanager
def _stops_later() -> Iterator[None]:
    """A stop waits for the end of the block: a JVM whose start is cut short would live for ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stops: list[int] = []

    def note(number: int, _: object) -> None:
        stops.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is note:  # Spark sets one that ends its jobs
                signal.signal(number, handler)
        by_hand = signal.getsignal(signal.SIGINT)  # ignored, perhaps, where Spark has not started
        if before[signal.SIGTERM] is signal.default_int_handler and callable(by_hand):
            signal.signal(signal.SIGTERM, by_hand)  # a scheduler's stop ends the jobs, too
        if stops:
            raise KeyboardInterrupt
