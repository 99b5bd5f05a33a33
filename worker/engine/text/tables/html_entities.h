// HTML 5's named character references (https://html.spec.whatwg.org/multipage/named-characters.html).
#ifndef SVI_ENGINE_TEXT_TABLES_HTML_ENTITIES_H_
#define SVI_ENGINE_TEXT_TABLES_HTML_ENTITIES_H_

#include <span>

namespace svi::engine {

// One name without '&', with its ';' where it has one, and the one or two characters it means (second 0 if
// one).
struct HtmlEntity {
  const char* name;
  char32_t first;
  char32_t second;
};

// All of them, in the order of strcmp.
std::span<const HtmlEntity> HtmlEntities();

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_TABLES_HTML_ENTITIES_H_
