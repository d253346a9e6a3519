"""LoRA adapters made on the spot, saved as PEFT saves them."""

import json

import peft
import torch
from safetensors.torch import save_file


def add(model, folder, targets, rank=4, alpha=6, seed=7, **options):
    """An adapter with both factors random, saved to the folder. @return the model that applies it"""
    config = peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=targets, lora_dropout=0.0, **options)
    adapted = peft.get_peft_model(model, config).eval()
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, value in adapted.named_parameters():
            if "lora_" in name:
                value.copy_(0.2 * torch.randn_like(value))
    adapted.save_pretrained(folder)
    return adapted


def write(folder, tensors, rank=4, alpha=6, **config):
    """A folder by hand, for what PEFT no longer makes, and for what is wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": rank, "lora_alpha": alpha, "target_modules": [], **config}))


def factors(module, n_out, n_in, rank=4, seed=1):
    generator = torch.Generator().manual_seed(seed)
    a, b = 0.2 * torch.randn(rank, n_in, generator=generator), 0.2 * torch.randn(n_out, rank, generator=generator)
    return {f"base_model.model.{module}.lora_A.weight": a, f"base_model.model.{module}.lora_B.weight": b}
