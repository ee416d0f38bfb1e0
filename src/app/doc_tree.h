// SPDX-License-Identifier: Apache-2.0
// app/doc_tree.h - a YAML or JSON file of another program as a tree that knows its lines, so that every warning about it can
// name one.
//
// Pure; any thread.
// Bounded  kDocBytesMax of text, kDocNodesMax nodes after aliases are followed, kDocDepthMax levels: a few lines of YAML can
//          mean billions of nodes.
// Fails    Invalid, with line and column in the problem: no YAML, or beyond a limit.
//
// libyaml reads both, JSON being YAML but for surrogate pairs, which are joined before. yaml-cpp was the other choice: it builds
// its whole tree before anything can be counted, and throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "app/problem.h"

namespace watchwheel::app {

inline constexpr std::size_t kDocBytesMax = 64 * 1024 * 1024;
inline constexpr std::size_t kDocNodesMax = 4'000'000;
inline constexpr std::size_t kDocDepthMax = 64;

struct DocNode {
  enum class Kind : std::uint8_t { Null, Scalar, List, Map };
  Kind kind = Kind::Null;
  bool quoted = false;  // A scalar that is a text whatever it looks like.
  std::uint32_t line = 0;
  std::string text;            // Of a scalar.
  std::vector<DocNode> items;  // Of a list or, beside `keys`, of a map.
  std::vector<std::pair<std::string, std::uint32_t>>
      keys;  // With their lines. A key that is there twice: the later one counts.

  // Null where it is not there, or null itself.
  [[nodiscard]] const DocNode* find(std::string_view key) const;
  // The text of the scalar at `key`; "" when there is none.
  [[nodiscard]] std::string text_at(std::string_view key) const;
  [[nodiscard]] bool is_list() const { return kind == Kind::List; }
  [[nodiscard]] bool is_map() const { return kind == Kind::Map; }
  [[nodiscard]] bool is_scalar() const { return kind == Kind::Scalar; }
  // A switch that is on, as YAML 1.1 and people write it.
  [[nodiscard]] bool is_true() const;
};

// The first document of `text`; an empty one is Null.
[[nodiscard]] std::variant<DocNode, Problem> read_document(const std::string& file,
                                                           std::string text);

// JSON's \uD83D\uDE00 as the character that it means. What is no pair stays.
[[nodiscard]] std::string join_surrogates(std::string text);

}  // namespace watchwheel::app
