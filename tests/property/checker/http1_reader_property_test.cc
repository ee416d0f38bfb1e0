// SPDX-License-Identifier: Apache-2.0
// How a response is cut into pieces is the network's doing and must not show: random responses, right and wrong ones, cut at random
// places and at every single one. The seed is printed and replays (WATCHWHEEL_SEED).
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "checker/http1_reader.h"

namespace watchwheel::checker {
namespace {

using Step = Http1Reader::Step;

std::uint64_t seed_from_env() {
  const char* text = std::getenv("WATCHWHEEL_SEED");
  return text == nullptr ? std::random_device{}() : std::strtoull(text, nullptr, 10);
}

struct Seen {
  Step last = Step::More;
  std::uint16_t status = 0;
  std::size_t head_bytes = 0;
  bool may_end = false;
  std::string body, problem;
  friend bool operator==(const Seen&, const Seen&) = default;
};

// `pieces` say where it is cut; what is left comes in one.
Seen read(std::string_view text, const std::vector<std::size_t>& pieces, bool asked_head) {
  Http1Reader reader(asked_head);
  Seen seen;
  std::size_t next = 0;
  bool over = false;
  while (!text.empty() && !over) {
    const std::size_t size = next < pieces.size() ? pieces[next++] : text.size();
    // A buffer of its own: what is held back must not point into what is gone.
    const std::string piece(text.substr(0, size));
    text.remove_prefix(piece.size());
    std::string_view bytes = piece;
    do {
      std::string_view body;
      seen.last = reader.take(bytes, body);
      seen.body += body;
    } while (seen.last == Step::Head || seen.last == Step::Body);
    over = seen.last == Step::Done || seen.last == Step::Bad;
  }
  seen.status = reader.head().head().status;
  seen.head_bytes = reader.head().bytes();
  seen.may_end = reader.may_end_here();
  seen.problem = reader.problem();
  return seen;
}

class Http1ReaderProperty : public ::testing::Test {
 protected:
  Http1ReaderProperty() : seed_(seed_from_env()), random_(seed_) {
    RecordProperty("seed", std::to_string(seed_));
  }
  std::size_t up_to(std::size_t most) {
    return std::uniform_int_distribution<std::size_t>(0, most)(random_);
  }
  template <std::size_t kCount>
  std::string one_of(const std::array<const char*, kCount>& texts) {
    return texts[up_to(kCount - 1)];
  }
  std::string line_end() { return up_to(7) == 0 ? "\n" : "\r\n"; }

  std::string head() {
    static constexpr std::array<const char*, 8> kStatus{
        "HTTP/1.1 200 OK", "HTTP/1.1 200", "HTTP/1.0 404 No", "HTTP/1.1 204 None",
        "http/1.1 304 x",  "HTTP/2 200",   "HTTP/1.1 20",     "SSH-2.0"};
    static constexpr std::array<const char*, 9> kLines{"Content-Length: 5",
                                                       "Content-Length: 0",
                                                       "Content-Length: 700",
                                                       "X: y",
                                                       "Transfer-Encoding: chunked",
                                                       "Transfer-Encoding: chunked",
                                                       "Content-Length: nix",
                                                       " folded",
                                                       "no colon"};
    std::string text;
    for (std::size_t i = up_to(3) == 0 ? up_to(3) : 0; i > 0; --i)
      text += "HTTP/1.1 103 Early Hints" + line_end() + line_end();
    text += up_to(3) == 0 ? one_of(kStatus) : kStatus[0];
    text += line_end();
    for (std::size_t i = up_to(4); i > 0; --i)
      text += kLines[up_to(up_to(3) == 0 ? 8 : 5)] + line_end();
    return text + line_end();
  }
  std::string body() {
    static constexpr std::array<const char*, 6> kOdd{"5",      "\r", "-1\r\n",
                                                     "zz\r\n", "\n", "5\r\nhello!"};
    std::string text;
    for (std::size_t i = up_to(4); i > 0; --i) {
      if (up_to(15) == 0) text += one_of(kOdd);
      const std::size_t size = 1 + up_to(20);
      std::array<char, 20> digits{};
      (void)std::snprintf(digits.data(), digits.size(), "%zx", size);
      text += digits.data() + std::string(up_to(3) == 0 ? ";ext=1" : "") + line_end() +
              std::string(size, 'x') + line_end();
    }
    text += "0" + line_end();
    for (std::size_t i = up_to(2); i > 0; --i)
      text += "X-Trailer: " + std::string(3, 't') + line_end();
    return text + (up_to(7) == 0 ? "" : line_end()) + (up_to(7) == 0 ? "more" : "");
  }
  const std::uint64_t seed_;
  std::mt19937_64 random_;
};

TEST_F(Http1ReaderProperty, HowItIsCutDoesNotShow) {
  std::array<int, 4> ends{};  // So that the responses cannot all be of one kind.
  for (int round = 0; round < 3'000; ++round) {
    const std::string text = head() + body();
    const bool asked_head = up_to(9) == 0;
    const Seen whole = read(text, {}, asked_head);
    ends[whole.last == Step::Done ? 0U : whole.last == Step::Bad ? 1U : whole.may_end ? 2U : 3U]++;
    for (std::size_t at = 1; at < text.size(); ++at)
      ASSERT_EQ(read(text, {at}, asked_head), whole) << "cut at " << at << " seed " << seed_ << "\n"
                                                     << text;
    ASSERT_EQ(read(text, std::vector<std::size_t>(text.size(), 1), asked_head), whole)
        << "byte by byte, seed " << seed_ << "\n"
        << text;
    std::vector<std::size_t> pieces;
    for (std::size_t i = 0; i < 12; ++i) pieces.push_back(1 + up_to(30));
    ASSERT_EQ(read(text, pieces, asked_head), whole) << "seed " << seed_ << "\n" << text;
  }
  for (const int count : ends) EXPECT_GT(count, 30);
}

}  // namespace
}  // namespace watchwheel::checker
