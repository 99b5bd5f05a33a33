#include "worker/data/listing.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/utf8.h"
#include "worker/data/csv.h"

namespace svi::data {
namespace {

namespace fs = std::filesystem;

constexpr char kFileColumn[] = "Filename";
constexpr char kPromptColumn[] = "Video Description";

// Fit for a message and a file's metadata, whatever the file system holds.
std::string Printable(const std::string& name) {
  const bool plain =
      IsUtf8(name) && std::none_of(name.begin(), name.end(), [](char c) { return absl::ascii_iscntrl(c); });
  return plain ? name : absl::CHexEscape(name);
}

absl::StatusOr<std::string> ReadText(const fs::path& path, const std::string& name) {
  std::ifstream in(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in.good() && !in.eof()) return absl::InvalidArgumentError(absl::StrCat(name, " cannot be read"));
  return text;
}

// Size and time of the last change: what a changed file does not keep.
std::string IdentityOf(const fs::path& path) {
  std::error_code ignored;
  const uintmax_t size = fs::file_size(path, ignored);
  const auto changed = fs::last_write_time(path, ignored);
  return absl::StrCat(size, ":", changed.time_since_epoch().count());
}

// One row, from whichever form.
struct Row {
  std::string where;  // "cats/cats.csv, line 3"
  std::string file;
  std::string prompt;
};

// Why a row cannot be used; empty if it can.
std::string FaultOf(const Row& row, const fs::path& folder) {
  if (row.file.empty()) return "it names no file";
  if (row.file.find('\0') != std::string::npos) return "the file's name holds a zero byte";
  const fs::path relative = fs::path(row.file).lexically_normal();
  if (relative.is_absolute() || *relative.begin() == "..") return "the path leaves the data set's folder";
  if (absl::StripAsciiWhitespace(row.prompt).empty()) return "it has no description";
  if (!IsUtf8(row.prompt)) return "the description is not UTF-8";
  std::error_code ignored;
  const fs::file_status status = fs::status(folder / relative, ignored);
  if (!fs::exists(status)) return "there is no such file";
  if (!fs::is_regular_file(status)) return "it is not a regular file";
  return "";
}

// `prefix`: of names, "cats/" or "".
void Add(const Row& row, const fs::path& folder, const std::string& prefix, Listing* listing) {
  if (std::string fault = FaultOf(row, folder); !fault.empty()) {
    const std::string file = row.file.empty() ? "" : absl::StrCat(" (", Printable(row.file), ")");
    listing->skipped.push_back({absl::StrCat(row.where, file), std::move(fault)});
    return;
  }
  const fs::path relative = fs::path(row.file).lexically_normal();
  const fs::path path = folder / relative;
  listing->items.push_back(
      {absl::StrCat(prefix, Printable(relative.string())), row.prompt, IdentityOf(path)});
  listing->paths.push_back(path.string());
}

struct Columns {
  size_t file = 0;
  size_t prompt = 0;
};

std::optional<size_t> Find(const CsvRow& header, absl::string_view name) {
  for (size_t i = 0; i < header.fields.size(); ++i) {
    if (absl::StripAsciiWhitespace(header.fields[i]) == name) return i;
  }
  return std::nullopt;
}

std::optional<Columns> FindColumns(const std::vector<CsvRow>& rows) {
  if (rows.empty() || !rows[0].fault.empty()) return std::nullopt;
  const auto file = Find(rows[0], kFileColumn), prompt = Find(rows[0], kPromptColumn);
  if (!file || !prompt) return std::nullopt;
  return Columns{*file, *prompt};
}

bool LooksLikeVideo(const fs::path& path) {
  constexpr std::array<std::string_view, 8> kEndings = {".mp4", ".mov", ".mkv", ".webm",
                                                        ".avi", ".m4v", ".mpg", ".mpeg"};
  const std::string ending = absl::AsciiStrToLower(path.extension().string());
  return std::find(kEndings.begin(), kEndings.end(), ending) != kEndings.end();
}

// Names in a folder, sorted: the file system's own order is none.
absl::StatusOr<std::vector<fs::path>> Entries(const fs::path& folder, const std::string& name) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    entries.push_back(entry->path());
  }
  if (error) return absl::InvalidArgumentError(absl::StrCat(name, " cannot be listed"));
  std::sort(entries.begin(), entries.end());
  return entries;
}

