"""Writes html_entities.cc and codepages.cc from what Python's standard library knows of HTML 5 and of the code pages.

Run in this folder with any Python >= 3.8: `python3 make_tables.py && clang-format -i *.cc`.
"""

import html.entities
import pathlib

HERE = pathlib.Path(__file__).parent
CODE_PAGES = ["cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "iso8859_2", "mac_roman", "cp437"]
NOTE = "// Made by make_tables.py; do not edit.\n"


def camel(page):
    return page.replace("_", "").capitalize()


def entities():
    rows = []
    for name in sorted(html.entities.html5):
        points = [ord(c) for c in html.entities.html5[name]] + [0]
        rows.append('{"%s", 0x%x, 0x%x},' % (name, points[0], points[1]))
    (HERE / "html_entities.cc").write_text(
        NOTE
        + '#include "worker/engine/text/tables/html_entities.h"\n\nnamespace svi::engine {\nnamespace {\n\n'
        + "constexpr HtmlEntity kEntities[] = {\n"
        + "\n".join(rows)
        + "\n};\n\n}  // namespace\n\nstd::span<const HtmlEntity> HtmlEntities() { return kEntities; }\n\n}  // namespace svi::engine\n"
    )


def code_pages():
    out = [NOTE, '#include "worker/engine/text/tables/codepages.h"\n\nnamespace svi::engine {\nnamespace {\n']
    for page in CODE_PAGES:
        row = []
        for byte in range(0x80, 0x100):
            try:
                row.append("0x%x" % ord(bytes([byte]).decode(page)))
            except UnicodeDecodeError:
                row.append("0")
        out.append("constexpr CodePageHalf kHalf%s = {%s};" % (camel(page), ", ".join(row)))
    out.append("\n}  // namespace\n\nconst CodePageHalf& UpperHalf(CodePage page) {\n  switch (page) {")
    for page in CODE_PAGES:
        out.append("    case CodePage::k%s: return kHalf%s;" % (camel(page), camel(page)))
    out.append("  }\n  return kHalfCp1252;\n}\n\n}  // namespace svi::engine")
    (HERE / "codepages.cc").write_text("\n".join(out) + "\n")


entities()
code_pages()
