#include "worker/data/csv.h"

#include <algorithm>
#include <utility>

namespace svi::data {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::vector<CsvRow> Parse() {
    std::vector<CsvRow> rows;
    while (!text_.empty()) {
      if (EatLineEnd()) continue;
      rows.push_back(Row());
    }
    return rows;
  }

 private:
  CsvRow Row() {
    CsvRow row;
    row.line = line_;
    while (true) {
      std::string field;
      row.fault = AtQuote() ? Quoted(&field) : Plain(&field);
      row.fields.push_back(std::move(field));
      if (!row.fault.empty()) break;
      if (text_.empty() || EatLineEnd()) return row;
      text_.remove_prefix(1);  // the comma
    }
    text_.remove_prefix(std::min(text_.find_first_of("\r\n"), text_.size()));
    return row;
  }

  bool AtQuote() const { return !text_.empty() && text_[0] == '"'; }

  std::string Plain(std::string* field) {
    const size_t size = std::min(text_.find_first_of(",\r\n"), text_.size());
    *field = text_.substr(0, size);
    text_.remove_prefix(size);
    return "";
  }

  std::string Quoted(std::string* field) {
    const int64_t opened = line_;
    text_.remove_prefix(1);
    while (!text_.empty()) {
      if (AtQuote()) {
        text_.remove_prefix(1);
        if (!AtQuote()) return AtFieldEnd() ? "" : "there is text after a closing quote";
      }
      Take(field);
    }
    return "the quote opened in line " + std::to_string(opened) +
           " is never closed; nothing after it was read";
  }

  bool AtFieldEnd() const { return text_.empty() || text_[0] == ',' || text_[0] == '\r' || text_[0] == '\n'; }

  // One character of a quoted field, line ends as they are.
  void Take(std::string* field) {
    const bool ends_line = text_[0] == '\n' || (text_[0] == '\r' && text_.substr(1, 1) != "\n");
    if (ends_line) ++line_;
    *field += text_[0];
    text_.remove_prefix(1);
  }

  bool EatLineEnd() {
    if (text_[0] != '\r' && text_[0] != '\n') return false;
    text_.remove_prefix(text_.substr(0, 2) == "\r\n" ? 2 : 1);
    ++line_;
    return true;
  }

  std::string_view text_;
  int64_t line_ = 1;
};

}  // namespace

std::vector<CsvRow> ParseCsv(std::string_view text) {
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark) text.remove_prefix(kByteOrderMark.size());
  return Parser(text).Parse();
}

}  // namespace svi::data
