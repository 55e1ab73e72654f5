"""The critic of a language model's tokens. Chapter 19."""

import copy
import inspect

import torch
from torch import nn

from rlbook.language.models import Prompts
from rlbook.language.reader import evaluation_mode


class Critic(nn.Module):
    """V(prompt and tokens so far): a copy of the model's body, and one number for each token.

    The estimate is of the shaped rewards that are still to come, the price of the KL included,
    Eq. (19.15). It begins at 0.
    """

    def __init__(self, model):
        super().__init__()
        self.body = copy.deepcopy(model.base_model)
        self.head = nn.Linear(model.config.get_text_config().hidden_size, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.head.to(model.device)
        self.positions = "position_ids" in inspect.signature(self.body.forward).parameters

    def forward(
        self, prompts: Prompts, answers: torch.Tensor, completion_mask: torch.Tensor
    ) -> torch.Tensor:
        """V of the context in which each token of the answers was chosen: (B, T), 0 off the mask.

        The value for token t has read the prompt and the tokens before t, not t itself.
        """
        tokens = torch.cat([prompts.tokens, answers[:, :-1]], dim=1)  # (B, P + T - 1)
        mask = torch.cat([prompts.mask, completion_mask[:, :-1]], dim=1)
        options = {"position_ids": (mask.cumsum(-1) - 1).clamp(min=0)} if self.positions else {}
        with evaluation_mode(self.body):
            out = self.body(tokens, attention_mask=mask.long(), use_cache=False, **options)
        hidden = out.last_hidden_state[:, -answers.shape[1] :]  # (B, T, hidden)
        values = self.head(hidden.to(self.head.weight.dtype))[..., 0]
        return torch.where(completion_mask, values, 0.0)
