"""A second device for tests on computers that have none: the processor under the name cuda. What mixes the two stops, as on a
GPU; its numbers are those of the processor."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

OTHER = torch.device("cuda", 0)
LIKE = (torch.zeros_like, torch.ones_like, torch.empty_like, torch.rand_like, torch.randn_like, torch.full_like)
MAY_MIX = {"copy_", "index", "index_put", "index_put_", "_to_copy", "detach"}  # also on a GPU


class There(torch.Tensor):
    """A tensor on the other device: `here` holds its numbers."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> "There":
        about = {"strides": here.stride(), "storage_offset": here.storage_offset(), "dtype": here.dtype}
        made = torch.Tensor._make_wrapper_subclass(cls, here.size(), device="cpu", requires_grad=False, **about)
        made.here = here
        return made

    @property
    def device(self) -> torch.device:
        return OTHER

    def __format__(self, how: str) -> str:
        return format(self.here.item(), how)

    def is_contiguous(self, memory_format: torch.memory_format = torch.contiguous_format) -> bool:
        return self.here.is_contiguous(memory_format=memory_format)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


class Moved(torch.autograd.Function):
    """A tensor brought to the other device, or back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.here.clone() if isinstance(x, There) else There(x.detach().clone())

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        return upstream.here if isinstance(upstream, There) else There(upstream.detach())


def elsewhere(device: Any) -> bool:
    """Whether this is the other device."""
    return device is not None and torch.device(device).type == OTHER.type


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation on the device of its tensors; refuses those of both."""
    tensors = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
    there = [x for x in tensors if isinstance(x, There)]
    name = func.__name__.split(".")[0]
    if there and name not in MAY_MIX and any(not isinstance(x, There) and x.ndim for x in tensors):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found cuda:0 and cpu")
    asked = kwargs.get("device")
    words, named = tree_map(lambda x: x.here if isinstance(x, There) else x, (args, kwargs))
    found = func(*words, **named | ({"device": "cpu"} if elsewhere(asked) else {}))
    if name.endswith("_") and isinstance(args[0], Tensor):
        return args[0]
    stays = isinstance(args[0], There) if name == "index" else bool(there)
    if not (stays if asked is None else elsewhere(asked)):
        return found
    known = {id(x.here): x for x in there}
    return tree_map(lambda x: known.get(id(x)) or There(x) if isinstance(x, Tensor) and not isinstance(x, There) else x, found)


class Operations(TorchDispatchMode):
    """Operations that begin with tensors of the processor alone."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


class Calls(TorchFunctionMode):
    """What names a device, and what torch would answer without asking the tensor."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        there = bool(args) and isinstance(args[0], There)
        if func is torch.Tensor.cpu:
            return Moved.apply(args[0]) if there else args[0]
        if func is torch.Tensor.to:
            return moved(func, args, kwargs)
        if there and func in (torch.Tensor.numpy, torch.Tensor.__array__):
            raise TypeError("can't convert cuda:0 device type tensor to numpy; use Tensor.cpu() first")
        if there and func is torch.Tensor.tolist:
            return args[0].here.tolist()
        if there and func in LIKE and "device" not in kwargs:
            return There(func(args[0].here, *args[1:], **kwargs))
        if elsewhere(kwargs.get("device")):
            del kwargs["device"]
            return Moved.apply(func(*(x.here if isinstance(x, There) else x for x in args), **kwargs))
        found = func(*args, **kwargs)
        return Moved.apply(found) if there and func is torch.Tensor.new_tensor else found


def moved(func: Any, args: Any, kwargs: dict[str, Any]) -> Tensor:
    """Tensor.to: the number type as torch does it, the device as this module does."""
    x, *rest = args
    model = next((a for a in rest if isinstance(a, Tensor)), None)
    named = (a for a in rest if isinstance(a, str | torch.device))
    device = kwargs.pop("device", None) or next(named, None) or (model.device if model is not None else None)
    types = [a for a in rest if isinstance(a, torch.dtype)] + ([model.dtype] if model is not None else [])
    kwargs = {key: value for key, value in kwargs.items() if key in ("dtype", "memory_format") and value is not None}
    x = func(x, *types, **kwargs) if types or kwargs else x
    return x if device is None or elsewhere(device) == isinstance(x, There) else Moved.apply(x)


@contextlib.contextmanager
def second_device(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """While it lasts this computer has a device cuda, which has no bfloat16."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **how: False)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *device: (10**10, 10**10))
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: None)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda **how: None)
    monkeypatch.setattr(torch.__future__, "get_overwrite_module_params_on_conversion", lambda: True)
    with Operations(), Calls():
        yield
