# Ids that transformers gives with the tokenizer of a folder that spec/whole_words_spec.lua wrote:
#   words.py FOLDER
import sys

from transformers import PreTrainedTokenizerFast

TEXTS = ["a red fox", "Côte D'Ivoire: piñata 10", "<s> it’s RED-green", "", "one two three four five six red"]
tokenizer = PreTrainedTokenizerFast.from_pretrained(sys.argv[1])
for row in tokenizer(TEXTS, padding="max_length", max_length=7, truncation=True).input_ids:
    print(row)
