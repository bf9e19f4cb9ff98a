"""Sphinx extension: badges that open a notebook in Colab.

One stands under the title. Its address is that of the theme's own button, which hides
it in a menu of icons. Another one stands above the exercises, and opens their starter.
"""

import re

BADGE = '<p class="bn-colab"><a href="{}">{}</a></p>'
EXERCISES = re.compile(r'<section id="exercises">\s*<h2>.*?</h2>', re.DOTALL)


def add_badge(app, pagename, templatename, context, doctree):
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button["text"] == "Colab":
                badge = BADGE.format(button["url"], "Open in Colab")
                body = context["body"].replace("</h1>", f"</h1>\n{badge}", 1)
                starter = "/starters/".join(button["url"].rsplit("/chapters/", 1))
                badge = BADGE.format(starter, "Answer them in Colab")
                context["body"] = EXERCISES.sub(rf"\g<0>\n{badge}", body, 1)


def setup(app):
    app.connect("html-page-context", add_badge, priority=900)  # after the theme's
    return {"parallel_read_safe": True, "parallel_write_safe": True}
