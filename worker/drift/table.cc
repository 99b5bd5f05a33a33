#include "worker/drift/table.h"

#include <functional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace svi::drift {
namespace {

std::string Table(const std::vector<DriftReport>& reports, const std::vector<int>& clips,
                  const std::function<std::string(const DriftReport&, int)>& cell) {
  std::string head = "|", rule = "| --- |", body;
  for (const int clip : clips) {
    absl::StrAppend(&head, " | clip ", clip);
    absl::StrAppend(&rule, " --- |");
  }
  for (const DriftReport& report : reports) {
    absl::StrAppend(&body, "| ", absl::StrReplaceAll(report.label, {{"|", "\\|"}, {"\n", " "}}));
    for (const int clip : clips) absl::StrAppend(&body, " | ", cell(report, clip));
    absl::StrAppend(&body, " |\n");
  }
  return absl::StrCat(head, " |\n", rule, "\n", body);
}

std::string Cell(const Statistics& s, int digits) {
  if (s.count == 0) return "–";
  return absl::StrFormat("%.*f (%.*f … %.*f)", digits, s.median, digits, s.lower_quartile, digits,
                         s.upper_quartile);
}

std::string FollowedCell(const Followed& followed) {
  std::string cell;
  if (followed.moving_of > 0) absl::StrAppend(&cell, followed.moving, " of ", followed.moving_of);
  if (followed.still_of > 0) {
    absl::StrAppend(&cell, cell.empty() ? "" : "; ", "still: ", followed.still, " of ", followed.still_of);
  }
  return cell.empty() ? "–" : cell;
}

int Failed(const DriftReport& report) {
  int failed = 0;
  for (const MeasuredScene& scene : report.scenes) failed += !scene.error.empty();
  return failed;
}

}  // namespace

std::vector<int> AllMeasured(const std::vector<DriftReport>& reports) {
  std::set<int> clips;
  for (const DriftReport& report : reports) clips.insert(report.measured.begin(), report.measured.end());
  return {clips.begin(), clips.end()};
}

std::string MarkdownTables(const std::vector<DriftReport>& reports) {
  const std::vector<int> clips = AllMeasured(reports);
  std::string text = "Median over scenes (lower quartile … upper quartile).\n\n";
  bool directions = false;
  for (const DriftReport& report : reports) {
    directions = directions || SaysDirections(report);
    absl::StrAppend(&text, "- ", report.label, ": ", report.scenes.size(), " scenes");
    if (const int failed = Failed(report)) absl::StrAppend(&text, ", of which ", failed, " broke off");
    absl::StrAppend(&text, "\n");
  }
  for (const Measure& measure : Measures()) {
    if (measure.title.empty()) continue;
    absl::StrAppend(&text, "\n**", measure.title, "**\n\n",
                    Table(reports, clips, [&](const DriftReport& report, int clip) {
                      return Cell(Summarize(report, clip, measure), measure.digits);
                    }));
  }
  if (directions) {
    absl::StrAppend(&text, "\n**Goes where the prompt says**\n\n",
                    Table(reports, clips, [](const DriftReport& report, int clip) {
                      return FollowedCell(CountFollowed(report, clip));
                    }));
  }
  return text;
}

}  // namespace svi::drift