// Videos that lie in the folder without a row: most likely a slip.
void AddUnnamed(const fs::path& folder, const std::string& category, const std::set<fs::path>& named,
                Listing* listing) {
  const auto entries = Entries(folder, category);
  if (!entries.ok()) {
    listing->skipped.push_back({category, std::string(entries.status().message())});
    return;
  }
  for (const fs::path& path : *entries) {
    if (!LooksLikeVideo(path) || named.contains(path.filename())) continue;
    listing->skipped.push_back({absl::StrCat(category, "/", Printable(path.filename().string())),
                                absl::StrCat(category, ".csv has no row for it")});
  }
}

void AddCategory(const fs::path& folder, Listing* listing) {
  const std::string category = Printable(folder.filename().string());
  const std::string csv = absl::StrCat(category, "/", category, ".csv");
  const fs::path path = folder / (folder.filename().string() + ".csv");
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) {
    listing->skipped.push_back({category, absl::StrCat("there is no ", csv)});
    return;
  }
  const absl::StatusOr<std::string> text = ReadText(path, csv);
  if (!text.ok()) {
    listing->skipped.push_back({csv, std::string(text.status().message())});
    return;
  }
  const std::vector<CsvRow> rows = ParseCsv(*text);
  const std::optional<Columns> columns = FindColumns(rows);
  if (!columns) {
    listing->skipped.push_back({csv, absl::StrCat("its first line does not name the columns \"", kFileColumn,
                                                  "\" and \"", kPromptColumn, "\"")});
    return;
  }
  std::set<fs::path> named;
  for (size_t i = 1; i < rows.size(); ++i) {
    const CsvRow& row = rows[i];
    const std::string where = absl::StrCat(csv, ", line ", row.line);
    if (!row.fault.empty()) {
      listing->skipped.push_back({where, row.fault});
    } else if (row.fields.size() <= std::max(columns->file, columns->prompt)) {
      listing->skipped.push_back({where, absl::StrCat("it has only ", row.fields.size(), " fields")});
    } else {
      named.insert(fs::path(row.fields[columns->file]).lexically_normal());
      Add({where, row.fields[columns->file], row.fields[columns->prompt]}, folder, category + "/", listing);
    }
  }
  AddUnnamed(folder, category, named, listing);
}

// The row, or why there is none.
absl::StatusOr<Row> ParseJsonRow(std::string_view line, std::string where) {
  const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::InvalidArgumentError("it is not JSON");
  if (!json.is_object()) return absl::InvalidArgumentError("it is not a JSON object");
  Row row{std::move(where), "", ""};
  for (const auto& [key, field] : {std::pair("path", &row.file), std::pair("prompt", &row.prompt)}) {
    const auto value = json.find(key);
    if (value == json.end() || !value->is_string()) {
      return absl::InvalidArgumentError(absl::StrCat("it has no text \"", key, "\""));
    }
    *field = value->get<std::string>();
  }
  return row;
}

}  // namespace

absl::StatusOr<Listing> ListFolder(const std::string& folder) {
  const auto entries = Entries(folder, "the data set's folder");
  if (!entries.ok()) return entries.status();
  Listing listing;
  for (const fs::path& entry : *entries) {
    std::error_code ignored;
    const bool hidden = entry.filename().string().front() == '.';
    if (fs::is_directory(entry, ignored) && !hidden) {
      AddCategory(entry, &listing);
    } else if (LooksLikeVideo(entry)) {
      listing.skipped.push_back({Printable(entry.filename().string()), "it is in no category's folder"});
    }
  }
  return listing;
}

absl::StatusOr<Listing> ListJsonLines(const std::string& file) {
  const std::string name = Printable(fs::path(file).filename().string());
  const absl::StatusOr<std::string> text = ReadText(file, name);
  if (!text.ok()) return text.status();
  Listing listing;
  std::string_view rest = *text;
  if (rest.substr(0, 3) == "\xEF\xBB\xBF") rest.remove_prefix(3);
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const absl::string_view line = absl::StripAsciiWhitespace({rest.data(), end});
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.empty()) continue;
    const std::string where = absl::StrCat(name, ", line ", number);
    absl::StatusOr<Row> row = ParseJsonRow({line.data(), line.size()}, where);
    if (row.ok()) {
      Add(*row, fs::path(file).parent_path(), "", &listing);
    } else {
      listing.skipped.push_back({where, std::string(row.status().message())});
    }
  }
  return listing;
}

}  // namespace svi::data
