// SPDX-License-Identifier: Apache-2.0
#include "checker/text_search.h"

#include <string.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace watchwheel::checker {
namespace {

constexpr std::uint64_t kNowhere = UINT64_MAX;
constexpr std::size_t kFoldBytes = 8 * 1024;

// std::string_view::find looks for the first byte and compares; a body of that byte makes it quadratic. memmem() does not.
std::size_t find(std::string_view hay, std::string_view needle) {
  const void* at = ::memmem(hay.data(), hay.size(), needle.data(), needle.size());
  return at == nullptr ? std::string_view::npos
                       : static_cast<std::size_t>(static_cast<const char*>(at) - hay.data());
}

char fold(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

// Eight bytes at once: those from 'A' to 'Z' get the bit that makes them small.
std::uint64_t fold8(std::uint64_t word) {
  constexpr std::uint64_t kOnes = 0x0101010101010101U;
  constexpr std::uint64_t kTops = kOnes * 0x80U;
  const std::uint64_t low = word & ~kTops;
  const std::uint64_t from_a = low + kOnes * (0x80U - 'A');      // Top bit: 'A' or more.
  const std::uint64_t past_z = low + kOnes * (0x80U - 'Z' - 1);  // Top bit: more than 'Z'.
  const std::uint64_t capital = from_a & ~past_z & ~word & kTops;
  return word | (capital >> 2U);  // 0x80 -> 0x20.
}

}  // namespace

void fold_ascii(std::string_view text, char* out) {
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i, 8);
    word = fold8(word);
    std::memcpy(out + i, &word, 8);
  }
  for (; i < text.size(); ++i) out[i] = fold(text[i]);
}

TextSearch::TextSearch(std::vector<std::string_view> texts, bool ignore_case)
    : texts_(std::move(texts)),
      first_(texts_.size(), kNowhere),
      missing_(texts_.size()),
      ignore_case_(ignore_case) {
  if (ignore_case_) {
    folded_.reserve(texts_.size());  // No text moves any more: short ones live inside their string.
    for (std::string_view& text : texts_) {
      std::string& copy = folded_.emplace_back(text.size(), '\0');
      fold_ascii(text, copy.data());
      text = copy;
    }
  }
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    longest_ = std::max(longest_, texts_[i].size());
    if (!texts_[i].empty()) continue;
    first_[i] = 0;
    --missing_;
  }
}

void TextSearch::feed(std::string_view piece) {
  if (!ignore_case_) {
    gather(piece);
    return;
  }
  std::array<char, kFoldBytes> folded;
  while (!piece.empty() && missing_ > 0) {
    const std::string_view part = piece.substr(0, folded.size());
    fold_ascii(part, folded.data());
    gather({folded.data(), part.size()});
    piece.remove_prefix(part.size());
  }
}

void TextSearch::finish() {
  if (missing_ > 0 && held_.size() > looked_at_) look_at_gathered();
}

void TextSearch::gather(std::string_view piece) {
  // A look has the tail before it once more, so it must not be smaller than that.
  const std::size_t enough = std::max(kLookBytes, longest_);
  while (!piece.empty() && missing_ > 0) {
    const bool alone = held_.size() == looked_at_ && piece.size() >= enough;
    if (!alone) {
      const std::string_view part = piece.substr(0, enough - (held_.size() - looked_at_));
      held_.append(part);
      fed_ += part.size();
      piece.remove_prefix(part.size());
      if (held_.size() - looked_at_ == enough) look_at_gathered();
      continue;
    }
    // Long enough to be looked at where it lies. A match across the border lies within the tail and the first (longest - 1) bytes
    // of the piece. What lies there at all is found there first, so the first place of a text is told whatever the pieces are.
    const std::size_t keep = longest_ - 1;
    if (!held_.empty()) {
      const std::uint64_t from = fed_ - held_.size();
      look(held_.append(piece.substr(0, keep)), from);
    }
    look(piece, fed_);
    fed_ += piece.size();
    held_.assign(piece.substr(piece.size() - keep));
    looked_at_ = held_.size();
    piece = {};
  }
  if (missing_ == 0) held_ = std::string{};  // Nobody will look again.
}

void TextSearch::look_at_gathered() {
  look(held_, fed_ - held_.size());
  const std::size_t keep = longest_ - 1;
  if (held_.size() > keep) held_.erase(0, held_.size() - keep);
  looked_at_ = held_.size();
}

// `bytes` begin at `from` of all. A text that was seen before them is not looked for.
void TextSearch::look(std::string_view bytes, std::uint64_t from) {
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    if (first_[i] != kNowhere) continue;
    compared_ += bytes.size();
    const std::size_t at = find(bytes, texts_[i]);
    if (at == std::string_view::npos) continue;
    first_[i] = from + at;
    --missing_;
  }
}

std::optional<std::uint64_t> TextSearch::first(std::size_t i) const {
  if (first_[i] == kNowhere) return std::nullopt;
  return first_[i];
}

}  // namespace watchwheel::checker
