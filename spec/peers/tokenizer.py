"""CLIP's tokenizer of transformers, for the specs and for spec/peers/check_tokenizer.lua.

    python spec/peers/tokenizer.py fixtures spec/fixtures/tokenizer [VOCAB TEXTS]
    python spec/peers/tokenizer.py folders DIR [VOCAB]     folders of every kind, with a vocabulary or a small one
    python spec/peers/tokenizer.py random DIR SEED COUNT   what the peer makes of random texts, in each folder of DIR
    python spec/peers/tokenizer.py vocab                   the path of OpenAI's list of merges, if it is installed
    python spec/peers/tokenizer.py time DIR                seconds to load, and milliseconds for a prompt

VOCAB is OpenAI's bpe_simple_vocab_16e6.txt.gz. TEXTS is a list of {"text", "ids"} that was made with it.
"""
import collections
import gzip
import importlib.util
import json
import os
import random
import shutil
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import CLIPTokenizer  # noqa: E402

BOS, EOS = "<|startoftext|>", "<|endoftext|>"

# ==== vocabularies ===========================================================================

CORPUS = """a photo of an astronaut riding a horse on mars in the style of a painting by the sea with a small red cat
and the big brown dog under an old tree near the house at night the light of the moon over the water highly detailed
portrait of a woman with long hair trending on artstation sharp focus cinematic lighting 4k 8k i'm you're they've she'll
he'd don't it's the caf\u00e9 na\u00efve r\u00e9sum\u00e9 stra\u00dfe i\u0307stanbul \u03c3\u03bf\u03c6\u03cc\u03c2
\u03bf\u03b4\u03cc\u03c3 \u043f\u0440\u0438\u0432\u0435\u0442 \u65e5\u672c\u8a9e \u65e5\u672c \ud55c\uad6d\uc5b4
\U0001f600 \U0001f525\U0001f525 !! ... ??? -- <3 :) watercolor watercolour waterfall water""".split()


def alphabet():
    """GPT-2's characters for the bytes, in its order."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in shown]
    return {**{b: chr(b) for b in shown}, **{b: chr(256 + i) for i, b in enumerate(hidden)}}


def learned(corpus, count):
    """Merges of the most frequent pairs. Of two that are as frequent, the first in order counts."""
    char = alphabet()
    words = collections.Counter()
    for w in corpus:
        symbols = [char[b] for b in w.encode()]
        words[tuple(symbols[:-1] + [symbols[-1] + "</w>"])] += 1
    merges = []
    while len(merges) < count:
        pairs = collections.Counter()
        for w, n in words.items():
            for pair in zip(w, w[1:]):
                pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(best)
        words = collections.Counter({joined(w, best): n for w, n in words.items()})
    return merges


def joined(word, pair):
    out, i = [], 0
    while i < len(word):
        if word[i:i + 2] == pair:
            out.append(pair[0] + pair[1])
            i += 2
        else:
            out.append(word[i])
            i += 1
    return tuple(out)


def listed(path):
    """The merges of OpenAI's file that CLIP uses."""
    lines = gzip.open(path, "rt", encoding="utf-8").read().split("\n")[1:49152 - 256 - 2 + 1]
    return [tuple(line.split()) for line in lines]


def vocabulary(merges):
    chars = list(alphabet().values())
    tokens = chars + [c + "</w>" for c in chars] + ["".join(m) for m in merges] + [BOS, EOS]
    out = {}
    for t in tokens:
        out.setdefault(t, len(out))
    return out


# ==== folders ================================================================================


def write(folder, files):
    os.makedirs(folder, exist_ok=True)
    for name, content in files.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as f:
            f.write(content if isinstance(content, str) else json.dumps(content, indent=2))


def token(content, **properties):
    return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False,
            **properties}


def typed(content, **properties):
    return {"__type": "AddedToken", **token(content, **properties)}


