"""Questions on a chapter, answered at once."""

import html
import tomllib

import traitlets

from figures.figure import HERE, Figure


def read_questions():
    """The questions in `questions.toml`: for each chapter, those of it by name."""
    return tomllib.loads((HERE / "questions.toml").read_text(encoding="utf-8"))


class Quiz(Figure):
    """Questions on a chapter, each answer of which says at once whether it is right.

    Args:
        chapter: a chapter in `questions.toml`, such as "transform".

    Traits: `questions`, a list of dicts with the keys "question", "answers" (pairs of
    an answer and what is said to it), "right" (the place of the right answer, from 0)
    and "see" (a section's title and its address from the page); `chosen`, for each
    question the place of the chosen answer, or -1.

    Its picture, for paper and for readers without JavaScript, is no SVG but plain
    HTML: the questions and, folded away, what is said to each answer.

    Raises:
        ValueError: there are no questions on that chapter.

    >>> Quiz("transform", chosen=[2, -1, -1, -1])
    Quiz('transform', chosen=[2, -1, -1, -1])
    """

    name = "quiz"
    caption = "Every answer, right or wrong, comes with a reason. No score is kept."
    questions = traitlets.List(traitlets.Dict()).tag(sync=True)
    chosen = traitlets.List(traitlets.Int()).tag(sync=True)

    def __init__(self, chapter, **traits):
        chapters = read_questions()
        if chapter not in chapters:
            known = ", ".join(chapters)
            raise ValueError(f"no questions on {chapter!r}, only on {known}")
        self.chapter = chapter
        traits.setdefault("questions", list(chapters[chapter].values()))
        traits.setdefault("chosen", [-1] * len(traits["questions"]))
        super().__init__(**traits)

    @traitlets.observe("questions")
    def _start_anew(self, change):
        if change.old:
            self.chosen = [-1] * len(self.questions)

    def __repr__(self):
        return f"Quiz({self.chapter!r}, chosen={self.chosen})"

    def picture(self):
        """The questions as plain HTML, with the answers folded away."""
        questions = "".join(f"<li>{_picture(**q)}</li>" for q in self.questions)
        return f'<ol class="bn-quiz">{questions}</ol>'


def _picture(question, answers, right, see):
    """A question with its answers, lettered, and below them the same with reasons."""
    title, address = map(html.escape, see)
    choices, reasons = [], []
    for k, (answer, reason) in enumerate(answers):
        verdict = "Right." if k == right else "Wrong."
        choices.append(f"<li>{html.escape(answer)}</li>")
        reasons.append(f"<li><strong>{verdict}</strong> {html.escape(reason)}</li>")
    return (
        f"<p>{html.escape(question)}</p>"
        f'<ol type="A">{"".join(choices)}</ol>'
        f'<details><summary>Answer</summary><ol type="A">{"".join(reasons)}</ol>'
        f'<p>See: <a href="{address}">{title}</a></p></details>'
    )
