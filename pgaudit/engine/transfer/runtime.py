"""The run itself: environment, command line, process group, threads, clocks. This is where the effective configuration enters."""

from __future__ import annotations

from collections.abc import Callable

from pgaudit.engine.calls import Arguments, call, import_module
from pgaudit.engine.labels import Clock, Unset
from pgaudit.engine.machine import Machine, Setting, parts
from pgaudit.engine.transfer.builtins import first, nothing
from pgaudit.engine.transfer.strings import text_of
from pgaudit.engine.values import Const, Data, Either, Function, Instance, Native, Partial, Sequence, Value, known

DEFAULT = "code default"
ON = "on"
OFF = frozenset({"false", "no", "off", "none", "disabled", "skipped"})
OUTPUTS = ("tensor_list", "output_tensor", "object_list", "gather_list", "object_gather_list")
INPUTS = ("tensor", "input_tensor", "obj")
CALLBACK_KEYWORDS = ("target", "func", "fn")


def environment(m: Machine, name: Value | None, default: Value | None) -> Value:
    """What ``os.environ.get(name, default)`` gives in the run."""
    key = known(name)
    if not isinstance(key, str):
        return Data(scalar=True)
    setting = m.environment.get(key)
    if setting is not None and _is_word_for_number(setting.value, default):
        # A log line like ``NAME:start`` is no value, but nobody prints it of something that is off.
        setting = None if is_off(str(setting.value)) else Setting(None, setting.source)
    if setting is not None:
        m.read[key] = (setting.value if setting.value is not None else ON, setting.source)
        return Data(scalar=True) if setting.value is None and _is_choice(default) else set_value(setting)
    if isinstance(default, Const):
        m.read.setdefault(key, (str(default.value), DEFAULT))
        return off_default(m, key, default)
    return default if default is not None else off_default(m, key, Const(None))


def _is_word_for_number(value: str | None, default: Value | None) -> bool:
    return value is not None and _is_number(known(default)) and not _is_number(value)


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _is_choice(default: Value | None) -> bool:
    """One word that stands for the setting being of several kinds: which of the others it was, is not known."""
    word = known(default)
    return isinstance(word, str) and word.isalpha() and not is_off(word)


def set_value(setting: Setting) -> Value:
    """The value of a setting that something sets."""
    return Const(setting.value) if setting.value is not None else Data(scalar=True, positive=True)


def off_default(m: Machine, name: str, default: Const) -> Const:
    """A default that means *off*, or one word of several, says whose it is, so that what it keeps from running can be told."""
    off = (
        not default.value or is_off(str(default.value)) or (isinstance(default.value, str) and default.value.isalpha())
    )
    return Const(default.value, default.labels | m.labels.bit(Unset(name))) if off else default


def is_off(text: str) -> bool:
    """Does a setting's text mean *off*: a word for no, or zero?"""
    try:
        return float(text) == 0
    except ValueError:
        return text.lower() in OFF


def _get(m: Machine, args: Arguments, line: int) -> Value:
    return environment(m, args.get(0, "key"), args.get(1, "default"))


def _set_default(m: Machine, args: Arguments, line: int) -> Value:
    name, value = known(args.get(0, "key")), known(args.get(1, "value"))
    if isinstance(name, str) and isinstance(value, str):
        m.environment.setdefault(name, Setting(value, "set by the script"))
    return environment(m, args.get(0, "key"), args.get(1, "value"))


def set_environment(m: Machine, name: Value, value: Value) -> None:
    """``os.environ[name] = value``."""
    key, text = known(name), known(value)
    if isinstance(key, str) and isinstance(text, str) and not m.uncertain:
        m.environment[key] = Setting(text, "set by the script")


def _parser(m: Machine, args: Arguments, line: int) -> Value:
    """An ``ArgumentParser``: options are gathered, ``parse_args`` gives their values in the run."""
    options = Instance(None)
    parser = Instance(None)

    def add(given: Arguments) -> Value:
        _add_option(m, options, given)
        return Data()

    def sub(given: Arguments) -> Value:
        return parser

    parser.attrs = {
        "add_argument": Native(add),
        "parse_args": Native(lambda given: options),
        "parse_known_args": Native(lambda given: Sequence("tuple", [options, Sequence("list", [])])),
        "add_argument_group": Native(sub),
        "add_mutually_exclusive_group": Native(sub),
        "set_defaults": Native(lambda given: options.attrs.update(given.keywords) or Const(None)),
    }
    return parser


def _add_option(m: Machine, options: Instance, given: Arguments) -> None:
    names = [text_of(value) for value in given.positional]
    flag = next((name for name in names if name.startswith("--")), names[0] if names else "")
    option = flag.lstrip("-")
    target = known(given.keywords.get("dest")) or option.replace("-", "_")
    action = known(given.keywords.get("action"))
    default = given.keywords.get("default")
    if default is None:
        default = Const({"store_true": False, "store_false": True}.get(str(action)))
    setting = m.arguments.get(option)
    if setting is None:
        if isinstance(default, Const) and action != "store_false":
            default = off_default(m, f"--{option}", default)
        options.attrs[str(target)] = default
        return
    m.read[f"--{option}"] = (setting.value if setting.value is not None else ON, setting.source)
    value = Const(action == "store_true") if action in ("store_true", "store_false") else set_value(setting)
    kind = given.keywords.get("type")
    options.attrs[str(target)] = call(m, kind, Arguments([value], {}), m.line) if kind is not None else value


def _import_module(m: Machine, args: Arguments, line: int) -> Value:
    """``importlib.import_module(name)``."""
    name = known(args.get(0, "name"))
    return import_module(m, name) if isinstance(name, str) else Data(m.union(args.all()))


