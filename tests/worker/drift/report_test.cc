#include "worker/drift/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/drift/table.h"

namespace svi::drift {
namespace {

using testing::HasSubstr;
using testing::Not;

// Two scenes, clips 1 and 5; brightness drifts by +0.1 in one and by -0.3 in the other. The second has no
// clip 5 of which anything would be still.
DriftReport Report(const std::string& label) {
  DriftReport report;
  report.label = label;
  report.settings = {{"model", "toy"}, {"variant", "pro"}};
  report.measured = {1, 5};
  for (const double drift : {0.1, -0.3}) {
    MeasuredScene scene{"p.png", "a red ball moves left", 7, "left", {}, {}};
    MeasuredClip first;
    first.measures.brightness = 0.5;
    first.measures.histogram[3] = 1;
    first.drift.static_psnr = 30;
    first.motion = {Direction::kLeft, 0.8, -1.5, 0.1};
    MeasuredClip fifth = first;
    fifth.clip = 5;
    fifth.drift.brightness = drift;
    fifth.drift.static_psnr = drift > 0 ? std::optional<double>(25) : std::nullopt;
    fifth.motion.direction = drift > 0 ? Direction::kLeft : Direction::kStill;
    scene.clips = {first, fifth};
    report.scenes.push_back(scene);
  }
  return report;
}

const Measure& Find(const std::string& group, const std::string& name) {
  for (const Measure& measure : Measures()) {
    if (measure.group == group && measure.name == name) return measure;
  }
  ADD_FAILURE() << group << "." << name;
  return Measures().front();
}

TEST(Statistics, ByHand) {
  const Statistics s = StatisticsOf({4, 1, 2, 10});
  EXPECT_EQ(s.count, 4);
  EXPECT_NEAR(s.median, 3, 1e-12);
  EXPECT_NEAR(s.lower_quartile, 1.75, 1e-12);
  EXPECT_NEAR(s.upper_quartile, 5.5, 1e-12);
  EXPECT_NEAR(s.mean, 4.25, 1e-12);
  EXPECT_NEAR(s.deviation, 4.0311288741492746, 1e-12);
  const Statistics one = StatisticsOf({3});
  EXPECT_EQ(one.median, 3);
  EXPECT_EQ(one.upper_quartile, 3);
  EXPECT_EQ(one.deviation, 0);
  EXPECT_EQ(StatisticsOf({}).count, 0);
}

TEST(DriftReport, SizesOfDifferencesDoNotCancel) {
  const DriftReport report = Report("toy");
  EXPECT_NEAR(Summarize(report, 5, Find("drift", "brightness")).mean, -0.1, 1e-12);
  EXPECT_NEAR(Summarize(report, 5, Find("drift_size", "brightness")).mean, 0.2, 1e-12);
  EXPECT_EQ(Summarize(report, 5, Find("drift", "static_psnr")).count, 1) << "the other scene has none";
  EXPECT_EQ(Summarize(report, 10, Find("drift", "brightness")).count, 0);
}

TEST(DriftReport, CountsScenesThatGoWhereTheyShall) {
  DriftReport report = Report("toy");
  report.scenes.push_back(report.scenes[1]);
  report.scenes[2].direction = "still";
  report.scenes.push_back(report.scenes[1]);
  report.scenes[3].direction = "";
  const Followed first = CountFollowed(report, 1), fifth = CountFollowed(report, 5);
  EXPECT_EQ(first.moving, 2);
  EXPECT_EQ(first.moving_of, 2);
  EXPECT_EQ(first.still, 0);
  EXPECT_EQ(first.still_of, 1);
  EXPECT_EQ(fifth.moving, 1);
  EXPECT_EQ(fifth.still, 1);
}

TEST(DriftReport, ComesBackFromJson) {
  DriftReport report = Report("toy");
  report.scenes[1].error = "clip 6: not finite";
  const std::string json = ToJson(report);
  const absl::StatusOr<DriftReport> back = ParseReport(json);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(ToJson(*back), json);
  EXPECT_EQ(back->scenes[0].clips[1].drift.brightness, 0.1);
  EXPECT_EQ(back->scenes[0].clips[0].motion.direction, Direction::kLeft);
  EXPECT_FALSE(back->scenes[1].clips[1].drift.static_psnr.has_value());
  EXPECT_EQ(back->scenes[1].error, "clip 6: not finite");
}

TEST(DriftReport, TheSummaryIsInTheJson) {
  const auto json = nlohmann::json::parse(ToJson(Report("toy")));
  const auto& fifth = json["summary"][1];
  EXPECT_EQ(fifth["clip"], 5);
  EXPECT_NEAR(fifth["drift"]["brightness"]["median"].get<double>(), -0.1, 1e-12);
  EXPECT_EQ(fifth["drift"]["static_psnr"]["scenes"], 1);
  EXPECT_EQ(fifth["direction"]["moving"]["followed"], 1);
  EXPECT_EQ(fifth["direction"]["moving"]["of"], 2);
}

TEST(DriftReport, AnythingElseIsRefused) {
  for (const char* text : {"", "[]", "{}", R"({"version": 2})", R"({"version": 1, "label": 3})"}) {
    EXPECT_EQ(ParseReport(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(MarkdownTables, HaveARowAReportAndAColumnAClip) {
  DriftReport other = Report("other | one");
  other.measured = {1};
  for (MeasuredScene& scene : other.scenes) scene.clips.resize(1);
  other.scenes[0].error = "clip 2: not finite";
  const std::string text = MarkdownTables({Report("toy"), other});
  EXPECT_THAT(text, HasSubstr("- other | one: 2 scenes, of which 1 broke off\n"));
  EXPECT_THAT(text, HasSubstr("| | clip 1 | clip 5 |\n| --- | --- | --- |\n"
                              "| toy | 30.0 (30.0 … 30.0) | 25.0 (25.0 … 25.0) |\n"
                              "| other \\| one | 30.0 (30.0 … 30.0) | – |\n"));
  EXPECT_THAT(text, HasSubstr("| toy | 2 of 2 | 1 of 2 |\n"));
}

TEST(MarkdownTables, SayNothingOfDirectionsThatAreNotKnown) {
  DriftReport report = Report("toy");
  for (MeasuredScene& scene : report.scenes) scene.direction.clear();
  EXPECT_THAT(MarkdownTables({report}), Not(HasSubstr("prompt says")));
}

}  // namespace
}  // namespace svi::drift
