"""Workloads and answers as words key=value, as in ../words.lua."""


def parse(given):
    return dict(word.split("=", 1) for text in given for word in text.split())


def format(answer):
    return " ".join(f"{key}={value}" for key, value in sorted(answer.items()))
