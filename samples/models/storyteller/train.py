"""Trains the storyteller: python3 train.py --out FOLDER [--minutes 5]      (needs PyTorch; made for one GPU)

Tells stories with stories.py on all cores, learns a tokenizer from them, trains a small Llama on them for the given minutes, and writes
config.json, generation_config.json, model.safetensors (bfloat16), tokenizer.json, tokenizer_config.json and golden.json to FOLDER, and
all of them to FOLDER.tar.gz. golden.json holds greedy continuations computed in float64 from the weights as stored.
"""
import argparse
import array
import contextlib
import json
import math
import multiprocessing
import os
import tarfile
import time
import traceback

import torch

import llama
from bpe import Tokenizer
from stories import tell

HELD_OUT_SEED = 10 ** 9
BATCH_ROWS = 128
PEAK_RATE, WARM_UP_STEPS = 2e-3, 300
PROMPTS = ["Once upon a time", "Once upon a time, there was a little girl named Mia.", "There once was a grey rabbit named Pip.",
           "One cold night, Tom heard a strange noise.", "Every day Anna played with a red ball.", "In a land far away, there lived",
           "Leo was a shy boy who lived on a farm near the hills.", "\"Where is my hat?\" asked", "It was winter.", "The wise old owl",
           "Long ago, a brave otter lived by a stream full of round stones. The otter was named Moss.", "Ruby wanted to fly."]
GOLDEN_TOKENS, GOLDEN_CASES, GOLDEN_MARGIN = 96, 6, 1e-3

_tokenizer = None  # shared with the processes that are forked to tell stories


def rows_of_stories(job):
    """Rows of `context` + 1 ids, each starting with a new story and filled with the stories that follow; the last one is cut."""
    first_seed, row_count, context = job
    rows, row, seed = array.array("h"), [], first_seed
    while len(rows) < row_count * (context + 1):
        row += _tokenizer.encode(tell(seed)) + [_tokenizer.end]
        seed += 1
        if len(row) > context:
            rows.extend(row[:context + 1])
            row = []
    return rows.tobytes()


def tell_rows(pool, first_seed, row_count, context):
    """Every row takes at most context stories, so jobs that far apart never tell the same one."""
    share = 500
    jobs = [(first_seed + i * context, min(share, row_count - i), context) for i in range(0, row_count, share)]
    data = b"".join(pool.imap(rows_of_stories, jobs))
    return torch.frombuffer(bytearray(data), dtype=torch.int16).view(-1, context + 1)


def learning_rate(step, progress):
    return PEAK_RATE * min(1, (step + 1) / WARM_UP_STEPS) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1))))


def autocast(device):
    return torch.autocast(device, dtype=torch.bfloat16) if device == "cuda" else contextlib.nullcontext()


def compiled_loss(model, rows, device):
    """The loss, compiled where the machine can; the plain one otherwise."""
    if device != "cuda":
        return model.loss
    try:
        loss = torch.compile(model.loss)
        with autocast(device):
            loss(rows).backward()
        model.zero_grad(set_to_none=True)
        return loss
    except Exception as problem:  # compiling needs more than PyTorch: a C compiler, Triton
        print(f"not compiled: {type(problem).__name__}: {str(problem)[:300]}", flush=True)
        torch._dynamo.reset()
        model.zero_grad(set_to_none=True)
        return model.loss


