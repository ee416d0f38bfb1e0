// SPDX-License-Identifier: Apache-2.0
// support/hook_receiver.h - takes webhooks on loopback and remembers when each came and from whom; answers as it is told, when it is told.
//
// Owns     a port and one thread, whatever comes at once.
// Thread   every function may be called from any thread; the rule is called on its own.
// Bounded  the record grows with what comes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"

namespace watchwheel::testing {

class HookReceiver {
 public:
  struct Arrival {
    std::string id;      // webhook-id.
    std::string sender;  // User-Agent.
    std::string path;
    std::string body;
    double at = 0;  // Seconds, steady.
  };
  struct Reply {
    int status = 204;
    core::Duration takes{};  // Before it is given.
  };
  using Rule = std::function<Reply(const Arrival& arrival)>;

  explicit HookReceiver(Rule rule);
  ~HookReceiver();
  HookReceiver(const HookReceiver&) = delete;
  HookReceiver& operator=(const HookReceiver&) = delete;

  [[nodiscard]] int port() const;
  // Once its head and body are there: before the reply.
  [[nodiscard]] std::vector<Arrival> arrivals() const;
  [[nodiscard]] std::size_t count() const;
  // What still takes is answered now.
  void answer_all();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace watchwheel::testing
