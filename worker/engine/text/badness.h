// Does a text look like mojibake?
#ifndef SVI_ENGINE_TEXT_BADNESS_H_
#define SVI_ENGINE_TEXT_BADNESS_H_

#include <string_view>

namespace svi::engine {

// Whether two or more characters stand side by side that ordinary text does not put there: ftfy 6.3.1's
// is_bad.
bool IsBad(std::u32string_view text);

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_BADNESS_H_
