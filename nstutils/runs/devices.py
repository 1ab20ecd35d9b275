"""Where and in which number type the network computes, and why."""

import torch

from nstutils.library.errors import UserError

TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def choose(device: str = "auto", dtype: str = "auto") -> tuple[torch.device, torch.dtype]:
    """The device and number type in force; refuses what this computer does not have."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    name = device if device != "auto" else ("cuda" if there["cuda"] else "cpu")
    for what, value, known in (("device", name, ("auto", *there)), ("dtype", dtype, ("auto", *TYPES))):
        if value not in known:
            raise UserError(f"{what} {value!r} is not known; choose from {', '.join(known)}")
    if not there[name]:
        raise UserError(f"this computer offers no {name}; leave out the device, or choose cpu")
    return torch.device(name), TYPES.get(dtype) or (torch.bfloat16 if bfloat16_pays(name) else torch.float32)


def bfloat16_pays(device: str) -> bool:
    """Whether the processor multiplies bfloat16 numbers itself, and so about twice (AVX-512) to eight times (AMX) as fast."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    there = _has("_is_amx_tile_supported") or _has("_is_avx512_bf16_supported")
    return device == "cpu" and there and _used_by_onednn()


def _used_by_onednn() -> bool:
    """Whether oneDNN, which computes the convolutions, makes use of it: ONEDNN_MAX_CPU_ISA may forbid that."""
    test = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return test is None or bool(test())


def _has(feature: str) -> bool:
    test = getattr(torch.cpu, feature, None)  # private names: absent in some versions of torch, then float32 is taken
    return bool(test and test())


def reasons() -> str:
    """One line for `nstutils doctor`: what was chosen and why."""
    where, what = choose()
    who, amx = ("processor", _has("_is_amx_tile_supported")) if where.type == "cpu" else ("GPU", False)
    why = f"the {who} has no bfloat16 products"
    if what == torch.bfloat16:
        why = f"the {who} multiplies bfloat16 itself" + (" (AMX)" if amx else "")
    name = str(what).removeprefix("torch.")
    return f"{where}, {name} inside the network ({why}), float32 for picture, Gram matrices, losses and optimiser"
