"""Writes tiny random checkpoints of many model families with the answers Hugging Face transformers gives for them.

    python3 make_references.py OUT_DIR [NAME ...]        (needs torch and transformers 5; a GPU is not used)

Each OUT_DIR/NAME holds config.json, generation_config.json, model.safetensors and reference.json:
{"transformers": version, "prompts": [[id]], "logits_last": [[float]], "greedy": [[id]]}, all computed in float32 on the
CPU from the weights as stored. OUT_DIR.tar.gz is the same folder in one file.

Weights are drawn wide (standard deviation 0.12), norms and biases are not left at one and zero, and a seed is only kept
when the two best logits of every greedy step differ by MIN_GAP, so that any faithful float32 engine picks the same tokens.
"""
import inspect
import json
import os
import sys
import tarfile
import traceback

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

PROMPT_LENGTHS = (1, 5, 17, 40, 100)
NEW_TOKENS = 16
MIN_GAP = 2e-3
MAX_SEEDS = 80

BF16, F16, F32 = torch.bfloat16, torch.float16, torch.float32

SPECIAL = dict(bos_token_id=1, eos_token_id=2, initializer_range=0.12, max_position_embeddings=128)
BASE = dict(SPECIAL, pad_token_id=0, vocab_size=96, hidden_size=32, intermediate_size=56, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=2)
FALCON = dict(SPECIAL, vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, bias=False, alibi=False,
              parallel_attn=True, multi_query=True, new_decoder_architecture=False)
QWEN_MOE = dict(BASE, head_dim=16, moe_intermediate_size=24, num_experts=4, num_experts_per_tok=2, norm_topk_prob=True)
ROPE_HEADS = dict(BASE, intermediate_size=40, num_attention_heads=2, num_key_value_heads=1, head_dim=32)


def yarn(**extra):
    return dict(rope_type="yarn", rope_theta=1000.0, factor=4.0, original_max_position_embeddings=32, **extra)


# name: (model type, configuration, rotary parameters or None, type the weights are stored in)
CASES = {
    "phi3-fused-bf16": ("phi3", BASE, None, BF16),
    "phi3-partial-rotary-window-bf16": (
        "phi3", dict(BASE, num_attention_heads=2, num_key_value_heads=1, sliding_window=8),
        dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5), BF16),
    "gemma2-softcap-window-bf16": (
        "gemma2", dict(BASE, num_hidden_layers=3, head_dim=12, query_pre_attn_scalar=20, sliding_window=8,
                       attn_logit_softcapping=2.0, final_logit_softcapping=5.0), None, BF16),
    "qwen3moe-normalised-bf16": ("qwen3_moe", QWEN_MOE, None, BF16),
    "qwen3moe-unnormalised-first-dense-bf16": (
        "qwen3_moe", dict(QWEN_MOE, norm_topk_prob=False, mlp_only_layers=[0]), None, BF16),
    "qwen3moe-sparse-step-bf16": (
        "qwen3_moe", dict(QWEN_MOE, num_hidden_layers=4, decoder_sparse_step=2, mlp_only_layers=[1]), None, BF16),
    "mixtral-f32": (
        "mixtral", dict(BASE, intermediate_size=24, num_local_experts=4, num_experts_per_tok=2, sliding_window=None), None, F32),
    "falcon-rw-alibi-bf16": (
        "falcon", dict(FALCON, alibi=True, parallel_attn=False, multi_query=False, bias=True), None, BF16),
    "falcon-alibi-multi-query-bf16": (  # six heads: the slopes of a head count that is no power of two
        "falcon", dict(FALCON, alibi=True, hidden_size=48, num_attention_heads=6, ffn_hidden_size=96), None, BF16),
    "falcon-new-decoder-one-norm-bf16": (
        "falcon", dict(FALCON, new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1), None, BF16),
    "llama-biases-bf16": ("llama", dict(BASE, attention_bias=True, mlp_bias=True), None, BF16),
    "llama-odd-sizes-f16": (
        "llama", dict(BASE, hidden_size=40, num_attention_heads=5, num_key_value_heads=1, head_dim=24, intermediate_size=52,
                      vocab_size=101), None, F16),
    "llama-rope-linear-bf16": (
        "llama", ROPE_HEADS, dict(rope_type="linear", rope_theta=10000.0, factor=4.0), BF16),
    "llama-rope-llama3-bf16": (
        "llama", ROPE_HEADS, dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0,
                                  high_freq_factor=4.0, original_max_position_embeddings=64), BF16),
    "llama-rope-yarn-bf16": ("llama", ROPE_HEADS, yarn(), BF16),
    "llama-rope-yarn-betas-bf16": ("llama", ROPE_HEADS, yarn(attention_factor=1.25, beta_fast=4.0, beta_slow=0.5), BF16),
    "llama-rope-yarn-untruncated-bf16": ("llama", ROPE_HEADS, yarn(beta_fast=4.0, beta_slow=1.0, truncate=False), BF16),
    "qwen2-window-layers-bf16": (
        "qwen2", dict(BASE, num_hidden_layers=3, use_sliding_window=True, sliding_window=8, max_window_layers=1), None, BF16),
    "qwen2-tied-bf16": ("qwen2", dict(BASE, tie_word_embeddings=True), None, BF16),
    "mistral-head-dim-window-bf16": ("mistral", dict(BASE, head_dim=16, sliding_window=8), None, BF16),
}


