// EXIF orientation: read from a picture's EXIF block, applied to pixels. Private to worker/media.
#ifndef SVI_WORKER_MEDIA_ORIENTATION_H_
#define SVI_WORKER_MEDIA_ORIENTATION_H_

#include <string_view>

#include "engine/types.h"

namespace svi::media {

// Tag 0x0112 of the first directory of a TIFF block ("II*\0…" or "MM\0*…"): 1..8. 1 when it is absent or
// damaged; EXIF is advice, never a reason to refuse a picture.
int ExifOrientation(std::string_view tiff);

// The picture as it is meant to be seen. `orientation` outside 2..8 changes nothing.
engine::Picture Upright(engine::Picture picture, int orientation);

}  // namespace svi::media

#endif  // SVI_WORKER_MEDIA_ORIENTATION_H_
