// Early return of an absl::Status, for code in which each line may fail.
#ifndef SVI_SERVER_QUEUE_STATUS_MACROS_H_
#define SVI_SERVER_QUEUE_STATUS_MACROS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the function if the absl::Status `expr` is not OK.
#define SVI_RETURN_IF_ERROR(expr)            \
  do {                                       \
    const absl::Status svi_status = (expr);  \
    if (!svi_status.ok()) return svi_status; \
  } while (false)

#define SVI_CONCAT_INNER(a, b) a##b
#define SVI_CONCAT(a, b) SVI_CONCAT_INNER(a, b)
#define SVI_ASSIGN_OR_RETURN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                               \
  if (!tmp.ok()) return tmp.status();              \
  lhs = *std::move(tmp)

// `lhs` = value of the absl::StatusOr `expr`, or returns its status.
#define SVI_ASSIGN_OR_RETURN(lhs, expr) SVI_ASSIGN_OR_RETURN_INNER(SVI_CONCAT(svi_tmp_, __LINE__), lhs, expr)

#endif  // SVI_SERVER_QUEUE_STATUS_MACROS_H_
