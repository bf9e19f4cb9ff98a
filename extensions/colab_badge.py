"""Sphinx extension: under the title of a notebook, a badge that opens it in Colab.

The address is that of the theme's own button, which hides it in a menu of icons.
"""

BADGE = '<p class="bn-colab"><a href="{}">Open in Colab</a></p>'


def add_badge(app, pagename, templatename, context, doctree):
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button["text"] == "Colab":
                title = f"</h1>\n{BADGE.format(button['url'])}"
                context["body"] = context["body"].replace("</h1>", title, 1)


def setup(app):
    app.connect("html-page-context", add_badge, priority=900)  # after the theme's
    return {"parallel_read_safe": True, "parallel_write_safe": True}