def kinds(vocab):
    """The other files of folders, by the name of the kind."""
    n = len(vocab)
    ends = {"bos_token": token(BOS), "eos_token": token(EOS), "unk_token": token(EOS)}
    old = {"bos_token": typed(BOS), "eos_token": typed(EOS), "unk_token": typed(EOS), "pad_token": EOS,
           "model_max_length": 77, "add_prefix_space": False, "errors": "replace", "do_lower_case": True}
    special = {"special": True, "normalized": False}
    decoder = {"0": token("!", **special), str(n - 2): token(BOS, special=True), str(n - 1): token(EOS, **special)}
    words = {"<cat-toy>": n, "<Cat-Toy>_1": n + 1, "\u00c4rger": n + 2, "two  words": n + 3}
    wide = {str(n): token("<left>", lstrip=True, **special), str(n + 1): token("<RIGHT>", rstrip=True),
            str(n + 2): token("<both>", lstrip=True, rstrip=True, special=True)}
    return {
        "plain": {},
        "sd1": {"tokenizer_config.json": old, "special_tokens_map.json": {**ends, "pad_token": EOS}},
        "sd2": {"tokenizer_config.json": old, "special_tokens_map.json": {**ends, "pad_token": "!"}},
        "decoder": {"tokenizer_config.json": {"added_tokens_decoder": decoder, "pad_token": "!", "bos_token": BOS,
                                              "eos_token": EOS, "unk_token": EOS, "model_max_length": 20},
                    "special_tokens_map.json": {"pad_token": EOS}},
        "words": {"tokenizer_config.json": {**old, "model_max_length": 10 ** 30}, "added_tokens.json": words,
                  "special_tokens_map.json": ends},
        "strips": {"tokenizer_config.json": {"added_tokens_decoder": wide, "pad_token": "<both>",
                                             "model_max_length": 9}},
        "extra": {"tokenizer_config.json": {"additional_special_tokens": ["<a>", "a", "<|x|>"], "bos_token": "<s>",
                                            "eos_token": typed(EOS, normalized=False), "cls_token": "<cls>"}},
    }


def shuffled(merges):
    """Merges in an order in which later ones come before those that they need. Some come twice."""
    out = merges + merges[::7]
    random.Random(1).shuffle(out)
    return "".join("%s %s\r\n" % m for m in out)


