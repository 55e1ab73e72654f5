"""The critic of a language model's tokens. Chapter 19."""

import copy

import torch
from torch import nn

from rlbook.language.models import Prompts
from rlbook.language.reader import answer_outputs


class Critic(nn.Module):
    """V(prompt and tokens so far): a copy of the model's body, and one number for each token.

    The estimate is of the shaped rewards that are still to come, the price of the KL included,
    Eq. (19.15). It begins at 0.
    """

    def __init__(self, model):
        super().__init__()
        self.body = copy.deepcopy(model.base_model)
        size = model.config.get_text_config().hidden_size
        dtype = torch.promote_types(model.dtype, torch.float32)
        self.head = nn.Linear(size, 1, dtype=dtype, device=model.device)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, prompts: Prompts, answers: torch.Tensor, completion_mask: torch.Tensor
    ) -> torch.Tensor:
        """V of the context in which each token of the answers was chosen: (B, T), 0 off the mask.

        The value for token t has read the prompt and the tokens before t, not t itself.
        """
        hidden = answer_outputs(self.body, prompts, answers, completion_mask)  # (B, T, hidden)
        values = self.head(hidden)[..., 0]
        return torch.where(completion_mask, values, 0.0)
