#include "worker/drift/plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace svi::drift {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

int Count(const std::string& text, const std::string& what) {
  int count = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

DriftReport Report(const std::string& label, double last) {
  DriftReport report;
  report.label = label;
  report.measured = {1, 60};
  MeasuredScene scene;
  scene.clips.resize(2);
  scene.clips[1].clip = 60;
  scene.clips[1].drift.histogram_distance = last;
  report.scenes = {scene};
  return report;
}

TEST(AxisTicks, AreRoundAndSpanTheValues) {
  using testing::DoubleNear;
  EXPECT_THAT(AxisTicks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(AxisTicks(0.13, 0.38, 5),
              ElementsAre(DoubleNear(0.10, 1e-9), DoubleNear(0.15, 1e-9), DoubleNear(0.2, 1e-9),
                          DoubleNear(0.25, 1e-9), DoubleNear(0.3, 1e-9), DoubleNear(0.35, 1e-9),
                          DoubleNear(0.4, 1e-9)));
  EXPECT_THAT(AxisTicks(-3, 4, 4), ElementsAre(-4, -2, 0, 2, 4));
  const std::vector<double> flat = AxisTicks(7, 7, 5);
  EXPECT_GE(flat.size(), 2u);
  EXPECT_LT(flat.front(), 7);
  EXPECT_GT(flat.back(), 7);
}

TEST(SvgPlot, DrawsALineAReportInEveryPanel) {
  const std::string svg = SvgPlot({Report("none", 0.3), Report("a < b", 0.1)});
  int panels = 0;
  for (const Measure& measure : Measures()) {
    if (measure.title.empty()) continue;
    ++panels;
    EXPECT_THAT(svg, HasSubstr(">" + measure.title + "</text>"));
  }
  EXPECT_THAT(svg, HasSubstr(">none</text>"));
  EXPECT_THAT(svg, HasSubstr(">a &lt; b</text>"));
  EXPECT_THAT(svg, HasSubstr(">60</text>"));
  // Nothing is still in these clips, so two panels have no lines; two lines are the legend's.
  EXPECT_EQ(Count(svg, "<polyline"), 2 * (panels - 2) + 2);
  EXPECT_EQ(Count(svg, "<polygon"), 2 * (panels - 2));
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.substr(svg.size() - 7), "</svg>\n");
}

TEST(SvgPlot, HigherValuesAreHigherUp) {
  const std::string svg = SvgPlot({Report("none", 0.3)});
  // The title is followed by the axes, then the band and the line.
  const size_t at = svg.find("<polyline points=\"", svg.find("Histogram distance"));
  ASSERT_NE(at, std::string::npos);
  double x1 = 0, y1 = 0, x2 = 0, y2 = 0;
  ASSERT_EQ(std::sscanf(svg.c_str() + at, "<polyline points=\"%lf,%lf %lf,%lf", &x1, &y1, &x2, &y2), 4);
  EXPECT_LT(x1, x2);
  EXPECT_GT(y1, y2);
}

TEST(SvgPlot, HasAPanelForDirectionsThatAreKnown) {
  DriftReport report = Report("none", 0.3);
  EXPECT_EQ(SvgPlot({report}).find("prompt says"), std::string::npos);
  const int lines = Count(SvgPlot({report}), "<polyline");
  report.scenes[0].direction = "left";
  EXPECT_THAT(SvgPlot({report}), HasSubstr("Goes where the prompt says"));
  EXPECT_EQ(Count(SvgPlot({report}), "<polyline"), lines + 1);
}

TEST(SvgPlot, NothingMeasuredIsAnEmptyPlot) {
  DriftReport report;
  report.label = "empty";
  EXPECT_THAT(SvgPlot({report}), HasSubstr("</svg>"));
}

}  // namespace
}  // namespace svi::drift
