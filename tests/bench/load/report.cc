#include "tests/bench/load/report.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace svi::load {
namespace {

// Three digits that count.
std::string Shown(double value) {
  if (value < 0) return "–";
  if (value >= 100) return absl::StrFormat("%.0f", value);
  return absl::StrFormat(value >= 10 ? "%.1f" : "%.2f", value);
}

}  // namespace

void Report::Add(Row row) {
  if (json_ != nullptr) {
    nlohmann::ordered_json line = {{"phase", row.phase}, {"store", row.store}, {"load", row.load}};
    for (const auto& [name, value] : row.figures) line[name] = value;
    std::fprintf(json_, "%s\n", line.dump().c_str());
    std::fflush(json_);
  }
  rows_.push_back(std::move(row));
}

std::string Report::Markdown() const {
  std::string text;
  std::string phase;
  for (const Row& row : rows_) {
    if (row.phase == phase) continue;
    phase = row.phase;
    absl::StrAppend(&text, "\n| ", phase, " | store |");
    std::string rule = "\n| --- | --- |";
    for (const auto& [name, value] : row.figures) {
      absl::StrAppend(&text, " ", name, " |");
      rule += " ---: |";
    }
    text += rule;
    for (const Row& other : rows_) {
      if (other.phase != phase) continue;
      absl::StrAppend(&text, "\n| ", other.load, " | ", other.store, " |");
      for (const auto& [name, value] : other.figures) absl::StrAppend(&text, " ", Shown(value), " |");
    }
    text += "\n";
  }
  return text;
}

}  // namespace svi::load
