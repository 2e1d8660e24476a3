"""The Llama architecture in PyTorch, small and plain, with the weight names and the file format of Hugging Face checkpoints."""
import json
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass(frozen=True)
class Config:
    vocab_size: int = 1536
    hidden_size: int = 256
    intermediate_size: int = 448
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    context: int = 512
    rope_theta: float = 10000.0
    epsilon: float = 1e-5

    def hugging_face(self):
        return {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": self.vocab_size, "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size, "num_hidden_layers": self.layers, "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads, "head_dim": self.head_dim, "hidden_act": "silu", "max_position_embeddings": self.context,
            "rms_norm_eps": self.epsilon, "rope_theta": self.rope_theta, "rope_scaling": None, "tie_word_embeddings": True,
            "attention_bias": False, "mlp_bias": False, "attention_dropout": 0.0, "initializer_range": 0.02, "use_cache": True,
            "bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16",
        }


def wide(x):
    """At least float32: where rounding to bfloat16 would hurt."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class RmsNorm(nn.Module):
    def __init__(self, size, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x):
        x = wide(x)
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + self.epsilon) * self.weight


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.q_proj = linear(config.hidden_size, config.heads * config.head_dim)
        self.k_proj = linear(config.hidden_size, config.kv_heads * config.head_dim)
        self.v_proj = linear(config.hidden_size, config.kv_heads * config.head_dim)
        self.o_proj = linear(config.heads * config.head_dim, config.hidden_size)

    def forward(self, x, cos, sin):
        batch, length, _ = x.shape
        q, k, v = (projection(x).view(batch, length, -1, self.config.head_dim).transpose(1, 2)
                   for projection in (self.q_proj, self.k_proj, self.v_proj))
        q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        shared = self.config.heads // self.config.kv_heads
        k, v = k.repeat_interleave(shared, dim=1), v.repeat_interleave(shared, dim=1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))


def rotated(x, cos, sin):
    """Rotary embedding, the pairs made of element i of the first half and element i of the second."""
    first, second = wide(x).chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)


class FeedForward(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.gate_proj = linear(config.hidden_size, config.intermediate_size)
        self.up_proj = linear(config.hidden_size, config.intermediate_size)
        self.down_proj = linear(config.intermediate_size, config.hidden_size)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.input_layernorm = RmsNorm(config.hidden_size, config.epsilon)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RmsNorm(config.hidden_size, config.epsilon)
        self.mlp = FeedForward(config)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RmsNorm(config.hidden_size, config.epsilon)

    def forward(self, ids, cos, sin):
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.norm(x)


class Llama(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        positions = torch.arange(config.context, dtype=torch.float64)
        frequencies = config.rope_theta ** (-torch.arange(0, config.head_dim, 2, dtype=torch.float64) / config.head_dim)
        angles = torch.outer(positions, frequencies)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                into_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * config.layers) ** 0.5 if into_residual else 0.02)

    def forward(self, ids):
        kind = torch.promote_types(self.model.embed_tokens.weight.dtype, torch.float32)
        cos, sin = self.cos[:ids.shape[1]].to(kind), self.sin[:ids.shape[1]].to(kind)
        return F.linear(self.model(ids, cos, sin), self.model.embed_tokens.weight)

    def loss(self, rows):
        logits = self(rows[:, :-1])
        return F.cross_entropy(logits.float().flatten(0, 1), rows[:, 1:].flatten())


def save(model, folder):
    """Writes the weights in bfloat16, with config.json and generation_config.json."""
    header, payload, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for name, weight in sorted(model.state_dict().items()):
        data = weight.detach().cpu().to(torch.bfloat16).contiguous().view(torch.int16).numpy().tobytes()
        header[name] = {"dtype": "BF16", "shape": list(weight.shape), "data_offsets": [offset, offset + len(data)]}
        payload.append(data)
        offset += len(data)
    encoded = json.dumps(header, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    with open(f"{folder}/model.safetensors", "wb") as file:
        file.write(len(encoded).to_bytes(8, "little"))
        file.write(encoded)
        file.writelines(payload)
    for name, content in (("config.json", model.config.hugging_face()),
                          ("generation_config.json", {"bos_token_id": 1, "eos_token_id": 2, "do_sample": True, "temperature": 0.8, "top_p": 0.95})):
        with open(f"{folder}/{name}", "w") as file:
            json.dump(content, file, indent=2)