def unknown_files(merges):
    """A vocabulary of small letters only."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    merges = [m for m in merges if set("".join(m).replace("</w>", "")) <= set(letters)]
    tokens = [c + end for end in ["", "</w>"] for c in letters] + ["".join(m) for m in merges] + ["<unk>", BOS, EOS]
    return {"vocab.json": {t: i for i, t in enumerate(dict.fromkeys(tokens))},
            "merges.txt": "".join("%s %s\n" % m for m in merges), "special_tokens_map.json": {"unk_token": "<unk>"}}


def list_text(merges):
    return "#version: 0.2\n" + "".join("%s %s\n" % m for m in merges)


def make_folders(root, merges):
    vocab = vocabulary(merges)
    base = {"vocab.json": vocab, "merges.txt": list_text(merges)}
    for name, files in kinds(vocab).items():
        write(os.path.join(root, name), {**base, **files})
    write(os.path.join(root, "shuffled"), {**base, "merges.txt": shuffled(merges)})
    write(os.path.join(root, "unknown"), unknown_files(merges))
    for name in ["sd1", "sd2", "words"]:
        CLIPTokenizer.from_pretrained(os.path.join(root, name)).save_pretrained(os.path.join(root, name + "-saved"))
    alone = os.path.join(root, "alone")
    CLIPTokenizer.from_pretrained(os.path.join(root, "sd1")).save_pretrained(alone)
    for name in os.listdir(alone):
        if name != "tokenizer.json":
            os.remove(os.path.join(alone, name))


# ==== texts ==================================================================================

CHOSEN = [
    "", " ", "\n\t \u00a0\u3000", "a photo of an astronaut riding a horse on mars", "A Photo, of the CAT's 12 toys!!",
    "I'm you're THEY'VE she'll he'd don't it's 's 'S 'sx ''s !'s x'RE'd", "4k 8K 1234 \u00bd \u2167 \u0663\u0664",
    "caf\u00e9 cafe\u0301 CAFE\u0301 na\u00efve \u212b \u1e9b\u0323 q\u0307\u0323 a\u0323\u0307", "\u0130stanbul IS\u0131",
    "\u039f\u0394\u039f\u03a3 \u03a3\u039f\u03a6\u039f\u03a3", "\u1e9e STRASSE \u017f \u212a", "\u65e5\u672c\u8a9e\u306e\u8aac\u660e",
    "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab\u1100\u116e\u11a8", "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\U0001f525",
    "\x00\x01\x1f\x7f\x80\x9f\u200b\ufeff", "a\x1cb\x85c\u2028d\u180ee", "x" * 99, "the" * 20, "!" * 19, "\u0301\u0301a",
    BOS, "a<|startoftext|>cat <|ENDOFTEXT|>!!", "<|STARTOFTEXT|><|endoftext|>", "<|start of text|> <|endoftext |>",
    "<cat-toy>s and <CAT-TOY>_1 \u00c4RGER a\u0308rger two words TWO\nWORDS", "x <left>  y <right>  z <both> <LEFT>",
    "\ufffd\ufffe\U0010ffff\U000e0041", "\u0378 \U00038000 \ue000", "e=mc^2 #tag @user http://a.b/?c=d&amp;e", "\U0001d400\U0001d7d8",
    "water color watercolour waterwater", "\u0f71\u0f74\u0f72 \u0958 \u2126", "\u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22",
    " ".join(["the cat"] * 40), "<|startoftext|>" * 3, "<|endoftext|> <|endoftext|>", "\u10a0\u13a0\uab70 \u1c90",
]

MARKS = [chr(c) for c in [0x300, 0x301, 0x307, 0x308, 0x30a, 0x316, 0x323, 0x327, 0x328, 0x334, 0x338, 0x345, 0x5b0, 0x64b,
                          0x93c, 0x94d, 0xe38, 0xf71, 0xf74, 0x1dce, 0x302a, 0x3099, 0x1d165, 0x16ff0, 0x10efd]]
SPACES = list(" \t\n\v\f\r\x1c\x1f\x85\u00a0\u1680\u180e\u2003\u2009\u200b\u2028\u202f\u205f\u3000\ufeff")
WORDS = CORPUS + [BOS, EOS, BOS.upper(), EOS.title(), "<|", "|>", "<", "!", "'", "'s", "'ll", "'Re", "<cat-toy>", "<CAT-toy>_1",
                  "\u00e4rger", "A\u0308RGER", "two", "words", "<left>", "<right>", "<Both>", "<a>", "<|x|>", "<s>", "<cls>",
                  "istanbul", "\u0130", "\u03a3", "\u01c5", "\u1e9e", "\ufb03", "\u00b2", "\u2460", "\u4e00", "\U0001f468\u200d\U0001f469"]


def any_point(rng):
    while True:
        c = rng.choice([rng.randrange(0x250), rng.randrange(0x3000), rng.randrange(0x10000), rng.randrange(0x32000),
                        rng.randrange(0x110000), rng.randrange(0xac00, 0xd7a4), rng.randrange(0x1100, 0x1200)])
        if not 0xd800 <= c < 0xe000:
            return chr(c)


def piece(rng):
    kind = rng.randrange(9)
    if kind < 3:
        word = rng.choice(WORDS)
        return rng.choice([word, word, word.upper(), word.title()])
    if kind == 3:
        return rng.choice(SPACES) * rng.randint(1, 3)
    if kind == 4:
        return rng.choice("aeiouAEOUnNcsS\u03b1\u0915\u1100\u05d0\u0627") + "".join(rng.choices(MARKS, k=rng.randint(1, 4)))
    if kind == 5:
        return "".join(chr(rng.randrange(128)) for _ in range(rng.randint(1, 6)))
    if kind == 6:
        return "".join(any_point(rng) for _ in range(rng.randint(1, 5)))
    if kind == 7:
        start = ord(any_point(rng))
        return "".join(chr(c) for c in range(start, start + rng.randint(1, 6)) if not 0xd800 <= c < 0xe000 and c < 0x110000)
    return rng.choice("a!9\u00e91\U0001f600") * rng.randint(1, 40)


def random_text(rng):
    return "".join(piece(rng) + rng.choice(["", "", " "]) for _ in range(rng.randint(1, 12)))


# ==== answers ================================================================================


def answer(tok, text):
    plain = tok(text, add_special_tokens=False).input_ids
    row = tok(text, padding="max_length", truncation=True, max_length=min(tok.model_max_length, 77)).input_ids
    return {"ids": plain, "pieces": tok.convert_ids_to_tokens(plain), "row": row, "decoded": tok.decode(plain),
            "kept": tok.decode(row, skip_special_tokens=True)}


def inverted():
    """Prompts with a word of three vectors, as diffusers converts them."""
    from diffusers.loaders import TextualInversionLoaderMixin
    merges = learned(CORPUS, 400)
    tok = CLIPTokenizer(vocab=vocabulary(merges), merges=merges)
    tok.add_tokens(["<new>", "<new>_1", "<new>_2", "sks"])
    prompts = ["a photo of <new>", "<new><new>s the <new>_3 <new", "asks of sks, SKS"]
    convert = TextualInversionLoaderMixin().maybe_convert_prompt
    return [{"text": p, "ids": tok(convert(p, tok), add_special_tokens=False).input_ids} for p in prompts]


def facts(tok):
    return {"bos": tok.bos_token_id, "eos": tok.eos_token_id, "pad": tok.pad_token_id, "size": len(tok),
            "length": min(tok.model_max_length, 77)}


def folders_of(root):
    return sorted(name for name in os.listdir(root) if os.path.isdir(os.path.join(root, name)))


def write_random(root, seed, count):
    for name in folders_of(root):
        rng = random.Random("%s %s" % (name, seed))
        tok = CLIPTokenizer.from_pretrained(os.path.join(root, name))
        texts = CHOSEN + [random_text(rng) for _ in range(count)]
        with open(os.path.join(root, name + ".jsonl"), "w", encoding="utf-8") as f:
            f.write(json.dumps(facts(tok)) + "\n")
            for text in texts:
                f.write(json.dumps({"text": text, **answer(tok, text)}) + "\n")


# ==== fixtures ===============================================================================


def used_merges(merges, texts, tok):
    """The merges that take part in the tokens of these texts, in their order."""
    rank = {m: i for i, m in enumerate(merges)}
    used = set()
    for text in texts:
        split = tok.backend_tokenizer.pre_tokenizer.pre_tokenize_str(tok.backend_tokenizer.normalizer.normalize_str(text))
        for w, _ in split:
            symbols = tuple(w[:-1]) + (w[-1] + "</w>",)
            while len(symbols) > 1:
                best = min(zip(symbols, symbols[1:]), key=lambda p: rank.get(p, len(merges)))
                if best not in rank:
                    break
                used.add(rank[best])
                symbols = joined(symbols, best)
    return [merges[i] for i in sorted(used)]


def clip_part(path, texts_path):
    """Some of the texts, and of CLIP's merges those that they need, with the ids that their tokens have in CLIP."""
    merges = listed(path)
    vocab = vocabulary(merges)
    tok = CLIPTokenizer(vocab=vocab, merges=merges)
    with open(texts_path, encoding="utf-8") as f:
        given = json.load(f)
    rng = random.Random(16)
    odd = [t for t in given if not t["text"].isascii() or len(t["ids"]) > 40 or "<|" in t["text"]]
    rest = [t for t in given if t not in odd]
    chosen = odd[:60] + rng.sample(rest, 240)
    part = used_merges(merges, [t["text"] for t in chosen], tok)
    return {"merges": [" ".join(m) for m in part], "ids": [vocab["".join(m)] for m in part],
            "texts": [{"text": t["text"], "ids": t["ids"]} for t in chosen]}


