"""The page: whole, self-contained, well-formed, safe against its own data, and the same every time."""

from __future__ import annotations

import importlib.util
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from whence.core.errors import WhenceError
from whence.report.finding import Finding
from whence.report.html import fragment, render, write

_SPEC = importlib.util.spec_from_file_location("report_examples", Path(__file__).with_name("examples.py"))
assert _SPEC is not None and _SPEC.loader is not None
examples = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(examples)

VOID = {"meta", "link", "br", "hr", "img", "input"}
FETCHING = {"src", "srcset", "poster", "data", "action", "background"}


class Page(HTMLParser):
    """Collects tags, links and headings; complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.headings: list[int] = []
        self.scripts = 0
        self.fetched: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert not any(k.startswith("on") for k in given), f"an event handler on <{tag}>"
        if "id" in given:
            self.ids.append(given["id"] or "")
        if tag == "a":
            self.links.append(given.get("href") or "")
        self.fetched += [v or "" for k, v in attrs if k in FETCHING]
        self.fetched += [given["href"] or ""] if tag == "link" and "href" in given else []
        self.headings += [int(tag[1])] if re.fullmatch("h[1-6]", tag) else []
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1:]}>"
        self.open.pop()


@pytest.fixture(scope="module", params=sorted(examples.ALL))
def page(request: pytest.FixtureRequest) -> str:
    return render(examples.ALL[request.param]())


def test_it_is_well_formed_with_headings_in_order(page: str) -> None:
    parsed = Page(page)
    assert parsed.headings[0] == 1 and parsed.headings.count(1) == 1
    assert all(b - a <= 1 for a, b in zip(parsed.headings, parsed.headings[1:], strict=False))
    sections = [i for i in parsed.ids if not re.fullmatch(r"[fg][0-9a-f]{10}-[td]", i)]
    assert len(sections) == len(set(sections))
    assert {link[1:] for link in parsed.links if link.startswith("#")} <= set(parsed.ids)


def test_nothing_is_fetched(page: str) -> None:
    parsed = Page(page)
    assert parsed.fetched == []
    assert all(link.startswith(("#", "https://doi.org/10.")) for link in parsed.links)
    style = "".join(re.findall(r"<style>.*?</style>", page, re.DOTALL))
    assert "@import" not in style and "url(" not in style
    assert parsed.scripts == 1


def test_it_is_small(page: str) -> None:
    assert len(page.encode()) < 400_000


def test_every_figure_has_a_name_and_a_description(page: str) -> None:
    for svg in re.findall(r'<svg xmlns=.*?</svg>', page, re.DOTALL):
        tags = re.search(r'aria-labelledby="(\S+) (\S+)"', svg)
        assert tags and f'<title id="{tags[1]}">' in svg and f'<desc id="{tags[2]}">' in svg


def test_the_same_finding_gives_the_same_page() -> None:
    for make in examples.ALL.values():
        assert render(make()) == render(make())
        assert fragment(make()) == fragment(make())


def test_names_from_data_stay_text() -> None:
    page = render(examples.hostile())
    card = fragment(examples.hostile())
    for text in (page, card):
        assert examples.HOSTILE not in text
        assert "&lt;script&gt;alert" in text
        assert not any("\ue000" <= c <= "\ue003" for c in text.replace("\ue000mark\ue001", ""))
    assert "\x07" not in page
    assert Page(card).scripts == 0


def test_no_mark_is_left_on_a_page(page: str) -> None:
    assert not re.search("[\ue000-\ue003]", page.replace("\ue000mark\ue001", ""))  # a column of that very name
    assert "<h1>The effect of treat on earnings</h1>" in render(examples.experiment())


def test_a_complete_finding_shows_every_part() -> None:
    page = render(examples.smoking())
    for words in ("How much does quitting smoking change weight?", "How sure, and why", "Keep in mind", "The graph",
                  "What was adjusted for, and why", "By other methods", "What would have worried us", "What we saw",
                  "What this cannot show", "What the answer assumes", "63 of 1,629 rows", "How the roles were chosen",
                  "Where the numbers come from", "Repeat it", "Sources", "Inverse probability weighting"):
        assert words in page, words
    assert '<a href="https://doi.org/10.1080/01621459.1994.10476818">' in page
    assert page.index("Difference in means, unadjusted") < page.index("Linear regression with robust errors")
    assert 'class="badge pass"' in page and 'class="badge worry"' in page and "For information" in page


def test_a_refusal_is_as_good_a_report() -> None:
    page = render(examples.not_identified())
    assert "No set of measured columns blocks the path through ability." in page
    assert "<var>training</var> ← <var>ability</var> → <var>earnings</var>" in page
    assert "Measure ability, or find something" in page
    assert "No number is given" in page
    assert 'id="graph"' in page and 'id="provenance"' in page
    assert 'id="sure"' not in page and 'id="checks"' not in page
    other = render(examples.refused())
    assert "only takes the value 1 on the rows used" in other and "age: 12; earnings: 3" in other


def test_an_empty_finding_still_renders() -> None:
    Page(render(Finding(None, None, "nothing", None)))
    Page(fragment(Finding(None, None, "nothing", None)))


def test_write_gives_the_page_and_makes_folders(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "report.html"
    assert examples.smoking().report(target) == target
    assert target.read_text(encoding="utf-8") == render(examples.smoking())
    assert os.listdir(target.parent) == ["report.html"]
    write(examples.refused(), target)
    assert "only takes the value" in target.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["report.pdf", "report.ipynb", "report", "report.html.gz"])
def test_other_formats_are_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(WhenceError) as caught:
        write(examples.refused(), tmp_path / name)
    assert caught.value.code == "bad_format"
    assert ".html" in caught.value.allowed
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_takes_no_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.html").mkdir()
    for place in (tmp_path / "file" / "report.html", tmp_path / "folder.html"):
        with pytest.raises(WhenceError) as caught:
            write(examples.refused(), place)
        assert caught.value.code == "cannot_write"


def test_a_lone_surrogate_does_not_stop_the_file(tmp_path: Path) -> None:
    path = write(examples.smoking(about="bad \ud800 text"), tmp_path / "r.html")
    assert path.read_bytes().decode("utf-8")


def test_a_notebook_shows_the_card() -> None:
    card = examples.smoking()._repr_html_()
    assert card.startswith("<div class=\"whence-card\">") or "whence-card" in card[:200]
    assert "3.44" in card and "Worry" in card
    rules = re.findall(r"^([^{}\n@]+)\{", re.search(r"<style>(.*?)</style>", card, re.DOTALL)[1], re.MULTILINE)
    assert rules and all(r.strip().startswith(".whence-card") for r in rules)
