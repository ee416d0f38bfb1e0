// SPDX-License-Identifier: Apache-2.0
#include "checker/body_scan.h"

#include <algorithm>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

constexpr std::size_t kKeptStep = 4 * 1024;

std::vector<std::string_view> texts_of(const BodyRules& rules) {
  std::vector<std::string_view> texts(rules.keyword.begin(), rules.keyword.end());
  texts.insert(texts.end(), rules.forbidden.begin(), rules.forbidden.end());
  return texts;
}

bool beyond_ascii(const std::vector<std::string>& texts) {
  return std::any_of(texts.begin(), texts.end(), [](const std::string& text) {
    return std::any_of(text.begin(), text.end(),
                       [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
  });
}

}  // namespace

// ---- kept texts ----

KeptText::KeptText(KeptText&& other) noexcept
    : budget_(other.budget_),
      taken_(std::exchange(other.taken_, 0)),
      text_(std::exchange(other.text_, {})) {}

KeptText& KeptText::operator=(KeptText&& other) noexcept {
  if (this == &other) return *this;
  drop();
  budget_ = other.budget_;
  taken_ = std::exchange(other.taken_, 0);
  text_ = std::exchange(other.text_, {});
  return *this;
}

bool KeptText::append(std::string_view bytes) {
  const std::size_t needed = text_.size() + bytes.size();
  if (needed > taken_) {
    const std::size_t wanted = std::max({needed, taken_ * 2, kKeptStep});
    if (budget_ == nullptr || !budget_->take(wanted - taken_)) {
      drop();
      return false;
    }
    taken_ = wanted;
    text_.reserve(wanted);
  }
  text_.append(bytes);
  return true;
}

void KeptText::drop() {
  if (budget_ != nullptr) budget_->give_back(std::exchange(taken_, 0));
  text_ = std::string{};
}

// ---- one body ----

BodyScan::BodyScan(const BodyRules& rules, BodyMeans* means, std::string_view content_type)
    : rules_(&rules),
      means_(means),
      raw_(texts_of(rules), rules.ignore_case),
      by_characters_(means != nullptr && (rules.searching() || rules.keep_text)) {
  ENSURE(rules.keyword.size() <= 32 && rules.forbidden.size() <= 32,
         "more texts than a plan may have");
  if (!by_characters_) return;
  content_type_ = content_type;
  if (rules.keep_text) kept_ = KeptText(means->kept);
}

bool BodyScan::feed(std::string_view piece) {
  bytes_ += piece.size();
  if (rules_->keep_page) {
    if (bytes_ <= kPageBytesMax) {
      page_.append(piece);
    } else if (page_.capacity() > 0) {
      page_ = std::string{};
    }
  }
  raw_.feed(piece);
  if (by_characters_) {
    if (decided_) {
      take_text(piece);
    } else {
      take_head(piece);
    }
  }
  return rules_->size_max == 0 || bytes_ <= rules_->size_max;
}

void BodyScan::finish() {
  if (std::exchange(finished_, true)) return;
  raw_.finish();
  if (!by_characters_) return;
  if (!decided_) decide();
  if (!to_utf8_) return;
  const std::string_view last = to_utf8_->finish();
  if (utf8_) {
    utf8_->feed(last);
    utf8_->finish();
  }
  keep(last);
}

void BodyScan::take_head(std::string_view piece) {
  const std::size_t wanted = declaration_bytes(content_type_);
  const std::size_t room = wanted - std::min(head_.size(), wanted);
  head_.append(piece.substr(0, room));
  if (head_.size() < wanted) return;
  decide();
  take_text(piece.substr(std::min(room, piece.size())));
}

void BodyScan::decide() {
  decided_ = true;
  const std::string head = std::exchange(head_, {});
  declaration_ = declared_charset(content_type_, head);
  if (declaration_.charset != nullptr && !is_utf8(*declaration_.charset)) {
    const bool texts_differ =
        rules_->searching() && (!is_ascii_based(*declaration_.charset) ||
                                beyond_ascii(rules_->keyword) || beyond_ascii(rules_->forbidden));
    Decoders::Decoder* decoder = texts_differ || rules_->keep_text
                                     ? means_->decoders.decoder(*declaration_.charset)
                                     : nullptr;
    if (decoder != nullptr) to_utf8_.emplace(*decoder);
    if (decoder != nullptr && texts_differ)
      utf8_ = std::make_unique<TextSearch>(texts_of(*rules_), rules_->ignore_case);
  }
  take_text(std::string_view(head).substr(declaration_.mark_bytes));
}

void BodyScan::take_text(std::string_view piece) {
  if (!to_utf8_) {
    keep(piece);
    return;
  }
  ToUtf8::Buffer buffer;
  while (!piece.empty()) {
    const std::string_view text = to_utf8_->next(piece, buffer);
    if (utf8_) utf8_->feed(text);
    keep(text);
  }
}

void BodyScan::keep(std::string_view text) {
  if (rules_->keep_text && !not_kept_) not_kept_ = !kept_.append(text);
}

std::optional<BodyScan::Place> BodyScan::place(std::size_t i) const {
  if (const auto at = raw_.first(i)) return Place{*at, false};
  if (!utf8_) return std::nullopt;
  const auto at = utf8_->first(i);
  if (!at) return std::nullopt;
  return Place{*at, true};
}

std::optional<std::string_view> BodyScan::keyword_missing() const {
  for (std::size_t i = 0; i < rules_->keyword.size(); ++i) {
    if (!keyword_place(i)) return rules_->keyword[i];
  }
  return std::nullopt;
}

std::optional<std::string_view> BodyScan::forbidden_found() const {
  for (std::size_t i = 0; i < rules_->forbidden.size(); ++i) {
    if (forbidden_place(i)) return rules_->forbidden[i];
  }
  return std::nullopt;
}

std::optional<std::string_view> BodyScan::page() const {
  if (!rules_->keep_page || bytes_ > kPageBytesMax) return std::nullopt;
  return page_;
}

}  // namespace watchwheel::checker