def train(model, rows, minutes, device):
    start = time.monotonic()
    batch_rows = min(BATCH_ROWS, len(rows))
    matrices = [w for w in model.parameters() if w.ndim == 2]
    vectors = [w for w in model.parameters() if w.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
                                  lr=PEAK_RATE, betas=(0.9, 0.95), fused=device == "cuda")
    loss_of = compiled_loss(model, rows[:batch_rows].long(), device)
    print(f"ready to train after {time.monotonic() - start:.0f} s", flush=True)
    order, step, shown = None, 0, start
    while True:
        progress = (time.monotonic() - start) / (60 * minutes)
        if progress >= 1:
            break
        at = step % (len(rows) // batch_rows)
        if at == 0:
            order = torch.randperm(len(rows), device=device)
        batch = rows[order[at * batch_rows:(at + 1) * batch_rows]].long()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, progress)
        with autocast(device):
            loss = loss_of(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        if step % 20 == 0:
            value = loss.item()  # also keeps the clock honest: waits for the device
            if time.monotonic() - shown > 15 or step == 20:
                shown = time.monotonic()
                print(f"step {step}, epoch {step * batch_rows / len(rows):.2f}, loss {value:.4f}, "
                      f"{step * batch_rows * (rows.shape[1] - 1) / (shown - start) / 1e6:.2f} M tokens/s", flush=True)
    return step


@torch.no_grad()
def mean_loss(model, rows):
    chunks = rows.split(16)
    return sum(float(model.loss(chunk.long())) * len(chunk) for chunk in chunks) / len(rows)


@torch.no_grad()
def continuation(model, ids, count, end, temperature=0.0, generator=None):
    """New ids up to and with the end token, and the smallest difference between the two best logits on the way."""
    device = next(model.parameters()).device
    ids, start, margin = list(ids), len(ids), math.inf
    while len(ids) - start < count and len(ids) < model.config.context:
        logits = model(torch.tensor([ids], device=device))[0, -1].double().cpu()
        best = torch.topk(logits, 2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        ids.append(int(best.indices[0]) if temperature == 0 else
                   int(torch.multinomial(torch.softmax(logits / temperature, -1), 1, generator=generator)))
        if ids[-1] == end:
            break
    return ids[start:], margin


def golden(model, tokenizer):
    cases = []
    for prompt in PROMPTS:
        ids = tokenizer.encode(prompt)
        new, margin = continuation(model, ids, GOLDEN_TOKENS, tokenizer.end)
        print(f"golden {prompt!r}: {len(new)} tokens, margin {margin:.5f}", flush=True)
        if margin >= GOLDEN_MARGIN and len(new) >= 32 and len(cases) < GOLDEN_CASES:
            cases.append({"prompt": prompt, "prompt_ids": ids, "max_new_tokens": GOLDEN_TOKENS, "stop_ids": [tokenizer.end],
                          "generated_ids": new, "text_including_prompt": tokenizer.decode(ids + new), "smallest_margin": margin})
    return {"model": "storyteller", "method": "greedy, float64 arithmetic on the stored bfloat16 weights", "cases": cases}


def compare_with_libraries(folder, tokenizer, model):
    """The files as Hugging Face's libraries read them, where these are installed; says what it finds and raises nothing."""
    texts = [tell(HELD_OUT_SEED + i) for i in range(200)] + ["", "naïve café 😀", "a\n\n\nb  c\td", "don't \"stop\"...?!", " 3.14 "]
    try:
        from tokenizers import Tokenizer as Library
        library = Library.from_file(f"{folder}/tokenizer.json")
        encoded = [t for t in texts if library.encode(t).ids != tokenizer.encode(t)]
        decoded = [t for t in texts if library.decode(tokenizer.encode(t), skip_special_tokens=True) != t]
        print(f"tokenizers: {len(texts)} texts, {len(encoded)} encoded differently {encoded[:2]}, {len(decoded)} not restored {decoded[:2]}")
    except Exception:
        traceback.print_exc(limit=1)
    try:
        from transformers import AutoModelForCausalLM
        other = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        ids = torch.tensor([tokenizer.encode(texts[0])])
        with torch.no_grad():
            difference = (other(ids).logits.double() - model(ids.to(model.cos.device)).double().cpu()).abs().max()
        print(f"transformers: logits differ by {float(difference):.2e} (float32 against float64)")
    except Exception:
        traceback.print_exc(limit=1)


def main():
    global _tokenizer
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--out", required=True)
    options.add_argument("--minutes", type=float, default=5)
    options.add_argument("--rows", type=int, default=400_000, help="rows of training text (two to three stories each)")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    out = chosen.out.rstrip("/")
    os.makedirs(out, exist_ok=True)
    torch.manual_seed(chosen.seed)
    config = llama.Config()

    began = time.monotonic()
    _tokenizer = tokenizer = Tokenizer.train([tell(seed) for seed in range(20_000)], config.vocab_size)
    tokenizer.save(out, config.context)
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:  # before the first use of the GPU, which does not survive a fork
        rows = tell_rows(pool, 0, chosen.rows, config.context)
        held_out = tell_rows(pool, HELD_OUT_SEED, 512, config.context)
    print(f"{len(tokenizer.tokens)} tokens; {len(rows)} rows, {rows.numel() / 1e6:.0f} M tokens, in {time.monotonic() - began:.0f} s", flush=True)

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    rows, held_out = rows.to(device), held_out.to(device)
    model = llama.Llama(config).to(device)
    print(f"{sum(w.numel() for w in model.parameters())} weights on {device}", flush=True)
    try:
        steps = train(model, rows, chosen.minutes, device)
        print(f"trained {steps} steps", flush=True)
    finally:
        llama.save(model, out)

    # From here on the weights are those of the file: rounded to bfloat16, with wider arithmetic.
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.to(torch.bfloat16).float())
    torch.set_float32_matmul_precision("highest")
    print(f"held-out loss {mean_loss(model, held_out):.4f} nats a token", flush=True)
    generator = torch.Generator().manual_seed(chosen.seed)
    for prompt in PROMPTS[:3]:
        for temperature in (0.0, 0.8):
            new, _ = continuation(model, tokenizer.encode(prompt), 240, tokenizer.end, temperature, generator)
            print(f"--- temperature {temperature}\n{prompt}|{tokenizer.decode(tokenizer.encode(prompt) + new)[len(prompt):]}\n", flush=True)

    model.double()
    answers = golden(model, tokenizer)
    with open(f"{out}/golden.json", "w", encoding="utf-8") as file:
        json.dump(answers, file, ensure_ascii=False, indent=1)
    compare_with_libraries(out, tokenizer, model)
    with tarfile.open(f"{out}.tar.gz", "w:gz") as tar:
        tar.add(out, arcname=os.path.basename(out))
    sizes = {name: os.path.getsize(f"{out}/{name}") for name in sorted(os.listdir(out))}
    print(f"{sizes}, together {sum(sizes.values())} bytes; archive {os.path.getsize(out + '.tar.gz')} bytes; {len(answers['cases'])} golden cases")


if __name__ == "__main__":
    main()
