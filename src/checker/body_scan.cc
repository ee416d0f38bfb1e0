// SPDX-License-Identifier: Apache-2.0
#include "checker/body_scan.h"

#include <string.h>

#include <algorithm>

#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

// std::string_view::find looks for the first byte and compares; a body of that byte makes it quadratic. memmem() does not.
bool contains(std::string_view hay, std::string_view needle) {
  return ::memmem(hay.data(), hay.size(), needle.data(), needle.size()) != nullptr;
}

}  // namespace

std::size_t BodyRules::longest() const {
  std::size_t most = 0;
  for (const std::string& text : keyword) most = std::max(most, text.size());
  for (const std::string& text : forbidden) most = std::max(most, text.size());
  return most;
}

BodyScan::BodyScan(const BodyRules& rules) : rules_(&rules) {
  ENSURE(rules.keyword.size() <= 32 && rules.forbidden.size() <= 32,
         "more texts than a scan has bits for");
}

void BodyScan::feed(std::string_view piece) {
  bytes_ += piece.size();
  if (rules_->keep_page) {
    if (bytes_ <= kPageBytesMax) {
      page_.append(piece);
    } else if (page_.capacity() > 0) {
      page_ = std::string{};
    }
  }
  if (!rules_->searching() || piece.empty()) return;

  // A match across the border lies within the tail and the first (longest - 1) bytes of the piece.
  const std::size_t keep = rules_->longest() - 1;
  std::string border = tail_;
  border.append(piece.substr(0, keep));
  for (std::size_t i = 0; i < rules_->keyword.size(); ++i) {
    const std::uint64_t bit = std::uint64_t{1} << i;
    if ((found_ & bit) == 0 && seen(rules_->keyword[i], border, piece)) found_ |= bit;
  }
  for (std::size_t i = 0; i < rules_->forbidden.size(); ++i) {
    const std::uint64_t bit = std::uint64_t{1} << (i + 32);
    if ((found_ & bit) == 0 && seen(rules_->forbidden[i], border, piece)) found_ |= bit;
  }
  if (piece.size() >= keep) {
    tail_.assign(piece.substr(piece.size() - keep));
  } else {
    tail_.append(piece);
    if (tail_.size() > keep) tail_.erase(0, tail_.size() - keep);
  }
}

bool BodyScan::seen(std::string_view text, std::string_view border, std::string_view piece) const {
  return contains(piece, text) || (!tail_.empty() && contains(border, text));
}

std::optional<std::string_view> BodyScan::keyword_missing() const {
  for (std::size_t i = 0; i < rules_->keyword.size(); ++i) {
    if (((found_ >> i) & 1U) == 0) return rules_->keyword[i];
  }
  return std::nullopt;
}

std::optional<std::string_view> BodyScan::forbidden_found() const {
  for (std::size_t i = 0; i < rules_->forbidden.size(); ++i) {
    if ((found_ >> (i + 32)) & 1U) return rules_->forbidden[i];
  }
  return std::nullopt;
}

std::optional<std::string_view> BodyScan::page() const {
  if (!rules_->keep_page || bytes_ > kPageBytesMax) return std::nullopt;
  return page_;
}

}  // namespace watchwheel::checker
