#include "client/sha256.h"

#include <openssl/evp.h>

#include <cstdlib>

namespace svi {
namespace {

// OpenSSL's SHA-256 fails only when there is no memory or no such digest: nothing that a caller could handle.
void OrDie(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  OrDie(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void Sha256::Update(absl::string_view bytes) {
  OrDie(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

std::string Sha256::Finish() {
  std::string hash(EVP_MAX_MD_SIZE, '\0');
  unsigned int size = 0;
  OrDie(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(hash.data()), &size) == 1);
  hash.resize(size);
  return hash;
}

std::string Sha256::Of(absl::string_view bytes) {
  Sha256 sha;
  sha.Update(bytes);
  return sha.Finish();
}

}  // namespace svi
