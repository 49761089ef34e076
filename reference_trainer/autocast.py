"""The arithmetic of a forward pass, the same wherever a network runs: in training, calibration and evaluation."""

import torch


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 for matrix products on a GPU; on a CPU everything stays float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")
