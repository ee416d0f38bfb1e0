// SPDX-License-Identifier: Apache-2.0
// app/config_keys.h - the table of all configuration keys: one row each, and everything about the key in its row.
//
// Reading, printing, documentation tests and reload all walk this table; a new key is a new row here, a field in config.h and a
// paragraph in config/watchwheel.toml and docs/reference/configuration.md (a test holds the three together).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"
#include "core/result.h"

namespace watchwheel::app {

// What may stand to the right of the '='.
enum class Kind : std::uint8_t {
  Text,         // "…"
  Choice,       // One of Key::choices.
  Count,        // A whole number from `low` to `high`.
  Share,        // A number above 0, at most 1.
  Flag,         // true or false
  Duration,     // "10s"; a bare 0. From `low` to `high`, in milliseconds.
  Size,         // "1MiB", or a whole number of bytes. From `low` to `high`.
  Texts,        // ["…", "…"]
  TextOrTexts,  // "…" or ["…", "…"]
  Statuses,     // "200-399,404" or 200
};

// A value that is of the right kind and in range. The member of its kind holds it; `text` always does.
struct Value {
  std::string text;  // Texts: one a line.
  std::vector<std::string> texts;
  std::uint64_t number = 0;  // Count, Size.
  double share = 0;
  bool flag = false;
  core::Duration duration{};
};

// Target is Config, or the struct of one [[section]].
template <typename Target>
struct Key {
  std::string_view section{};
  std::string_view name{};
  Kind kind = Kind::Text;
  std::uint64_t low = 0, high = 0;
  std::vector<std::string_view> choices{};
  bool automatic = false;  // 0 or "auto" leaves it to the engine.
  bool acted_on =
      true;  // False: known and checked, but this version does nothing with it, and says so when it is set.
  bool live = true;  // False: a change needs a restart.
  std::function<core::Result<void>(Target&, const Value&)>
      set{};  // Invalid: the message says what would be right.
  std::function<std::string(const Target&)> show{};  // As it would be written in TOML.
};

[[nodiscard]] const std::vector<Key<Config>>& config_keys();
[[nodiscard]] const std::vector<Key<VerifierConfig>>& verifier_keys();
[[nodiscard]] const std::vector<Key<NotifyConfig>>& notify_keys();

// "10s" in quotes, and so on: values as TOML writes them.
[[nodiscard]] std::string toml_text(std::string_view text);
[[nodiscard]] std::string toml_texts(const std::vector<std::string>& texts);

// Why `url` must not stand in the file because a secret is in it; "" when there is none.
[[nodiscard]] std::string inline_secret(std::string_view url);

}  // namespace watchwheel::app
