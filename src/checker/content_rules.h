// SPDX-License-Identifier: Apache-2.0
// checker/content_rules.h - what a check asks of header and body beyond texts: expressions, values in JSON, header lines, sizes.
//
// A value made once for a plan, immutable; any thread.
// Bounded  by the options' own limits; an expression has at most kExpressionMemoryMax of memory and kExpressionStepsMax steps in
//          its program, and looks at no more than kJudgedBytesMax of a body.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/check_options.h"
#include "core/result.h"

namespace re2 {
class RE2;
}

namespace watchwheel::checker {

// max_body may not be more than this where expressions or JSON are asked for: they are judged at once, not piece by piece.
inline constexpr std::uint64_t kJudgedBytesMax = 1024 * 1024;
inline constexpr std::int64_t kExpressionMemoryMax = 1024 * 1024;
inline constexpr std::uint64_t kExpressionStepsMax = 2000;
// Of body_match and body_not_match together.
inline constexpr std::uint64_t kExpressionStepsSumMax = 4000;
inline constexpr std::size_t kJsonDepthMax = 100;

// A compiled expression. Matching takes time linear in the text and changes nothing but its cache; any thread.
class Expression {
 public:
  // Invalid, with what RE2 says of it, or because it is too large.
  [[nodiscard]] static core::Result<Expression> make(std::string_view text);
  Expression(Expression&&) noexcept;
  Expression& operator=(Expression&&) noexcept;
  ~Expression();

  // Somewhere in `text`, unless the expression itself says where.
  [[nodiscard]] bool matches(std::string_view text) const;
  // The offset of the first match. Dearer than matches().
  [[nodiscard]] std::optional<std::size_t> find(std::string_view text) const;
  // The first match ends before `text` does. As dear as find().
  [[nodiscard]] bool matches_before_end(std::string_view text) const;
  [[nodiscard]] const std::string& text() const;
  // It has an assertion of the text's end ($, \z) somewhere: on the begin of a text it may say something else than on the whole.
  [[nodiscard]] bool asks_end() const;
  // Of its program: the time it takes is, at worst, this times the text.
  [[nodiscard]] std::uint64_t steps() const;

 private:
  explicit Expression(std::unique_ptr<re2::RE2> compiled);
  std::unique_ptr<re2::RE2> compiled_;
};

struct JsonRule {
  std::string pointer;             // As written; "" is the whole document.
  std::vector<std::string> steps;  // Its reference tokens, without escapes.
  std::string value;               // Valid JSON.
};

struct HeaderRule {
  enum class Kind : std::uint8_t { Present, Absent, Equal, Match };
  Kind kind = Kind::Present;
  std::string name;   // As written.
  std::string value;  // For Equal, trimmed.
  std::optional<Expression> expression;
};

struct ContentRules {
  std::vector<Expression> body_match;
  std::vector<Expression> body_not_match;
  std::vector<JsonRule> json;
  std::vector<HeaderRule> headers;

  // They need the whole text.
  [[nodiscard]] bool judge_text() const {
    return !body_match.empty() || !body_not_match.empty() || !json.empty();
  }
  // A header line of this name is asked for.
  [[nodiscard]] bool asks_header(std::string_view name) const;
};

// Invalid for what only shows unfit when it is read: an expression, a pointer, a JSON value, a max_body beyond kJudgedBytesMax. The
// message begins with the option's name.
[[nodiscard]] core::Result<ContentRules> make_content_rules(const core::CheckOptions& options);

// Whether make_content_rules() would take them: for where options enter.
[[nodiscard]] core::Result<void> check_content_options(const core::CheckOptions& options);

// Header names, which have no case.
[[nodiscard]] bool same_header_name(std::string_view a, std::string_view b);

}  // namespace watchwheel::checker
