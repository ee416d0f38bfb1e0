// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/quorum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace watchwheel::sideeffects {
namespace {

using core::Basis;
using core::Saw;

// One letter a verifier: d down, u up, n o s e no vote, . awaited. Each is a vantage of its own.
std::vector<Ballot> ballots(const std::string& letters) {
  static const std::vector<std::string> kNames{"a", "b", "c", "d", "e", "f"};
  std::vector<Ballot> all;
  for (const char letter : letters) {
    Ballot ballot{kNames.at(all.size()), std::nullopt};
    if (letter == 'd') ballot.saw = Saw::Down;
    if (letter == 'u') ballot.saw = Saw::Up;
    if (letter == 'n') ballot.saw = Saw::NotMeasured;
    if (letter == 'o') ballot.saw = Saw::Overloaded;
    if (letter == 's') ballot.saw = Saw::Silent;
    if (letter == 'e') ballot.saw = Saw::Error;
    all.push_back(ballot);
  }
  return all;
}

struct Row {
  const char* letters;
  std::uint32_t quorum;
  Basis basis;          // While there is time,
  Basis when_over;      // and when there is none.
};

TEST(Quorum, WalksItsTable) {
  for (const Row& row : {
           Row{"d", 2, Basis::Quorum, Basis::Quorum},
           Row{"u", 2, Basis::Disagreement, Basis::Disagreement},
           Row{"s", 2, Basis::Unanswered, Basis::Unanswered},
           Row{"o", 2, Basis::Unanswered, Basis::Unanswered},
           Row{"n", 2, Basis::Unanswered, Basis::Unanswered},
           Row{"e", 2, Basis::Unanswered, Basis::Unanswered},
           Row{".", 2, Basis::None, Basis::Unanswered},
           Row{"u.", 2, Basis::None, Basis::Disagreement},  // The other may still make the quorum.
           Row{"ud", 2, Basis::Quorum, Basis::Quorum},      // A quorum is a quorum.
           Row{"us", 2, Basis::Disagreement, Basis::Disagreement},
           Row{"d.", 2, Basis::Quorum, Basis::Quorum},      // Nobody needs to be waited for.
           Row{"d.", 3, Basis::None, Basis::Unanswered},
           Row{"ds", 3, Basis::Unanswered, Basis::Unanswered},
           Row{"du", 3, Basis::Disagreement, Basis::Disagreement},
           Row{"dd", 3, Basis::Quorum, Basis::Quorum},
           Row{"u..", 3, Basis::None, Basis::Disagreement},
           Row{"uu.", 3, Basis::None, Basis::Disagreement},  // It will be no quorum; but how many see it up counts.
           Row{"u.", 3, Basis::None, Basis::Disagreement},
           Row{"ss.", 3, Basis::None, Basis::Unanswered},  // No quorum any more; but it may see it up.
           Row{"ssu", 3, Basis::Disagreement, Basis::Disagreement},
           // A quorum that as many or more see otherwise is none, in whatever order they say so.
           Row{"uuudd", 3, Basis::Disagreement, Basis::Disagreement},
           Row{"duu", 2, Basis::Disagreement, Basis::Disagreement},
           Row{"d..", 2, Basis::None, Basis::Quorum},
           Row{"dd.", 2, Basis::Quorum, Basis::Quorum},
           Row{"du.", 2, Basis::None, Basis::Quorum},
           Row{"dus", 2, Basis::Quorum, Basis::Quorum},
           Row{"duuu..", 2, Basis::None, Basis::Disagreement},
       }) {
    EXPECT_EQ(weigh(ballots(row.letters), row.quorum, false), row.basis) << row.letters << row.quorum;
    EXPECT_EQ(weigh(ballots(row.letters), row.quorum, true), row.when_over)
        << row.letters << row.quorum;
  }
}

TEST(Quorum, OutvotedIsWhoHasMoreAgainstThanWithHim) {
  for (const char* letters : {"u", "us", "ud", "udu", "nose", "u.", "dd"})
    EXPECT_FALSE(outvoted(ballots(letters))) << letters;
  for (const char* letters : {"uu", "uus", "uudu", "uu."})
    EXPECT_TRUE(outvoted(ballots(letters))) << letters;
  // However many of them stand in one place.
  const std::vector<Ballot> region(3, Ballot{"region eu", Saw::Up});
  EXPECT_FALSE(outvoted(region));
}

TEST(Quorum, VerifiersOfOneRegionAreOneVantage) {
  const auto in_region = [](std::vector<std::optional<Saw>> saws) {
    std::vector<Ballot> all;
    for (const auto& saw : saws) all.push_back({"region eu", saw});
    return all;
  };
  EXPECT_EQ(weigh(in_region({Saw::Down, Saw::Down}), 3, false), Basis::Unanswered);
  EXPECT_EQ(weigh(in_region({Saw::Down, Saw::Up}), 2, false), Basis::Disagreement);
  EXPECT_EQ(weigh(in_region({Saw::Down, std::nullopt}), 2, false), Basis::None);
  EXPECT_EQ(weigh(in_region({Saw::Down, std::nullopt}), 2, true), Basis::Quorum);
  EXPECT_EQ(weigh(in_region({Saw::Down, Saw::Silent}), 2, false), Basis::Quorum);
}

// Goal: the order in which answers come decides nothing once all are there; a decision before that is none that the rest could turn
// into its opposite. Method: every combination of four verifiers, every quorum.
TEST(Quorum, WhatIsDecidedEarlyIsNotTurnedRound) {
  const std::string letters = "dus.";
  for (std::size_t n = 0; n < 256; ++n) {
    std::string word;
    for (std::size_t i = 0, left = n; i < 4; ++i, left /= 4) word += letters[left % 4];
    for (std::uint32_t quorum = 2; quorum <= 5; ++quorum) {
      const Basis early = weigh(ballots(word), quorum, false);
      if (early == Basis::None) continue;
      for (const char last : {'d', 'u', 's'}) {
        std::string whole = word;
        std::replace(whole.begin(), whole.end(), '.', last);
        const Basis late = weigh(ballots(whole), quorum, false);
        EXPECT_FALSE(early == Basis::Quorum && late != Basis::Quorum) << word << quorum;
        EXPECT_FALSE(early == Basis::Disagreement && late != Basis::Disagreement) << word << quorum;
      }
      std::string turned(word.rbegin(), word.rend());
      EXPECT_EQ(weigh(ballots(turned), quorum, false), early) << word << quorum;
    }
  }
}

}  // namespace
}  // namespace watchwheel::sideeffects
