// A map that forgets what was not used for longest.
#ifndef SVI_ENGINE_TEXT_LRU_CACHE_H_
#define SVI_ENGINE_TEXT_LRU_CACHE_H_

#include <list>
#include <map>
#include <utility>

namespace svi::engine {

// Not thread-safe. Keys need operator<.
template <typename Key, typename Value>
class LruCache {
 public:
  explicit LruCache(size_t capacity) : capacity_(capacity) {}

  // The value of `key`, or nullptr; valid until the next Put. Counts as a use.
  const Value* Get(const Key& key) {
    const auto found = places_.find(key);
    if (found == places_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return &found->second->second;
  }

  // Stores or replaces; at more than `capacity` entries the one whose last use is the longest ago goes.
  void Put(const Key& key, Value value) {
    if (const auto found = places_.find(key); found != places_.end()) {
      entries_.erase(found->second);
      places_.erase(found);
    }
    entries_.emplace_front(key, std::move(value));
    places_[key] = entries_.begin();
    if (entries_.size() <= capacity_) return;
    places_.erase(entries_.back().first);
    entries_.pop_back();
  }

  size_t size() const { return entries_.size(); }

 private:
  using Entries = std::list<std::pair<Key, Value>>;
  const size_t capacity_;
  Entries entries_;  // the most recently used first
  std::map<Key, typename Entries::iterator> places_;
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_LRU_CACHE_H_
