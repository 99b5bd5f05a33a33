// Comma-separated values (RFC 4180).
#ifndef SVI_WORKER_DATA_CSV_H_
#define SVI_WORKER_DATA_CSV_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace svi::data {

struct CsvRow {
  int64_t line = 0;  // where it begins, from 1
  std::vector<std::string> fields;
  std::string fault;  // why it cannot be read; empty: nothing is wrong with it
};

// All rows but empty lines, the header too. A byte order mark is passed over; lines end with LF, CRLF or CR.
// A quoted field may hold commas, line ends and doubled quotes; a quote inside of an unquoted field is
// itself.
std::vector<CsvRow> ParseCsv(std::string_view text);

}  // namespace svi::data

#endif  // SVI_WORKER_DATA_CSV_H_
