// What a database gives the server: both stores, over the same connections.
#ifndef SVI_SERVER_QUEUE_STORES_H_
#define SVI_SERVER_QUEUE_STORES_H_

#include <memory>

#include "server/queue/job_store.h"
#include "server/queue/training_store.h"

namespace svi::server {

struct Stores {
  std::unique_ptr<JobStore> jobs;
  std::unique_ptr<TrainingStore> training;
};

}  // namespace svi::server

#endif  // SVI_SERVER_QUEUE_STORES_H_