def brief(name, tok, text):
    """An answer without the pads at the end of its row. Only one kind of folder has the pieces."""
    out = {"text": text, **answer(tok, text)}
    while len(out["row"]) > 2 and out["row"][-1] == out["row"][-2] == tok.pad_token_id:
        out["row"].pop()
    if name != "words":
        del out["pieces"]
    return out


def write_fixtures(root, vocab_path=None, texts_path=None):
    merges = learned(CORPUS, 400)
    vocab = vocabulary(merges)
    small = {"kinds": kinds(vocab), "facts": {}, "answers": {}, "inverted": inverted()}
    made = os.path.join(root, "made")
    make_folders(made, merges)
    for name in folders_of(made):
        tok = CLIPTokenizer.from_pretrained(os.path.join(made, name))
        texts = CHOSEN if name in ("plain", "sd2") else [t for t in CHOSEN if "<" in t or "!" in t]
        small["facts"][name] = facts(tok)
        small["answers"][name] = [brief(name, tok, t) for t in texts]
    with open(os.path.join(made, "alone", "tokenizer.json"), encoding="utf-8") as f:
        small["json"] = json.load(f)
    small["kinds"].update(shuffled={"merges.txt": shuffled(merges)}, unknown=unknown_files(merges))
    shutil.rmtree(made)
    write(root, {"merges.txt": list_text(merges)})
    for name, content in [("small", small), ("clip", vocab_path and clip_part(vocab_path, texts_path))]:
        if content:
            write(root, {name + ".json": json.dumps(content, ensure_ascii=False, separators=(",", ":"))})


def vocab_path():
    found = importlib.util.find_spec("clip")
    path = found and os.path.join(os.path.dirname(found.origin), "bpe_simple_vocab_16e6.txt.gz")
    return path if path and os.path.exists(path) else None


def measure(folder):
    start = time.perf_counter()
    tok = CLIPTokenizer.from_pretrained(folder)
    loaded = time.perf_counter() - start
    prompt = "a highly detailed portrait of an astronaut riding a horse on mars, trending on artstation, 8k"
    start = time.perf_counter()
    for _ in range(1000):
        tok(prompt, padding="max_length", max_length=77, truncation=True)
    print("%.3f %.4f" % (loaded, time.perf_counter() - start))


def main(command, *args):
    if command == "fixtures":
        write_fixtures(*args)
    elif command == "folders":
        make_folders(args[0], listed(args[1]) if len(args) > 1 else learned(CORPUS, 400))
    elif command == "random":
        write_random(args[0], args[1], int(args[2]))
    elif command == "vocab":
        print(vocab_path() or "")
    else:
        measure(args[0])


main(*sys.argv[1:])
