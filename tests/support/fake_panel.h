// SPDX-License-Identifier: Apache-2.0
// support/fake_panel.h - verifiers that say what a test lets them say, when it lets them.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sideeffects/verifier_panel_api.h"

namespace watchwheel::testing {

class FakePanel final : public sideeffects::VerifierPanel {
 public:
  // Each a vantage of its own, unless a region says otherwise.
  explicit FakePanel(std::size_t seats, const std::string& region = "") {
    for (std::size_t i = 0; i < seats; ++i) seats_.push_back({"v" + std::to_string(i), region});
  }

  [[nodiscard]] const std::vector<sideeffects::Seat>& seats() const override { return seats_; }
  Asked ask(sideeffects::Question question) override {
    if (answers_with != Asked::Taken) return answers_with;
    asked.push_back(question);
    open_.emplace(question.id, std::move(question));
    return Asked::Taken;
  }
  void drop(std::uint64_t id) override {
    dropped += open_.erase(id);
  }
  void take(std::vector<sideeffects::SeatAnswer>& into) override {
    for (auto& answer : said_) into.push_back(std::move(answer));
    said_.clear();
  }

  // The newest question about this URL; 0: none.
  [[nodiscard]] std::uint64_t id_of(const std::string& url) const {
    std::uint64_t id = 0;
    for (const sideeffects::Question& question : asked) {
      if (question.subject.url == url) id = question.id;
    }
    return id;
  }
  void say(std::uint64_t id, std::size_t seat, core::Saw saw) {
    core::Witness witness{.saw = saw};
    if (saw == core::Saw::Up) witness.cause = core::Cause::Ok;
    if (saw == core::Saw::Down) witness.cause = core::Cause::ConnectTimeout;
    said_.push_back({.id = id, .seat = seat, .witness = std::move(witness)});
  }

  std::vector<sideeffects::Question> asked;
  std::size_t dropped = 0;
  Asked answers_with = Asked::Taken;

 private:
  std::vector<sideeffects::Seat> seats_;
  std::map<std::uint64_t, sideeffects::Question> open_;
  std::vector<sideeffects::SeatAnswer> said_;
};

}  // namespace watchwheel::testing
