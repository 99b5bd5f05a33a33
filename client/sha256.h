// SHA-256, computed piece by piece.
#ifndef SVI_CLIENT_SHA256_H_
#define SVI_CLIENT_SHA256_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

struct evp_md_ctx_st;

namespace svi {

class Sha256 {
 public:
  Sha256();

  void Update(absl::string_view bytes);
  // The hash of all bytes so far, 32 bytes. To be called once, last.
  [[nodiscard]] std::string Finish();

  [[nodiscard]] static std::string Of(absl::string_view bytes);

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

}  // namespace svi

#endif  // SVI_CLIENT_SHA256_H_
