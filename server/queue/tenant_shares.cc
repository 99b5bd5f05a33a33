#include "server/queue/tenant_shares.h"

#include <algorithm>

namespace svi::server {

void TenantShares::Move(TenantShare& share, double tag) {
  if (share.eligible) order_.erase(&share);
  share.tag = tag;
  if (share.eligible) order_.insert(&share);
}

void TenantShares::SetEligible(TenantShare& share, bool eligible) {
  if (share.eligible == eligible) return;
  if (eligible) {
    share.tag = std::max(share.tag, now_);
    order_.insert(&share);
  } else {
    order_.erase(&share);
  }
  share.eligible = eligible;
}

void TenantShares::Charge(TenantShare& share, double seconds) {
  const double start = share.eligible ? share.tag : std::max(share.tag, now_);
  now_ = std::max(now_, start);
  Move(share, start + seconds / share.weight);
}

void TenantShares::Correct(TenantShare& share, double seconds) {
  Move(share, share.tag + seconds / share.weight);
}

}  // namespace svi::server
