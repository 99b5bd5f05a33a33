// Resource names as people write them.
#ifndef SVI_CLIENT_NAMES_H_
#define SVI_CLIENT_NAMES_H_

#include <string>
#include <string_view>

namespace svi::client {

// `name`, with `collection` ("videos/") in front unless it is there.
inline std::string WithCollection(std::string_view collection, std::string_view name) {
  return name.substr(0, collection.size()) == collection ? std::string(name)
                                                         : std::string(collection).append(name);
}

}  // namespace svi::client

#endif  // SVI_CLIENT_NAMES_H_
