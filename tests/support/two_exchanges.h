// SPDX-License-Identifier: Apache-2.0
// support/two_exchanges.h - asks the same of libcurl and of the exchange that a user gets, and says where the two differ.
//
// libcurl is the reference: what it says of a response is right unless a test says why not.
//
// Owns     two checkers that differ in their exchange only, on one loop, and their results.
// Thread   the test's.
// Bounded  ask() ends kPatience after its last question began.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/checker_driver.h"

namespace watchwheel::testing {

struct Question {
  std::string url;
  core::CheckOptions options;
};

struct BothAnswers {
  core::ProbeResult curl;
  core::ProbeResult chosen;  // By the exchange that is used unless somebody asks for libcurl.
};

// Everything of a result that does not tell the time, each with a name: what both exchanges must agree in. The presence of a
// timing belongs to it.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> facts_of(
    const core::ProbeResult& result);

// "status: 200, and 500 by the other; …", or "" when they agree.
[[nodiscard]] std::string difference(const core::ProbeResult& curl,
                                     const core::ProbeResult& chosen);

class TwoExchanges {
 public:
  static constexpr std::chrono::seconds kPatience{60};

  explicit TwoExchanges(checker::Settings settings);

  // The answers in the order of the questions. At most `at_once` questions are under way, each twice.
  [[nodiscard]] std::vector<BothAnswers> ask(const std::vector<Question>& questions,
                                             std::size_t at_once);

  // For a question whose two answers differed, `first`: whether they still do when it is asked `times` times more with nothing
  // beside it. A response may be read in other pieces each time, and a busy machine may be late. "" when everything that the
  // chosen exchange now said was also said by libcurl, now or first. `unsteady`: libcurl said more than one thing.
  [[nodiscard]] std::string lasting_difference(const Question& question, const BothAnswers& first,
                                               int times, bool& unsteady);

 private:
  struct Side;
  struct SideDeleter {
    void operator()(Side* side) const;
  };
  void turn();

  std::unique_ptr<Side, SideDeleter> curl_, chosen_;
};

}  // namespace watchwheel::testing
