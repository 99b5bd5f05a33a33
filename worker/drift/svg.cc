#include "worker/drift/svg.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace svi::drift {
namespace {

std::string Number(double value) { return absl::StrFormat("%.1f", value); }

std::string Points(const std::vector<Point>& points) {
  std::string text;
  for (const Point& point : points) {
    absl::StrAppend(&text, text.empty() ? "" : " ", Number(point.x), ",", Number(point.y));
  }
  return text;
}

std::string Escape(std::string_view text) {
  return absl::StrReplaceAll(absl::string_view(text.data(), text.size()),
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

const char* AnchorName(Anchor anchor) {
  switch (anchor) {
    case Anchor::kStart:
      return "start";
    case Anchor::kMiddle:
      return "middle";
    case Anchor::kEnd:
      return "end";
  }
  return "start";
}

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

Svg::Svg(double width, double height) {
  body_ = absl::StrCat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", Number(width), " ",
                       Number(height), "\" width=\"", Number(width), "\" height=\"", Number(height),
                       "\" font-family=\"sans-serif\">\n<rect width=\"100%\" height=\"100%\" "
                       "fill=\"white\"/>\n");
}

void Svg::Line(Point from, Point to, std::string_view colour, double width) {
  absl::StrAppend(&body_, "<line x1=\"", Number(from.x), "\" y1=\"", Number(from.y), "\" x2=\"", Number(to.x),
                  "\" y2=\"", Number(to.y), "\" stroke=\"", View(colour), "\" stroke-width=\"", Number(width),
                  "\"/>\n");
}

void Svg::Polyline(const std::vector<Point>& points, std::string_view colour, double width,
                   std::string_view dash) {
  absl::StrAppend(&body_, "<polyline points=\"", Points(points), "\" fill=\"none\" stroke=\"", View(colour),
                  "\" stroke-width=\"", Number(width), "\"");
  if (!dash.empty()) absl::StrAppend(&body_, " stroke-dasharray=\"", View(dash), "\"");
  absl::StrAppend(&body_, "/>\n");
}

void Svg::Polygon(const std::vector<Point>& points, std::string_view colour, double opacity) {
  absl::StrAppend(&body_, "<polygon points=\"", Points(points), "\" fill=\"", View(colour),
                  "\" fill-opacity=\"", absl::StrFormat("%.2f", opacity), "\"/>\n");
}

void Svg::Circle(Point centre, double radius, std::string_view colour) {
  absl::StrAppend(&body_, "<circle cx=\"", Number(centre.x), "\" cy=\"", Number(centre.y), "\" r=\"",
                  Number(radius), "\" fill=\"", View(colour), "\"/>\n");
}

void Svg::Text(Point at, std::string_view text, double size, Anchor anchor, bool bold) {
  absl::StrAppend(&body_, "<text x=\"", Number(at.x), "\" y=\"", Number(at.y), "\" font-size=\"",
                  Number(size), "\" text-anchor=\"", AnchorName(anchor), "\"",
                  bold ? " font-weight=\"bold\"" : "", ">", Escape(text), "</text>\n");
}

std::string Svg::Finish() const { return absl::StrCat(body_, "</svg>\n"); }

}  // namespace svi::drift
