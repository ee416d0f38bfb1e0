// SPDX-License-Identifier: Apache-2.0
// incident_others.h - those whom a simulated process talks to: verifiers and receivers, as a script says. What they say comes in virtual
// time, and is lost with the process.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "incident_record.h"
#include "sideeffects/channel_api.h"
#include "sideeffects/verifier_panel_api.h"

namespace watchwheel::sim {

class Panel final : public sideeffects::VerifierPanel {
 public:
  Panel(const Verifier& verifier, const core::Clock& clock, std::size_t seats,
        std::vector<Testified>& testified)
      : verifier_(verifier), clock_(clock), testified_(testified) {
    for (std::size_t i = 0; i < seats; ++i) seats_.push_back({"v" + std::to_string(i), ""});
  }
  [[nodiscard]] const std::vector<sideeffects::Seat>& seats() const override { return seats_; }
  Asked ask(sideeffects::Question question) override {
    for (std::size_t seat = 0; seat < seats_.size(); ++seat) {
      const VerifierWord word = verifier_(seat, question.subject.url, clock_.steady());
      if (word.saw == core::Saw::Silent) continue;
      coming_.push_back(
          {clock_.steady() + word.after, question.id, question.subject.url, seat, word.saw});
    }
    return Asked::Taken;
  }
  void drop(std::uint64_t id) override {
    std::erase_if(coming_, [&](const Coming& one) { return one.id == id; });
  }
  void take(std::vector<sideeffects::SeatAnswer>& into) override {
    std::erase_if(coming_, [&](const Coming& one) {
      if (one.at > clock_.steady()) return false;
      core::Witness witness{.saw = one.saw, .at = clock_.wall()};
      witness.cause = one.saw == core::Saw::Up ? core::Cause::Ok : core::Cause::ConnectTimeout;
      into.push_back({.id = one.id, .seat = one.seat, .witness = std::move(witness)});
      testified_.push_back({clock_.steady(), one.url, one.seat, one.saw});
      return true;
    });
  }
  [[nodiscard]] std::optional<core::SteadyTime> next() const {
    std::optional<core::SteadyTime> next;
    for (const Coming& one : coming_) next = std::min(next.value_or(one.at), one.at);
    return next;
  }

 private:
  struct Coming {
    core::SteadyTime at;
    std::uint64_t id = 0;
    std::string url;
    std::size_t seat = 0;
    core::Saw saw = core::Saw::Silent;
  };
  const Verifier& verifier_;
  const core::Clock& clock_;
  std::vector<Testified>& testified_;
  std::vector<sideeffects::Seat> seats_;
  std::vector<Coming> coming_;
};

class Receivers final : public sideeffects::Channels {
 public:
  Receivers(const Receiver& receiver, const core::Clock& clock, int run, std::vector<Sent>& sent)
      : receiver_(receiver), clock_(clock), run_(run), sent_(sent) {}
  void send(sideeffects::Attempt attempt, Done done) override {
    ReceiverWord word = receiver_(attempt, clock_.steady());
    const core::SteadyTime at =
        clock_.steady() + std::min<core::Duration>(word.after, attempt.target->timeout);
    sent_.push_back({.at = clock_.steady(),
                     .wall = clock_.wall(),
                     .answered_at = at,
                     .target = attempt.target->name,
                     .id = attempt.message_id,
                     .number = attempt.number,
                     .message = *attempt.message,
                     .outcome = word.result.outcome,
                     .run = run_});
    under_way_.push_back({at, sent_.size() - 1, std::move(word.result), std::move(done)});
  }
  [[nodiscard]] std::size_t attempts_max() const override { return 128; }
  void turn() {
    std::vector<UnderWay> due;
    std::erase_if(under_way_, [&](UnderWay& one) {
      if (one.at > clock_.steady()) return false;
      due.push_back(std::move(one));
      return true;
    });
    for (UnderWay& one : due) {
      sent_[one.sent].heard = true;
      one.done(std::move(one.result));
    }
  }
  [[nodiscard]] std::optional<core::SteadyTime> next() const {
    std::optional<core::SteadyTime> next;
    for (const UnderWay& one : under_way_) next = std::min(next.value_or(one.at), one.at);
    return next;
  }

 private:
  struct UnderWay {
    core::SteadyTime at;
    std::size_t sent = 0;
    sideeffects::SendResult result;
    Done done;
  };
  const Receiver& receiver_;
  const core::Clock& clock_;
  const int run_;
  std::vector<Sent>& sent_;
  std::vector<UnderWay> under_way_;
};

}  // namespace watchwheel::sim
