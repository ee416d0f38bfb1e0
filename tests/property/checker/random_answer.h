// SPDX-License-Identifier: Apache-2.0
// property/checker/random_answer.h - HTTP/1.x answers as strangers write them: mostly right, often a little wrong, sometimes
// not HTTP at all, cut into pieces, broken off, or never ended.
//
// A value of a seed: the same seed gives the same answer on every machine.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/check_options.h"
#include "support/fault_server.h"

namespace watchwheel::testing {

struct RandomAnswer {
  std::string text;  // All that is sent.
  Script script;     // The same in its pieces, with its end.
  bool tls = false;
  core::SiteOptions options;  // What the check looks for, and how it asks.
};

class AnswerMaker {
 public:
  // `elsewhere`: a path that answers well, for redirects.
  AnswerMaker(std::uint64_t seed, std::string elsewhere)
      : random_(seed), elsewhere_(std::move(elsewhere)) {}

  [[nodiscard]] RandomAnswer make();

 private:
  [[nodiscard]] std::size_t up_to(std::size_t most) {
    return static_cast<std::size_t>(random_() % (most + 1));
  }
  [[nodiscard]] bool in_100(std::size_t chance) { return random_() % 100 < chance; }
  // One of them; what stands there several times is taken as often.
  [[nodiscard]] std::string one_of(const std::vector<std::string_view>& list) {
    return std::string(list[up_to(list.size() - 1)]);
  }

  [[nodiscard]] std::string line_end(bool odd);
  [[nodiscard]] std::string status_line();
  [[nodiscard]] std::string header_line(bool odd);
  [[nodiscard]] std::string body();
  [[nodiscard]] std::string chunked(std::string_view body);
  [[nodiscard]] std::string chunk_end();
  [[nodiscard]] std::string framed(std::string& head);
  [[nodiscard]] std::string final_response();
  void mutate(std::string& text);
  void cut(RandomAnswer& answer);
  void add_end(RandomAnswer& answer);
  [[nodiscard]] core::SiteOptions options();

  std::mt19937_64 random_;
  std::string elsewhere_;
  bool odd_head_ = false;  // Its header has oddities,
  bool odd_body_ = false;  // its body.
};

}  // namespace watchwheel::testing
