// SPDX-License-Identifier: Apache-2.0
// support/fake_channels.h - receivers that answer as the test says, when the test says.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "sideeffects/channel_api.h"
#include "sideeffects/message.h"

namespace watchwheel::testing {

// Thread   one, for every call.
class FakeChannels final : public sideeffects::Channels {
 public:
  struct Sent {
    core::SteadyTime at{};
    std::string target;
    std::string id;
    std::uint32_t number = 0;
    sideeffects::Message message;
  };
  struct Answer {
    sideeffects::SendResult result;
    core::Duration takes{};
  };
  using Script = std::function<Answer(const sideeffects::Attempt&)>;

  explicit FakeChannels(const core::Clock& clock) : clock_(clock) {}

  // What a target answers; without a script: delivered at once.
  void script(const std::string& target, Script script) { scripts_[target] = std::move(script); }
  void set_attempts_max(std::size_t most) { most_ = most; }

  void send(sideeffects::Attempt attempt, Done done) override {
    sent_.push_back({.at = clock_.steady(),
                     .target = attempt.target->name,
                     .id = attempt.message_id,
                     .number = attempt.number,
                     .message = *attempt.message});
    Answer answer{.result = {.outcome = sideeffects::SendOutcome::Delivered,
                             .retry_after = {},
                             .status = 200,
                             .detail = "ok"},
                  .takes = {}};
    if (const auto script = scripts_.find(attempt.target->name); script != scripts_.end())
      answer = script->second(attempt);
    under_way_.push_back(
        {clock_.steady() + answer.takes, std::move(answer.result), std::move(done)});
    most_seen_ = std::max(most_seen_, under_way_.size());
  }
  [[nodiscard]] std::size_t attempts_max() const override { return most_; }

  // Answers what is due. Says whether anything was.
  bool answer() {
    std::vector<UnderWay> due;
    std::erase_if(under_way_, [&](UnderWay& one) {
      if (one.at > clock_.steady()) return false;
      due.push_back(std::move(one));
      return true;
    });
    for (UnderWay& one : due) one.done(std::move(one.result));
    return !due.empty();
  }

  [[nodiscard]] const std::vector<Sent>& sent() const { return sent_; }
  [[nodiscard]] std::vector<Sent> sent_to(const std::string& target) const {
    std::vector<Sent> of;
    for (const Sent& one : sent_) {
      if (one.target == target) of.push_back(one);
    }
    return of;
  }
  [[nodiscard]] std::size_t under_way() const { return under_way_.size(); }
  [[nodiscard]] std::size_t most_seen() const { return most_seen_; }

 private:
  struct UnderWay {
    core::SteadyTime at;
    sideeffects::SendResult result;
    Done done;
  };

  const core::Clock& clock_;
  std::map<std::string, Script> scripts_;
  std::vector<UnderWay> under_way_;
  std::vector<Sent> sent_;
  std::size_t most_ = 256;
  std::size_t most_seen_ = 0;
};

}  // namespace watchwheel::testing
