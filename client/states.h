// Which states are final.
#ifndef SVI_CLIENT_STATES_H_
#define SVI_CLIENT_STATES_H_

#include "svi/v1/resources.pb.h"
#include "svi/v1/training_service.pb.h"

namespace svi::client {

inline bool IsFinal(v1::VideoState state) {
  return state == v1::VIDEO_STATE_SUCCEEDED || state == v1::VIDEO_STATE_FAILED ||
         state == v1::VIDEO_STATE_CANCELLED;
}

inline bool IsFinal(v1::TrainingState state) {
  return state == v1::TRAINING_STATE_SUCCEEDED || state == v1::TRAINING_STATE_FAILED ||
         state == v1::TRAINING_STATE_CANCELLED;
}

}  // namespace svi::client

#endif  // SVI_CLIENT_STATES_H_
