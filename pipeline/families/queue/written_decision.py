"""Reads a decision that is written as lists, headings, tables, YAML, tags or sentences, line by line.

Only known references count, and numbers beside them in a list.  A later line replaces an earlier decision on the same
instruction.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from muses_eval.pipeline.families.queue.decision_words import (
    accepts,
    any_of,
    decision_words,
    has_word,
    side_of_answer,
    side_of_key,
    words_of,
)
from muses_eval.pipeline.families.queue.references import Reference, References
from muses_eval.pipeline.text.illustration import is_conditional

_MAX_LINES = 2_000
_MAX_LINE = 1_000
_LONGEST_HEADING = 6
"""Words of a line that opens a section without being marked as a heading."""
_LONGEST_GAP = 60
"""Characters between a decision and the first instruction that it is about."""
_WORD = re.compile(r"[^\W\d_]+")
_HEADING = re.compile(r"\s*(?:#{1,6}\s|\*\*[^*]+\*\*[:：]?\s*$|</?[\w -]+>\s*$|[^:：]{0,80}[:：]\s*(?:\*\*)?\s*$)")
_BULLET = re.compile(r"\s*(?:[-*+•‣–]|\d{1,3}[.)])\s")
_CELL_BORDER = re.compile(r"\s*\|\s*|\s*\t\s*")
_COMMA = re.compile(r"\s*,\s*")
_RULE = re.compile(r"[\s|:=+-]+")
_ADJACENT = re.compile(r"[^,.;!?，。；]*")
_DELIMITED = re.compile(r"[^.;!?。；]*(?:[:：=→>|(\[–—]|\s-)[\s*_`\"']*")
_ENDS = re.compile(r"[\s*_`\])\"'|]*+(?:$|[(:;,.!，。；–—-])")
_SENTENCE_GAP = re.compile(r"(?<=[.;!?])\s+|(?<=[。；！？])")
_BLOCK_TAG = re.compile(r"</?(?:h[1-6]|li|ul|ol|p|div|br|tr|table|tbody|thead|section)\b[^<>]{0,200}>", re.IGNORECASE)
_CELL_TAG = re.compile(r"</?t[dh]\b[^<>]{0,200}>", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.;!?。；](?:\s|$)")
_LABEL_ENDS = re.compile(r"[^\d]{0,40}[:：]")
_POINTER = re.compile(r"\s*(?:[-*+•]\s+)?(?:→|=>|->|\*\*[^:：]+\Z)")


@dataclass(frozen=True, slots=True)
class _Verdict:
    """A word in a line that accepts or rejects."""

    side: bool
    start: int
    end: int


@dataclass(slots=True)
class _Reader:
    """The state of reading.  A side is True for accepted and False for rejected instructions."""

    references: References
    sides: dict[str, bool] = field(default_factory=dict)
    """Instruction -> its side."""
    section: bool | None = None
    """Side of the instructions that are listed without a decision."""
    columns: tuple[bool | None, ...] = ()
    """Sides of the columns of the current table."""
    pending: tuple[str, ...] = ()
    """Instructions whose decision may stand on the next line."""

    def decide(self, names: Sequence[str], side: bool) -> None:
        self.sides.update(dict.fromkeys(names, side))
        self.pending = ()

    def read(self, line: str) -> None:
        """Reads a line in lower case, one sentence at a time when several decide."""
        sentences = [sentence for sentence in _SENTENCE_GAP.split(line) if self._decides(sentence)]
        for sentence in sentences if len(sentences) > 1 else [line]:
            self._read_clause(sentence)

    def _decides(self, sentence: str) -> bool:
        """Returns whether a sentence has a decision, and the instructions or a word for all of them."""
        words = decision_words()
        return words.decision.search(sentence) is not None and (
            any(each.known for each in self.references.in_text(sentence)) or _is_about_all(sentence)
        )

    def _read_clause(self, line: str) -> None:
        words = decision_words()
        verdicts = [_Verdict(accepts(each), *each.span()) for each in words.decision.finditer(line)]
        known = [each for each in self.references.in_text(line) if each.known]
        if self._read_row(line, known):
            return
        if not known and _is_about_all(line):
            self._read_all(line, verdicts[0])
        elif not known:
            self._read_heading(line, verdicts)
        elif not verdicts:
            self._read_entry(line, known)
        elif self._leaves_out(line, known, verdicts):
            self._read_exception(line, known, verdicts[0].side)
        elif not is_conditional(line[: verdicts[0].start]):
            self._read_sentence(line, known, verdicts)

    def _read_row(self, line: str, known: list[Reference]) -> bool:
        """Reads a row of a table; returns whether the line is one."""
        cells = _CELL_BORDER.split(line.strip(" |\t"))
        if len(cells) == 1 and known and not self.columns:
            cells = _COMMA.split(line.strip())
            if not any(_is_verdict(cell) and not self.references.listed(cell) for cell in cells[1:]):
                return False
        if len(cells) == 1:
            self.columns = ()
            return False
        if not known:
            if not _RULE.fullmatch(line):
                self.columns = tuple(side_of_key(words_of(cell)) for cell in cells)
            return True
        named = [self.references.listed(cell) for cell in cells]
        side = self._side_of_row(cells, named)
        side = self.section if side is None else side
        if side is not None:
            self.decide(next(filter(None, named)), side)
        else:
            for names, column in zip(named, self.columns, strict=False):
                if column is not None:
                    self.decide(names, column)
        return True

    def _side_of_row(self, cells: list[str], named: list[tuple[str, ...]]) -> bool | None:
        columns = self.columns + (None,) * (len(cells) - len(self.columns))
        for cell, column, names in zip(cells, columns, named, strict=False):
            answer = None if names else side_of_answer(cell)
            if answer is not None and column is not None:
                return column if answer else not column
            if answer is not None and _is_verdict(cell):
                return answer
        return None

    def _read_all(self, line: str, verdict: _Verdict) -> None:
        """Decides about all instructions, about none, or about all others: those without a decision so far."""
        none = has_word(_WORD.findall(line[: verdict.start]), decision_words().none)
        others = re.search(any_of(decision_words().others), line) is not None
        self.decide(
            [name for name in self.references.truth.ids if not (others and name in self.sides)], verdict.side != none
        )

    def _leaves_out(self, line: str, known: list[Reference], verdicts: list[_Verdict]) -> bool:
        """Returns whether a line is like ``I accept all but 1234``."""
        words, gap = decision_words(), _WORD.findall(line[: known[0].start])
        return (
            len(verdicts) == 1
            and not is_conditional(line[: verdicts[0].start])
            and has_word(gap, words.all)
            and has_word(gap[gap.index(next(word for word in gap if word in words.all)) :], words.exceptions)
        )

    def _read_exception(self, line: str, known: list[Reference], side: bool) -> None:
        left_out = self.references.listed(line[known[0].start :])
        self.decide([name for name in self.references.truth.ids if name not in left_out], side)
        self.decide(left_out, not side)

    def _read_heading(self, line: str, verdicts: list[_Verdict]) -> None:
        """Reads a line without an instruction: it opens or closes a section, or decides about the line before."""
        sides = {verdict.side for verdict in verdicts}
        if not sides and _HEADING.match(line) and not self._names_author(line):
            self.section = None
        if len(sides) != 1:
            return
        side = sides.pop()
        before = line[: verdicts[0].start]
        states = has_word(words_of(before), decision_words().verdict) or (self.section is None and _POINTER.match(line))
        if self.pending and states:
            self.decide(self.pending, side)
        elif _HEADING.match(line) or len(_WORD.findall(line)) <= _LONGEST_HEADING:
            heading = line.partition(":")[0]
            self.section = None if has_word(words_of(heading), decision_words().aside) else side

    def _read_entry(self, line: str, known: list[Reference]) -> None:
        """Reads a line that names instructions without a decision."""
        if self._is_entry(line, known):
            names = self.references.listed(line)
            if self.section is not None:
                self.decide(names, self.section)
            self.pending = names

    def _read_sentence(self, line: str, known: list[Reference], verdicts: list[_Verdict]) -> None:
        """Reads a line with instructions and decisions, in either order."""
        if known[0].start < verdicts[0].start:
            if self._read_backwards(line, verdicts):
                return
            names = self.references.listed(line)
            one_side = len({verdict.side for verdict in verdicts}) == 1 and known[-1].start < verdicts[0].start
            if self._is_entry(line, known) and (self.section is not None or one_side):
                self.decide(names, verdicts[0].side if self.section is None else self.section)
                return
        self._read_forwards(line, verdicts)

    def _read_backwards(self, line: str, verdicts: list[_Verdict]) -> bool:
        """Reads ``1234: accepted, 5678 is rejected``; returns whether the first decision follows an instruction."""
        start = 0
        for verdict in verdicts:
            names = self._subject_before(line[start : verdict.start], line[verdict.end :])
            if not names and not start:
                return False
            self.decide(names, verdict.side)
            start = verdict.end
        return True

    def _subject_before(self, segment: str, rest: str) -> tuple[str, ...]:
        found = list(self.references.in_text(segment))
        if not any(each.known for each in found):
            return ()
        gap = segment[found[-1].end :]
        words = decision_words()
        if _ADJACENT.fullmatch(gap) and all(
            word in words.joining or word in words.verdict for word in _WORD.findall(gap)
        ):
            names = list(found[-1].names)
            for each, following in zip(found[-2::-1], found[:0:-1], strict=False):
                if not self.references.joins(segment[each.end : following.start]):
                    break
                names += each.names
            return tuple(names)
        first = next(iter(_WORD.findall(rest[:_LONGEST_GAP])), "")
        if _DELIMITED.fullmatch(segment[found[0].end :]) and (_ENDS.match(rest) or first in words.because):
            return self.references.listed(segment)
        return ()

    def _read_forwards(self, line: str, verdicts: list[_Verdict]) -> None:
        """Reads ``I accept 1234 and 5678, and reject 9012``."""
        ends = [verdict.start for verdict in verdicts[1:]] + [len(line)]
        for verdict, end in zip(verdicts, ends, strict=True):
            segment = line[verdict.end : end]
            for position, piece in enumerate(segment.split(";")):
                found = [each for each in self.references.in_text(piece) if each.known]
                gap = piece[: found[0].start] if found else ""
                near = len(gap) <= _LONGEST_GAP and not _SENTENCE_END.search(gap)
                if found and (self.references.joins(gap) or (not position and near)):
                    self.decide(self.references.listed(piece), verdict.side)
        if _LABEL_ENDS.match(line, verdicts[0].end) and not line[: verdicts[0].start].strip(" *_#-\"'<{"):
            self.section = verdicts[0].side

    def _is_entry(self, line: str, known: list[Reference]) -> bool:
        before = line[: known[0].start]
        return self.references.joins(before) or (_BULLET.match(line) is not None)

    def _names_author(self, line: str) -> bool:
        return not self.references.authors.isdisjoint(_WORD.findall(line))


def read_written_decision(references: References, text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Returns the accepted and the rejected instructions; both are empty when the text contains no decision."""
    reader = _Reader(references)
    text = _CELL_TAG.sub("|", _BLOCK_TAG.sub("\n", text))
    for line in text.splitlines()[:_MAX_LINES]:
        reader.read(line[:_MAX_LINE].casefold())
    accepted = frozenset(name for name, side in reader.sides.items() if side)
    return accepted, frozenset(reader.sides) - accepted


def _is_about_all(line: str) -> bool:
    """Returns whether a line without references says only that all instructions, or all others, are decided."""
    words = decision_words()
    found = list(words.decision.finditer(line))
    if len(found) != 1 or "?" in line or _HEADING.match(line):
        return False
    before, after = line[: found[0].start()], line[found[0].end() :]
    if ":" in before + after or "：" in before + after:
        return False
    named = words.everything.search(after) or (None if _WORD.search(after) else words.everything.search(before))
    return named is not None and not re.search(r"\w", words.whole.sub(" ", f"{before} {after}"))


def _is_verdict(cell: str) -> bool:
    """Returns whether a cell of a table begins with a decision."""
    found = decision_words().decision.search(cell)
    return found is not None and not re.search(r"[^\W_]", cell[: found.start()])
