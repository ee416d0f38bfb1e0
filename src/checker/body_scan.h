// SPDX-License-Identifier: Apache-2.0
// checker/body_scan.h - looks for texts in a body that arrives in pieces, and keeps of it what cannot be judged in pieces.
//
// BodyRules is a value, made once for a plan; BodyMeans is what the bodies of a lane share; BodyScan is the state of one body.
// Thread   the lane's.
// Bounded  a scan keeps twice what a TextSearch keeps, some KiB; the first kDeclarationBytesMax until it is
//          known which characters they are; at most kPageBytesMax of the head, given back as soon as the body is longer (an error
//          page is small); and the whole text only for expressions and JSON, out of the lane's budget of kept bytes.
// Fails    a text beyond the budget is not kept, which not_kept() tells: that is our trouble, not the site's.
// Cost     that of TextSearch, whatever the pieces are; a text that was found is not looked for again.
//
// A text counts as there when its bytes are in the body, or in the body as UTF-8. The second is looked at only where it can
// differ: the page says that it is neither UTF-8 nor ASCII, and a text goes beyond ASCII or the page's characters are not built on
// ASCII. HTML's entities are not decoded.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checker/charset.h"
#include "checker/text_search.h"

namespace watchwheel::checker {

// A body longer than this is no error page (error_pages.h).
inline constexpr std::size_t kPageBytesMax = 16 * 1024;

struct BodyRules {
  std::vector<std::string> keyword;    // At most 32, none of them empty.
  std::vector<std::string> forbidden;  // At most 32, none of them empty.
  bool keep_page = false;              // Keep the head for the error page rules.
  bool ignore_case = false;            // Of ASCII letters in both lists.
  bool keep_text = false;              // Keep all of it, for expressions and JSON.
  std::uint64_t size_max = 0;          // More than this is not wanted. 0: any.

  [[nodiscard]] bool searching() const { return !keyword.empty() || !forbidden.empty(); }
};

// The bytes of bodies that a lane keeps at once.
class KeptBytes : core::Pinned {
 public:
  explicit KeptBytes(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  [[nodiscard]] bool take(std::size_t bytes) {
    if (bytes > bytes_max_ - used_) return false;
    used_ += bytes;
    return true;
  }
  void give_back(std::size_t bytes) { used_ -= bytes; }
  [[nodiscard]] std::size_t used() const { return used_; }

 private:
  std::size_t bytes_max_;
  std::size_t used_ = 0;
};

// Outlives every scan that was made with it.
struct BodyMeans {
  Decoders decoders;
  KeptBytes kept;
};

// One text out of the budget: it grows, and gives back what it took.
class KeptText {
 public:
  KeptText() = default;
  explicit KeptText(KeptBytes& budget) : budget_(&budget) {}
  ~KeptText() { drop(); }
  KeptText(KeptText&& other) noexcept;
  KeptText& operator=(KeptText&& other) noexcept;

  // False: the budget is used up, nothing is kept any more.
  [[nodiscard]] bool append(std::string_view bytes);
  void drop();
  [[nodiscard]] std::string_view view() const { return text_; }

 private:
  KeptBytes* budget_ = nullptr;
  std::size_t taken_ = 0;
  std::string text_;
};

class BodyScan {
 public:
  // `rules` and `means` outlive the scan. Without means nothing is converted, and nothing kept for expressions.
  explicit BodyScan(const BodyRules& rules, BodyMeans* means = nullptr,
                    std::string_view content_type = {});

  // The next piece, of any size, empty ones included. False: it is longer than size_max, no more is wanted.
  bool feed(std::string_view piece);
  // No more comes: what is held back until then is looked at. What was found, and text(), is asked for afterwards.
  void finish();
  // What looking for texts cost, in bytes and on any machine.
  [[nodiscard]] std::uint64_t bytes_compared() const {
    return raw_.bytes_compared() + (utf8_ ? utf8_->bytes_compared() : 0);
  }

  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  // The first keyword, in the order of the rules, that was not seen.
  [[nodiscard]] std::optional<std::string_view> keyword_missing() const;
  // The first forbidden text, in the order of the rules, that was seen.
  [[nodiscard]] std::optional<std::string_view> forbidden_found() const;

  struct Place {
    std::uint64_t byte = 0;
    bool converted = false;  // It is there only in UTF-8, and `byte` counts in that.
  };
  // Where keyword or forbidden text `i` first is.
  [[nodiscard]] std::optional<Place> keyword_place(std::size_t i) const { return place(i); }
  [[nodiscard]] std::optional<Place> forbidden_place(std::size_t i) const {
    return place(rules_->keyword.size() + i);
  }

  // The whole body so far, when it was to be kept and is not longer than kPageBytesMax.
  [[nodiscard]] std::optional<std::string_view> page() const;
  // The whole text so far, in UTF-8 where its charset is known and without its byte order mark. Empty when not_kept().
  [[nodiscard]] std::string_view text() const { return kept_.view(); }
  [[nodiscard]] bool not_kept() const { return not_kept_; }
  // Only what was needed to know is told: nothing before finish() or its first kDeclarationBytesMax bytes.
  [[nodiscard]] const Declaration& declaration() const { return declaration_; }
  [[nodiscard]] bool converted() const { return to_utf8_.has_value(); }

 private:
  [[nodiscard]] std::optional<Place> place(std::size_t i) const;
  void take_text(std::string_view piece);
  void take_head(std::string_view piece);
  void decide();
  void keep(std::string_view text);

  const BodyRules* rules_;
  BodyMeans* means_;
  std::string content_type_;
  std::uint64_t bytes_ = 0;
  TextSearch raw_;
  std::string page_;

  // The second way, by characters.
  bool by_characters_;  // There is somebody to ask and something to ask for.
  bool decided_ = false;
  bool finished_ = false;
  std::string head_;  // Until it is decided.
  Declaration declaration_;
  std::optional<ToUtf8> to_utf8_;
  std::unique_ptr<TextSearch> utf8_;
  KeptText kept_;
  bool not_kept_ = false;
};

}  // namespace watchwheel::checker
