#include "worker/drift/plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "worker/drift/svg.h"
#include "worker/drift/table.h"

namespace svi::drift {
namespace {

// Okabe and Ito's, which colour-blind people tell apart; beyond them lines are dashed.
constexpr std::array<std::string_view, 7> kColours = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                                      "#E69F00", "#56B4E9", "#000000"};
constexpr std::array<std::string_view, 3> kDashes = {"", "6,3", "2,2"};
constexpr std::string_view kGrey = "#cccccc", kDark = "#555555";

// Pixels.
constexpr double kPanelWidth = 360, kPanelHeight = 250;
constexpr double kLeft = 62, kRight = 14, kTop = 34, kBottom = 40;  // margins in a panel
constexpr int kColumns = 3;
constexpr double kLegendLine = 20, kLegendTop = 12, kLegendColumn = 260;

std::string_view ColourOf(size_t report) { return kColours[report % kColours.size()]; }
std::string_view DashOf(size_t report) { return kDashes[report / kColours.size() % kDashes.size()]; }

struct Series {
  std::vector<int> clips;
  std::vector<Statistics> statistics;
};

Series SeriesOf(const DriftReport& report, const Measure& measure) {
  Series series;
  for (const int clip : report.measured) {
    const Statistics statistics = Summarize(report, clip, measure);
    if (statistics.count == 0) continue;
    series.clips.push_back(clip);
    series.statistics.push_back(statistics);
  }
  return series;
}

// Shares have no spread: the band is as thin as the line.
Series FollowedOf(const DriftReport& report) {
  Series series;
  for (const int clip : report.measured) {
    const Followed followed = CountFollowed(report, clip);
    if (followed.moving_of == 0) continue;
    series.clips.push_back(clip);
    series.statistics.push_back(StatisticsOf({static_cast<double>(followed.moving) / followed.moving_of}));
  }
  return series;
}

struct Panel {
  std::string title;
  std::vector<Series> series;  // one a report
};

std::vector<Panel> PanelsOf(const std::vector<DriftReport>& reports) {
  std::vector<Panel> panels;
  for (const Measure& measure : Measures()) {
    if (measure.title.empty()) continue;
    Panel& panel = panels.emplace_back(Panel{measure.title, {}});
    for (const DriftReport& report : reports) panel.series.push_back(SeriesOf(report, measure));
  }
  if (std::any_of(reports.begin(), reports.end(), SaysDirections)) {
    Panel& panel = panels.emplace_back(Panel{"Goes where the prompt says: share of scenes", {}});
    for (const DriftReport& report : reports) panel.series.push_back(FollowedOf(report));
  }
  return panels;
}

// Where clips and values are in a panel.
struct Axes {
  Point origin;  // left top corner of the panel
  double first_clip, last_clip;
  double low, high;

  [[nodiscard]] double X(double clip) const {
    const double span = std::log(last_clip / first_clip);
    const double share = span > 0 ? std::log(clip / first_clip) / span : 0.5;
    return origin.x + kLeft + share * (kPanelWidth - kLeft - kRight);
  }
  [[nodiscard]] double Y(double value) const {
    const double share = (value - low) / (high - low);
    return origin.y + kPanelHeight - kBottom - share * (kPanelHeight - kTop - kBottom);
  }
};

// As many digits as the distance of two ticks needs.
std::string TickText(double value, double step) {
  const int digits = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 6);
  return absl::StrFormat("%.*f", digits, value == 0 ? 0.0 : value);
}

void DrawAxes(Svg& svg, const Axes& axes, const std::vector<double>& ticks, const std::vector<int>& clips,
              std::string_view title) {
  const double left = axes.X(axes.first_clip), right = axes.origin.x + kPanelWidth - kRight;
  const double line_left = axes.origin.x + kLeft;
  svg.Text({axes.origin.x + kLeft, axes.origin.y + kTop - 14}, title, 12, Anchor::kStart, true);
  for (const double tick : ticks) {
    svg.Line({line_left, axes.Y(tick)}, {right, axes.Y(tick)}, kGrey, 0.5);
    svg.Text({line_left - 6, axes.Y(tick) + 4}, TickText(tick, ticks[1] - ticks[0]), 11, Anchor::kEnd);
  }
  const double bottom = axes.Y(axes.low);
  svg.Line({line_left, bottom}, {right, bottom}, kDark);
  svg.Line({line_left, axes.Y(axes.high)}, {line_left, bottom}, kDark);
  double last_label = left - 100;
  for (const int clip : clips) {
    svg.Line({axes.X(clip), bottom}, {axes.X(clip), bottom + 4}, kDark);
    if (axes.X(clip) - last_label < 18) continue;  // would touch the label before
    last_label = axes.X(clip);
    svg.Text({axes.X(clip), bottom + 17}, absl::StrCat(clip), 11, Anchor::kMiddle);
  }
  svg.Text({(line_left + right) / 2, bottom + 32}, "clip", 11, Anchor::kMiddle);
}

