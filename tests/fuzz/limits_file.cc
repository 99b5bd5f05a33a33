// The operator's tables of tenants, and the trainer's CSV. The first byte chooses which.
#include "server/queue/tenant_table.h"
#include "tests/fuzz/fuzz.h"
#include "worker/data/csv.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text = svi::fuzz::View(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    const auto limits = svi::server::ParseTenantLimits(std::string(text));
    svi::fuzz::Check(limits.ok() || !limits.status().message().empty(), "errors say why");
  } else {
    for (const auto& row : svi::data::ParseCsv(text))
      svi::fuzz::Check(row.line >= 1 && !row.fields.empty(), "rows have a line and fields");
  }
  return 0;
}
