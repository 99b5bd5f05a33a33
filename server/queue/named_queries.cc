#include "server/queue/named_queries.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace svi::server {

absl::StatusOr<NamedQueries> ParseNamedQueries(absl::string_view text) {
  NamedQueries queries;
  std::string name;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    absl::string_view rest = line;
    if (absl::ConsumePrefix(&rest, "-- name:")) {
      if (!name.empty() && queries[name].empty()) {
        return absl::InternalError(absl::StrCat("query ", name, " is empty"));
      }
      name = std::string(absl::StripAsciiWhitespace(rest));
      if (name.empty()) return absl::InternalError("a query has an empty name");
      if (!queries.emplace(name, "").second) {
        return absl::InternalError(absl::StrCat("query ", name, " is there twice"));
      }
      continue;
    }
    if (absl::StartsWith(line, "--") || absl::StripAsciiWhitespace(line).empty()) continue;
    if (name.empty()) return absl::InternalError("a query has no name");
    absl::StrAppend(&queries[name], line, "\n");
  }
  if (!name.empty() && queries[name].empty()) {
    return absl::InternalError(absl::StrCat("query ", name, " is empty"));
  }
  return queries;
}

}  // namespace svi::server