void DrawSeries(Svg& svg, const Axes& axes, const Series& series, size_t report) {
  if (series.clips.empty()) return;
  std::vector<Point> line, band;
  for (size_t i = 0; i < series.clips.size(); ++i) {
    line.push_back({axes.X(series.clips[i]), axes.Y(series.statistics[i].median)});
    band.push_back({axes.X(series.clips[i]), axes.Y(series.statistics[i].upper_quartile)});
  }
  for (size_t i = series.clips.size(); i-- > 0;) {
    band.push_back({axes.X(series.clips[i]), axes.Y(series.statistics[i].lower_quartile)});
  }
  svg.Polygon(band, ColourOf(report), 0.13);
  svg.Polyline(line, ColourOf(report), 1.8, DashOf(report));
  for (const Point& point : line) svg.Circle(point, 2.4, ColourOf(report));
}

void DrawPanel(Svg& svg, Point origin, const std::vector<int>& clips, const Panel& panel) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const Series& series : panel.series) {
    for (const Statistics& statistics : series.statistics) {
      low = std::min(low, statistics.lower_quartile);
      high = std::max(high, statistics.upper_quartile);
    }
  }
  if (!(low <= high)) low = high = 0;  // nobody has it
  const std::vector<double> ticks = AxisTicks(low, high, 5);
  const Axes axes{origin, static_cast<double>(clips.front()), static_cast<double>(clips.back()),
                  ticks.front(), ticks.back()};
  DrawAxes(svg, axes, ticks, clips, panel.title);
  for (size_t i = 0; i < panel.series.size(); ++i) DrawSeries(svg, axes, panel.series[i], i);
}

void DrawLegend(Svg& svg, const std::vector<DriftReport>& reports, int columns) {
  for (size_t i = 0; i < reports.size(); ++i) {
    const double x = 20 + static_cast<double>(i % columns) * kLegendColumn;
    const double y = kLegendTop + (static_cast<double>(i / columns) + 0.5) * kLegendLine;
    svg.Polyline({{x, y}, {x + 26, y}}, ColourOf(i), 2.5, DashOf(i));
    svg.Text({x + 32, y + 4}, reports[i].label, 12);
  }
}

}  // namespace

std::vector<double> AxisTicks(double low, double high, int count) {
  if (high - low < 1e-9 * std::max(1.0, std::abs(low))) {  // a flat line: give it some room
    const double room = std::max(0.01, 0.1 * std::abs(low));
    low -= room;
    high += room;
  }
  const double raw = (high - low) / count, power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double nice : {5.0, 2.0, 1.0}) {
    if (nice * power >= raw * (1 - 1e-9)) step = nice * power;
  }
  std::vector<double> ticks;
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string SvgPlot(const std::vector<DriftReport>& reports) {
  const std::vector<int> clips = AllMeasured(reports);
  const std::vector<Panel> panels = PanelsOf(reports);
  const double width = kColumns * kPanelWidth;
  const int legend_columns = static_cast<int>(width / kLegendColumn);
  const double legend_rows = std::ceil(static_cast<double>(reports.size()) / legend_columns);
  const double top = 2 * kLegendTop + legend_rows * kLegendLine;
  const double panel_rows = std::ceil(static_cast<double>(panels.size()) / kColumns);
  Svg svg(width, top + panel_rows * kPanelHeight);
  DrawLegend(svg, reports, legend_columns);
  for (size_t i = 0; i < panels.size() && !clips.empty(); ++i) {
    const Point origin{static_cast<double>(i % kColumns) * kPanelWidth,
                       top + static_cast<double>(i / kColumns) * kPanelHeight};
    DrawPanel(svg, origin, clips, panels[i]);
  }
  return svg.Finish();
}

}  // namespace svi::drift
