"""A torch module whose parameters are made on first use, under the names that another library has."""
import torch


class Named(torch.nn.Module):
    """self.p(name, shape) is a parameter, self.b(name, values) a buffer. Dots lead to parts."""

    def _home(self, name):
        *parts, last = name.split(".")
        at = self
        for part in parts:
            if part not in at._modules:
                at.add_module(part, torch.nn.Module())
            at = at._modules[part]
        return at, last

    def p(self, name, *shape):
        at, last = self._home(name)
        if last not in at._parameters:
            at.register_parameter(last, torch.nn.Parameter(torch.zeros(*shape)))
        return at._parameters[last]

    def b(self, name, values):
        at, last = self._home(name)
        if last not in at._buffers:
            at.register_buffer(last, values)
        return at._buffers[last]
