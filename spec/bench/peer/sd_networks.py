"""The networks of Stable Diffusion 1.5 from a folder of diffusers, each as one module with plain inputs."""
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel


class UNet(torch.nn.Module):
    """A step with guidance: two images."""

    names = ("x", "t", "context")

    def __init__(self, folder, dtype):
        super().__init__()
        self.net = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=dtype)

    def forward(self, x, t, context):
        return self.net(x, t, context, return_dict=False)[0]

    @staticmethod
    def inputs():
        return torch.randn(2, 4, 64, 64), torch.full((2,), 500.0), torch.randn(2, 77, 768)


class Decode(torch.nn.Module):
    names = ("x",)

    def __init__(self, folder, dtype):
        super().__init__()
        self.net = AutoencoderKL.from_pretrained(folder, subfolder="vae", torch_dtype=dtype)
        del self.net.encoder, self.net.quant_conv

    def forward(self, x):
        return self.net.decode(x, return_dict=False)[0]

    @staticmethod
    def inputs():
        return (torch.randn(1, 4, 64, 64),)


class Text(torch.nn.Module):
    names = ("x",)

    def __init__(self, folder, dtype):
        super().__init__()
        self.net = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder", torch_dtype=dtype)

    def forward(self, x):
        return self.net(x.long()).last_hidden_state

    @staticmethod
    def inputs():
        return (torch.randint(1, 49407, (2, 77)).float(),)


def kind(w):
    return {"unet": UNet, "decode": Decode, "text": Text}[w["part"]]
