// What must be true once all faults are over and all videos have ended.
#ifndef SVI_TESTS_FAULT_INVARIANTS_H_
#define SVI_TESTS_FAULT_INVARIANTS_H_

#include <vector>

#include "tests/fault/client.h"
#include "tests/fault/fleet.h"

namespace svi::fault {

struct Outcome {
  int succeeded = 0, cancelled = 0, failed = 0;
  int clips = 0;
  int clips_again = 0;  // made at a later attempt than the first
  int attempts = 0;     // of all clips
  int orphans = 0;      // artifacts of leases that ended, not swept yet
};

// Each of these fails the test where something is not as it must be.

// Waits until all have ended; returns them as they ended.
std::vector<v1::Video> AwaitAll(Client& client, const std::vector<Asked>& asked);
// Exactly the videos that were asked for are there.
void CheckNoneLostOrDoubled(Client& client, const std::vector<Asked>& asked);
// One video: how it ended, its clips, and its events.
void CheckVideo(const Asked& asked, const v1::Video& video, Outcome& outcome);
// Downloads every clip; each is the undisturbed run's, bit for bit.
void CheckBits(Client& client, const Asked& asked, const v1::Video& video);
// What the database names is in the store; what else is there is left over from a lease that ended, or from a
// CreateVideo that was not answered.
void CheckArtifacts(Fleet& fleet, Outcome& outcome);

}  // namespace svi::fault

#endif  // SVI_TESTS_FAULT_INVARIANTS_H_
