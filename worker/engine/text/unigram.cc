#include "worker/engine/text/unigram.h"

#include <algorithm>

#include "worker/engine/text/unicode.h"

namespace svi::engine {
namespace {

unsigned char ByteAt(std::string_view text, size_t at) { return static_cast<unsigned char>(text[at]); }

}  // namespace

std::string BytePieceText(int byte) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  return std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">";
}

Unigram::Unigram(std::vector<UnigramPiece> pieces, const std::array<int64_t, 256>& bytes,
                 const UnigramRules& rules)
    : pieces_(std::move(pieces)), bytes_(bytes), rules_(rules) {
  std::stable_sort(pieces_.begin(), pieces_.end(),
                   [](const auto& a, const auto& b) { return a.text < b.text; });
  // Keeps the last of each run of equals.
  const auto kept = std::unique(pieces_.rbegin(), pieces_.rend(),
                                [](const auto& a, const auto& b) { return a.text == b.text; });
  pieces_.erase(pieces_.begin(), kept.base());
}

const UnigramPiece* Unigram::Find(std::string_view text) const {
  const auto at =
      std::lower_bound(pieces_.begin(), pieces_.end(), text,
                       [](const UnigramPiece& piece, std::string_view t) { return piece.text < t; });
  return at != pieces_.end() && at->text == text ? &*at : nullptr;
}

void Unigram::Offer(Node& node, double score, size_t begin, int64_t id) const {
  if (node.begin != SIZE_MAX && !(score > node.score)) return;
  node = {rules_.single_precision ? static_cast<double>(static_cast<float>(score)) : score, begin, id};
}

// For every end of a character in `word`: the last piece of the best way to get there.
std::vector<Unigram::Node> Unigram::BestPaths(std::string_view word) const {
  std::vector<Node> best(word.size() + 1);
  for (size_t begin = 0; begin < word.size();) {
    const size_t character = std::min(Utf8Length(ByteAt(word, begin)), word.size() - begin);
    const double so_far = best[begin].score;
    bool covered = false;
    // The pieces that start with word[begin, end) are neighbours: narrow them byte by byte.
    auto low = pieces_.begin();
    auto high = pieces_.end();
    for (size_t end = begin; end < word.size() && low != high; ++end) {
      const size_t depth = end - begin;
      const unsigned char byte = ByteAt(word, end);
      low = std::partition_point(low, high, [&](const UnigramPiece& piece) {
        return piece.text.size() <= depth || ByteAt(piece.text, depth) < byte;
      });
      high = std::partition_point(low, high, [&](const UnigramPiece& piece) {
        return piece.text.size() <= depth || ByteAt(piece.text, depth) <= byte;
      });
      if (low == high || low->text.size() != depth + 1) continue;
      Offer(best[end + 1], low->score + so_far, begin, low->id);
      covered = covered || depth + 1 == character;
    }
    if (!covered) Offer(best[begin + character], rules_.unk_score + so_far, begin, rules_.unk_id);
    begin += character;
  }
  return best;
}

void Unigram::AppendUnknown(std::string_view text, std::vector<int64_t>& ids) const {
  const auto missing = [this](char c) { return bytes_[static_cast<unsigned char>(c)] < 0; };
  if (rules_.look_up_joined) {
    if (const UnigramPiece* piece = Find(text)) return ids.push_back(piece->id);
  }
  if (!rules_.byte_fallback || std::any_of(text.begin(), text.end(), missing))
    return ids.push_back(rules_.unk_id);
  for (const char c : text) ids.push_back(bytes_[static_cast<unsigned char>(c)]);
}

void Unigram::Encode(std::string_view word, std::vector<int64_t>& ids) const {
  if (word.empty()) return;
  const std::vector<Node> best = BestPaths(word);
  struct Step {
    size_t begin;
    size_t end;
    int64_t id;
  };
  std::vector<Step> path;
  for (size_t end = word.size(); end > 0; end = best[end].begin) {
    const Node& node = best[end];
    const bool joins = node.id == rules_.unk_id && !path.empty() && path.back().id == rules_.unk_id;
    if (joins) {
      path.back().begin = node.begin;
    } else {
      path.push_back({node.begin, end, node.id});
    }
  }
  for (auto step = path.rbegin(); step != path.rend(); ++step) {
    if (step->id == rules_.unk_id) {
      AppendUnknown(word.substr(step->begin, step->end - step->begin), ids);
    } else {
      ids.push_back(step->id);
    }
  }
}

}  // namespace svi::engine
