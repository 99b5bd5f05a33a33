// svi-worker: makes clips for svi-server, or offline.
#include <malloc.h>

#include <string>
#include <vector>

#include "worker/commands.h"

int main(int argc, char** argv) {
  // glibc keeps freed activations by default, which doubles the peak of a clip; large blocks go back at once
  // instead.
  constexpr int kThreshold = 64 * 1024;
  mallopt(M_MMAP_THRESHOLD, kThreshold);
  mallopt(M_TRIM_THRESHOLD, kThreshold);
  return svi::worker::RunCommand(std::vector<std::string>(argv + 1, argv + argc));
}
