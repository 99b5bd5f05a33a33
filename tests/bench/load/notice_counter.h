// Counts what the servers of a database tell each other.
#ifndef SVI_TESTS_BENCH_LOAD_NOTICE_COUNTER_H_
#define SVI_TESTS_BENCH_LOAD_NOTICE_COUNTER_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace svi::load {

class NoticeCounter {
 public:
  // Listens where the servers of this database and schema do.
  explicit NoticeCounter(const std::string& database);
  ~NoticeCounter();
  NoticeCounter(const NoticeCounter&) = delete;
  NoticeCounter& operator=(const NoticeCounter&) = delete;

  [[nodiscard]] int64_t notices() const { return notices_; }
  [[nodiscard]] int64_t bytes() const { return bytes_; }
  // Lines that carry the progress of a video.
  [[nodiscard]] int64_t progress() const { return progress_; }

 private:
  void Listen(const std::string& database);

  std::atomic<int64_t> notices_{0};
  std::atomic<int64_t> bytes_{0};
  std::atomic<int64_t> progress_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace svi::load

#endif  // SVI_TESTS_BENCH_LOAD_NOTICE_COUNTER_H_
