#include "worker/engine/text/added_tokens.h"

#include <algorithm>

#include "worker/engine/text/unicode.h"

namespace svi::engine {
namespace {

// The character that ends at `end` or begins at `begin`.
size_t CharacterBefore(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && (text[begin] & 0xC0) == 0x80) --begin;
  return begin;
}

char32_t CharacterAt(std::string_view text, size_t begin) {
  return DecodeUtf8(text.substr(begin, Utf8Length(static_cast<unsigned char>(text[begin])))).front();
}

bool WordTouches(std::string_view text, size_t begin, size_t end) {
  return (begin > 0 && IsWordCharacter(CharacterAt(text, CharacterBefore(text, begin)))) ||
         (end < text.size() && IsWordCharacter(CharacterAt(text, end)));
}

size_t SkipSpaceBackwards(std::string_view text, size_t end, size_t limit) {
  while (end > limit) {
    const size_t begin = CharacterBefore(text, end);
    if (!IsWhiteSpace(CharacterAt(text, begin))) break;
    end = begin;
  }
  return end;
}

size_t SkipSpace(std::string_view text, size_t begin) {
  while (begin < text.size() && IsWhiteSpace(CharacterAt(text, begin))) {
    begin += Utf8Length(static_cast<unsigned char>(text[begin]));
  }
  return begin;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  std::stable_sort(tokens_.begin(), tokens_.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; });
}

const AddedToken* AddedTokens::Longest(std::string_view text) const {
  // Among the tokens in order, those that begin `text` lie before it; each next longer one lies after the
  // shorter.
  const AddedToken* longest = nullptr;
  auto low = tokens_.begin();
  auto high = tokens_.end();
  for (size_t depth = 0; depth < text.size() && low != high; ++depth) {
    const auto byte = static_cast<unsigned char>(text[depth]);
    const auto at = [depth](const AddedToken& token) {
      return static_cast<unsigned char>(token.content[depth]);
    };
    low = std::partition_point(
        low, high, [&](const AddedToken& t) { return t.content.size() <= depth || at(t) < byte; });
    high = std::partition_point(low, high, [&](const AddedToken& t) { return at(t) <= byte; });
    if (low != high && low->content.size() == depth + 1) longest = &*low;
  }
  return longest;
}

std::vector<AddedTokenPart> AddedTokens::Cut(std::string_view utf8) const {
  std::vector<AddedTokenPart> parts;
  size_t done = 0;
  for (size_t at = 0; !tokens_.empty() && at < utf8.size();) {
    const AddedToken* token = Longest(utf8.substr(at));
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at;
    size_t end = at + token->content.size();
    at = end;
    if (begin < done || (token->single_word && WordTouches(utf8, begin, end))) continue;
    if (token->lstrip) begin = SkipSpaceBackwards(utf8, begin, done);
    if (token->rstrip) end = SkipSpace(utf8, end);
    if (done < begin) parts.push_back({-1, done, begin});
    parts.push_back({token->id, begin, end});
    done = end;
  }
  if (done < utf8.size()) parts.push_back({-1, done, utf8.size()});
  return parts;
}

}  // namespace svi::engine
