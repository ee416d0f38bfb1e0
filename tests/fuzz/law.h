// SPDX-License-Identifier: Apache-2.0
// fuzz/law.h - what the fuzz targets share: laws that stop the program, and an input taken apart.
//
// LAW(condition, "what must hold", shown...) is to a target what EXPECT is to a test, but it abort()s: libFuzzer keeps the input
// then. What is shown is text from outside and is escaped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace watchwheel::fuzz {

[[nodiscard]] inline std::string escaped(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '\\') {
      out += c;
    } else {
      out += {'\\', 'x', kHex[byte >> 4U], kHex[byte & 0xfU]};
    }
  }
  return out;
}

template <typename... Shown>
[[noreturn]] void law_broken(const char* file, int line, const char* law, const Shown&... shown) {
  std::fprintf(stderr, "%s:%d: broken law: %s\n", file, line, law);
  (std::fprintf(stderr, "  \"%s\"\n", escaped(shown).c_str()), ...);
  std::abort();
}

// Printable ASCII without spaces: what goes into a request line, a log or a terminal as it is.
[[nodiscard]] inline bool is_graphic(std::string_view text) {
  for (const char c : text) {
    if (c <= ' ' || c > '~') return false;
  }
  return true;
}

// No C0 control character and no DEL.
[[nodiscard]] inline bool has_no_controls(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return false;
  }
  return true;
}

// Fit for a header's value: no control character but the tab.
[[nodiscard]] inline bool is_field_value(std::string_view text) {
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) return false;
  }
  return true;
}

// The input from front to back. Past its end everything is zero or empty.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : left_(reinterpret_cast<const char*>(data), size) {}

  [[nodiscard]] bool empty() const { return left_.empty(); }

  [[nodiscard]] std::uint8_t byte() {
    if (left_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(left_.front());
    left_.remove_prefix(1);
    return value;
  }

  // Up to the next `end`, which is dropped; or all that is left.
  [[nodiscard]] std::string_view until(char end) {
    const auto at = left_.find(end);
    const std::string_view taken = left_.substr(0, at);
    left_.remove_prefix(at == std::string_view::npos ? left_.size() : at + 1);
    return taken;
  }
  [[nodiscard]] std::string_view line() { return until('\n'); }
  [[nodiscard]] std::string_view rest() const { return left_; }

 private:
  std::string_view left_;
};

}  // namespace watchwheel::fuzz

#define LAW(condition, law, ...)                                                           \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      ::watchwheel::fuzz::law_broken(__FILE__, __LINE__, (law)__VA_OPT__(, ) __VA_ARGS__); \
    }                                                                                      \
  } while (false)
