// SPDX-License-Identifier: Apache-2.0
// integration/channels/sending.h - a real sender on its own thread, and waiting for what it answers.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "channels/sender.h"
#include "core/clock.h"
#include "core/ensure.h"
#include "sideeffects/message.h"

namespace watchwheel::testing {

// The answers to what was sent, in the order they came.
class Answers {
 public:
  struct One {
    std::string id;
    sideeffects::SendResult result;
  };

  void add(std::string id, sideeffects::SendResult result) {
    {
      const std::lock_guard lock(mutex_);
      all_.push_back({.id = std::move(id), .result = std::move(result)});
    }
    came_.notify_all();
  }
  // Waits until there are `count`; long, for a machine that is busy with other tests.
  [[nodiscard]] std::vector<One> wait(std::size_t count) {
    std::unique_lock lock(mutex_);
    const bool here = came_.wait_for(lock, std::chrono::seconds{120},
                                     [this, count] { return all_.size() >= count; });
    ENSURE(here, "a sender did not answer");
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<One> all_;
};

class Sending {
 public:
  explicit Sending(channels::Sender::Settings settings = {})
      : sender_(channels::Sender::make(settings, clock_).value()) {
    sender_->start();
  }

  [[nodiscard]] channels::Sender& sender() { return *sender_; }
  [[nodiscard]] Answers& answers() { return *answers_; }

  void post(const sideeffects::ChannelTarget& target, const sideeffects::Message& message,
            const std::string& id, std::uint32_t number = 1) {
    sender_->send({.message_id = id,
                   .number = number,
                   .target = std::make_shared<sideeffects::ChannelTarget>(target),
                   .message = std::make_shared<sideeffects::Message>(message)},
                  [answers = answers_, id](sideeffects::SendResult result) {
                    answers->add(id, std::move(result));
                  });
    ++posted_;
  }
  // Sends one and waits for its answer.
  [[nodiscard]] sideeffects::SendResult send(const sideeffects::ChannelTarget& target,
                                             const sideeffects::Message& message,
                                             const std::string& id = "msg_1",
                                             std::uint32_t number = 1) {
    post(target, message, id, number);
    return answers_->wait(posted_).back().result;
  }

 private:
  core::SystemClock clock_;
  std::shared_ptr<Answers> answers_ = std::make_shared<Answers>();
  std::size_t posted_ = 0;
  std::unique_ptr<channels::Sender> sender_;
};

inline sideeffects::ChannelTarget target_at(const std::string& url) {
  sideeffects::ChannelTarget target;
  target.name = "ops";
  target.url = url;
  target.allow = {"127.0.0.0/8", "::1"};
  target.timeout = std::chrono::seconds{60};
  return target;
}

}  // namespace watchwheel::testing
