// What `svi` says of a training run.
#ifndef SVI_CLIENT_TRAINING_REPORTER_H_
#define SVI_CLIENT_TRAINING_REPORTER_H_

#include <string>

#include "client/reporter.h"
#include "client/training_progress.h"
#include "svi/v1/training_service.pb.h"

namespace svi::client {

// The bar is the run's until this is gone.
class TrainingReporter {
 public:
  explicit TrainingReporter(Reporter& out) : out_(out) {}
  ~TrainingReporter() { out_.SetBar(nullptr); }
  TrainingReporter(const TrainingReporter&) = delete;
  TrainingReporter& operator=(const TrainingReporter&) = delete;

  void Created(const v1::TrainingRun& run);
  void Watching(const v1::TrainingRun& run);
  void Event(const v1::TrainingEvent& event);
  // As it ended.
  void Ended(const v1::TrainingRun& run);

 private:
  void PlainProgress(const v1::TrainingProgress& progress);
  void DescribeEvent(const v1::TrainingEvent& event);

  Reporter& out_;
  RunProgress progress_;
  std::string last_progress_;  // plain mode: what was said last, so that it is not said again
};

}  // namespace svi::client

#endif  // SVI_CLIENT_TRAINING_REPORTER_H_