def _spec(m: Machine, args: Arguments, line: int) -> Value:
    """``spec_from_file_location(name, path)``: the module is known by its file."""
    path = args.get(1, "location")
    stem = text_of(path).rpartition("/")[2].removesuffix(".py") if path is not None else ""
    return Instance(
        None, {"name": Const(stem), "loader": Instance(None, {"exec_module": Native(lambda _: Const(None))})}
    )


def _module_of_spec(m: Machine, args: Arguments, line: int) -> Value:
    """``module_from_spec(spec)``."""
    spec = args.get(0, "spec")
    name = known(spec.attrs.get("name")) if isinstance(spec, Instance) else None
    return import_module(m, name) if isinstance(name, str) else Data()


def call_callbacks(m: Machine, args: Arguments, line: int) -> None:
    """Functions handed to foreign code may be called by it."""
    for value in args.all():
        if isinstance(value, Function) and value.node.name == "<lambda>" and not value.node.params:
            call(m, value, Arguments([], {}), line)


def _thread(m: Machine, args: Arguments, line: int) -> Value:
    target = next((args.keywords[name] for name in CALLBACK_KEYWORDS if name in args.keywords), None)
    given = args.keywords.get("args")
    if isinstance(target, Function | Partial):
        call(m, target, Arguments(list(given.store.items) if isinstance(given, Sequence) else [], {}), line)
    return Data()


def _pool(m: Machine, args: Arguments, line: int) -> Value:
    """An executor: work is done when it is handed in."""

    def submit(given: Arguments) -> Value:
        result = (
            call(m, given.positional[0], Arguments(given.positional[1:], given.keywords), m.line)
            if given.positional
            else Data()
        )
        return Instance(None, {"result": Native(lambda _: result)})

    def apply(given: Arguments) -> Value:
        from pgaudit.engine.transfer.builtins import FUNCTIONS as BUILTINS

        return BUILTINS["builtins.map"](m, given, m.line)

    return Instance(
        None,
        {
            "submit": Native(submit),
            "map": Native(apply),
            "starmap": Native(apply),
            "shutdown": Native(lambda _: Const(None)),
        },
    )


def _checkpoint(m: Machine, args: Arguments, line: int) -> Value:
    return call(m, args.positional[0], Arguments(args.positional[1:], {}), line) if args.positional else Data()


def _clock(m: Machine, args: Arguments, line: int) -> Value:
    return Data(m.labels.bit(Clock()), scalar=True)


def _number(value: object) -> Callable[[Machine, Arguments, int], Value]:
    return lambda m, args, line: Const(value)


def _gathered(m: Machine, args: Arguments, line: int) -> Value:
    """``all_gather(outputs, input)`` and its relatives: every rank's input, of which this one's is known."""
    target, source = _given(args, 0, OUTPUTS), _given(args, 1, INPUTS)
    labels = m.content(source)
    pending = [target] if target is not None else []
    seen: set[int] = set()
    while pending:
        part = pending.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, Sequence | Either):
            pending.extend(parts(part))
            if isinstance(part, Sequence) and not any(isinstance(item, Data) for item in part.store.items):
                part.store.rest = Data(labels, base=part.store.rest if isinstance(part.store.rest, Data) else None)
        elif isinstance(part, Data):
            m.write(part, labels, line)
    return Const(None)


def _given(args: Arguments, position: int, names: tuple[str, ...]) -> Value | None:
    return next((args.keywords[name] for name in names if name in args.keywords), args.get(position, ""))


def _swapped(args: Arguments) -> Arguments:
    """``gather`` has the input first, ``all_gather`` the outputs."""
    return Arguments(args.positional[1::-1] if len(args.positional) > 1 else [Data(), *args.positional], args.keywords)


def _world_size(m: Machine, args: Arguments, line: int) -> Value:
    size = m.environment["WORLD_SIZE"].value or ""
    return Const(int(size)) if size.isdecimal() else Data(scalar=True)


FUNCTIONS: dict[str, Callable[[Machine, Arguments, int], Value]] = {
    "os.environ.get": _get,
    "os.getenv": _get,
    "os.environ.setdefault": _set_default,
    "argparse.ArgumentParser": _parser,
    "importlib.import_module": _import_module,
    "importlib.util.spec_from_file_location": _spec,
    "importlib.util.module_from_spec": _module_of_spec,
    "threading.Thread": _thread,
    "concurrent.futures.ThreadPoolExecutor": _pool,
    "concurrent.futures.ProcessPoolExecutor": _pool,
    "multiprocessing.Pool": _pool,
    "torch.utils.checkpoint.checkpoint": _checkpoint,
    "time.time": _clock,
    "time.perf_counter": _clock,
    "time.monotonic": _clock,
    "torch.distributed.is_available": _number(True),
    "torch.distributed.is_initialized": _number(True),
    "torch.distributed.get_rank": _number(0),
    "torch.distributed.get_world_size": _world_size,
    "torch.distributed.all_reduce": nothing,
    "torch.distributed.broadcast": nothing,
    "torch.distributed.barrier": nothing,
    "torch.distributed.all_gather": _gathered,
    "torch.distributed.all_gather_into_tensor": _gathered,
    "torch.distributed.all_gather_object": _gathered,
    "torch.distributed.gather": lambda m, args, line: _gathered(m, _swapped(args), line),
    "torch.distributed.gather_object": lambda m, args, line: _gathered(m, _swapped(args), line),
    "torch.distributed.init_process_group": nothing,
    "torch.distributed.destroy_process_group": nothing,
    "contextlib.nullcontext": first,
    "functools.lru_cache": first,
    "functools.cache": first,
    "functools.wraps": first,
    "atexit.register": nothing,
    "warnings.filterwarnings": nothing,
}
