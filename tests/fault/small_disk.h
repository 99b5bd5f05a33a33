// A disk that a test fills.
#ifndef SVI_TESTS_FAULT_SMALL_DISK_H_
#define SVI_TESTS_FAULT_SMALL_DISK_H_

#include <string>

namespace svi::fault {

// A tmpfs of its own, mounted on a folder that is made for it. Needs root. Not thread-safe.
class SmallDisk {
 public:
  // Why there can be none here; empty if there can.
  static const std::string& Unavailable();

  SmallDisk(std::string folder, int megabytes);  // fails the test if it cannot
  ~SmallDisk();                                  // what uses it must have ended
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // Not one byte more can be written.
  void Fill();
  // What Fill took.
  void Free();

 private:
  [[nodiscard]] std::string ballast() const { return folder_ + "/ballast"; }

  const std::string folder_;
};

}  // namespace svi::fault

#endif  // SVI_TESTS_FAULT_SMALL_DISK_H_