def attention_of(config):
    """Falcon's eager attention in transformers 5.17 adds ALiBi twice, in the mask and to the scores; the others add it once."""
    return "sdpa" if getattr(config, "alibi", False) else "eager"


def make_config(model_type, settings, rope):
    settings = dict(settings)
    if rope is not None and int(transformers.__version__.split(".")[0]) >= 5:
        settings["rope_parameters"] = rope
    elif rope is not None:
        scaling = dict(rope)
        settings["rope_theta"] = scaling.pop("rope_theta")
        if "partial_rotary_factor" in scaling:
            settings["partial_rotary_factor"] = scaling.pop("partial_rotary_factor")
        if scaling["rope_type"] != "default":
            settings["rope_scaling"] = scaling
    return AutoConfig.for_model(model_type, **settings)


def make_model(config, seed, storage):
    """A random model whose float32 weights are exactly those that the storage type can hold."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention_of(config)).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                # Gemma's norms multiply by 1 + weight, all others by the weight
                is_scale = name.endswith("weight") and config.model_type != "gemma2"
                weight.copy_(torch.rand_like(weight) * 0.5 + (0.75 if is_scale else -0.25))
            weight.copy_(weight.to(storage).float())
    return model


def next_logits(model, ids):
    inputs = {"input_ids": torch.tensor([ids]), "use_cache": False}
    if getattr(model.config, "alibi", False):
        inputs["attention_mask"] = torch.ones(1, len(ids), dtype=torch.long)
    with torch.no_grad():
        return model(**inputs).logits[0, -1].float()


def answer(model, prompts, required_gap):
    """Last logits and greedy tokens of each prompt, and the smallest gap; stops as soon as a gap is below the required one."""
    logits_last, greedy, smallest = [], [], float("inf")
    for prompt in prompts:
        ids = list(prompt)
        for _ in range(NEW_TOKENS):
            logits = next_logits(model, ids)
            if len(ids) == len(prompt):
                logits_last.append([round(float(v), 6) for v in logits])
            best = torch.topk(logits, 2)
            smallest = min(smallest, float(best.values[0] - best.values[1]))
            if smallest < required_gap:
                return None, None, smallest
            ids.append(int(best.indices[0]))
        greedy.append(ids[len(prompt):])
    return logits_last, greedy, smallest


def make_prompts(vocabulary, seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, vocabulary, (n,), generator=generator).tolist() for n in PROMPT_LENGTHS]


def write_case(folder, number, model_type, settings, rope, storage):
    prompts = make_prompts(settings["vocab_size"], 100 + number)
    for attempt in range(MAX_SEEDS):
        model = make_model(make_config(model_type, settings, rope), 1000 * (number + 1) + attempt, storage)
        if answer(model, prompts, MIN_GAP)[0] is not None:
            break
    else:
        raise RuntimeError(f"no seed of {MAX_SEEDS} keeps the two best logits {MIN_GAP} apart")

    model.to(storage).save_pretrained(folder)
    # Read back, so that rotary tables and other unsaved buffers are float32 again, never rounded to the storage type.
    stored = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention_of(model.config)).eval()
    logits_last, greedy, smallest = answer(stored, prompts, 0.0)
    with open(os.path.join(folder, "reference.json"), "w") as file:
        json.dump({"transformers": transformers.__version__, "prompts": prompts, "logits_last": logits_last, "greedy": greedy}, file,
                  separators=(",", ":"))

    spread = torch.tensor(logits_last).std()
    rotary = next((tuple(b.shape) for n, b in stored.named_buffers() if n.endswith("inv_freq")), None)
    size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
    print(f"{os.path.basename(folder)}: ok, smallest gap {smallest:.4f}, seed attempt {attempt}, logits std {spread:.3f}, "
          f"inverse frequencies {rotary}, distinct greedy tokens {len({t for g in greedy for t in g})}, {size} bytes", flush=True)
    if smallest < MIN_GAP / 2:
        raise RuntimeError(f"the stored checkpoint answers with a gap of only {smallest}")


def main(out, names):
    torch.set_num_threads(min(4, os.cpu_count() or 1))
    print(f"torch {torch.__version__}, transformers {transformers.__version__}", flush=True)
    failed = []
    for number, (name, case) in enumerate(CASES.items()):
        if names and name not in names:
            continue
        folder = os.path.join(out, name)
        os.makedirs(folder, exist_ok=True)
        try:
            write_case(folder, number, *case)
        except Exception as problem:  # one family that this transformers cannot make must not cost the others
            failed.append(name)
            print(f"{name}: FAILED {type(problem).__name__}: {problem}", flush=True)
            traceback.print_exc(limit=-4)
    archive = out.rstrip("/") + ".tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(out, arcname=os.path.basename(out.rstrip("/")))
    print(f"{archive}: {os.path.getsize(archive)} bytes; failed: {failed or 'none'}", flush=True)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(inspect.cleandoc(__doc__))
    main(sys.argv[1], sys.argv[2:])
