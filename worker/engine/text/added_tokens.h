// The "added_tokens" of a tokenizer.json: strings that are cut out of a text before anything else.
#ifndef SVI_ENGINE_TEXT_ADDED_TOKENS_H_
#define SVI_ENGINE_TEXT_ADDED_TOKENS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace svi::engine {

struct AddedToken {
  std::string content;
  int64_t id = 0;
  bool single_word = false;  // only where no word character touches it
  bool lstrip = false;       // takes the spaces before it along
  bool rstrip = false;       // and after it
};

// A part of a text: an added token's id, or -1 and the text between them.
struct AddedTokenPart {
  int64_t id;
  size_t begin;
  size_t end;
};

class AddedTokens {
 public:
  // Tokens without content are ignored.
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // Cuts valid UTF-8 at the tokens: from left to right, the longest that begins at a place.
  std::vector<AddedTokenPart> Cut(std::string_view utf8) const;

 private:
  const AddedToken* Longest(std::string_view text) const;

  std::vector<AddedToken> tokens_;  // sorted by content
};

}  // namespace svi::engine

#endif  // SVI_ENGINE_TEXT_ADDED_TOKENS_H_
