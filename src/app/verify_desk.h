// SPDX-License-Identifier: Apache-2.0
// app/verify_desk.h - the verifier's checkers: takes batches, asks the sites, and answers when all of a batch is known or its
// deadline has come.
//
// Owns     `threads` threads ("check-N") with a checker each, and the batches under way.
// Thread   verify(), collect() and healthy(): the http thread's. start(), stop(): the owner's. The readings: any.
// Bounded  `in_flight_max` checks at once. A batch for which there is no room at all is refused with 503; of one for which there is
//          some, the checks beyond it are answered at once as not_measured local_overload. `batches_max` batches: 429 beyond.
// Time     a batch is answered at its deadline at the latest; what has no result by then is answered as not_measured cancelled,
//          and its check goes on to its own end, counted, heard by nobody.
// Fails    never towards the network: what cannot be asked is an answer. start() says why a checker could not be made.
//
// What a check may reach is this machine's to say: address guard and trust store are those of [checks] here, and no
// request changes them. A site's own user agent is sent; without one it is that of [checks] here. A check may name resolvers of its own where the guard lets them be reached. While this vantage is not well (its canaries, [vantage]) a failure is local_network, and
// a timeout that our own loop was late enough to bring about is local_overload: neither is a vote.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "checker/checker.h"
#include "core/check_options.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "core/probe.h"
#include "core/result.h"
#include "core/stats.h"
#include "core/vantage.h"
#include "http/stats.h"
#include "http/verify_desk_api.h"

namespace watchwheel::app {

struct VerifyDeskSettings {
  std::string name;
  std::string region;
  std::size_t threads = 1;
  std::size_t in_flight_max = 1000;
  std::size_t batch_max = 256;
  std::size_t batches_max = 256;
  core::CheckOptions own;  // Resolvers, guard, trust store and user agent of every check here.
  checker::Settings checker;  // Of each thread; in_flight_max is the desk's to set.
};

// How a request ended. A closed list.
enum class DeskEnd { Answered, Malformed, Full, TooManyBatches };
inline constexpr std::size_t kDeskEndCount = 4;
[[nodiscard]] std::string_view to_string(DeskEnd end);

struct DeskStats {
  std::array<core::Counter, kDeskEndCount> requests;  // The http thread's.
  core::Counter refused;                              // Checks answered as local_overload for want of room. The http thread's.
};

// A sum over the threads.
struct DeskReading {
  std::array<std::uint64_t, 3> outcomes{};  // By core::Outcome.
  std::uint64_t late = 0;                   // Checks without a result at their batch's deadline.
  core::HistogramReading took;
};

class VerifyDesk final : public http::VerifyDesk, core::Pinned {
 public:
  VerifyDesk(const VerifyDeskSettings& settings, const core::VantageGate& gate,
             const core::Clock& clock);
  ~VerifyDesk() override;

  [[nodiscard]] core::Result<void> start();
  // Ends what is in flight as `cancelled`, answers every batch, joins the threads.
  void stop();

  void verify(const std::string& body, Answered answered) override;
  std::vector<prometheus::MetricFamily> collect() override;
  bool healthy(std::string& why) override;

  void set_listener(const http::Stats& stats) { listener_ = &stats; }
  [[nodiscard]] std::size_t in_flight() const;
  [[nodiscard]] const DeskStats& stats() const { return stats_; }
  [[nodiscard]] DeskReading reading() const;

 private:
  struct Batch;
  struct Item;
  class Worker;

  [[nodiscard]] core::Result<core::CheckOptions> options_for(const core::SiteOptions& asked) const;
  // Why its own resolvers are none for us; "": they are, or there are none.
  [[nodiscard]] std::string blocked_resolver(const core::SiteOptions& asked) const;

  const VerifyDeskSettings settings_;
  const core::VantageGate& gate_;
  const core::Clock& clock_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::shared_ptr<std::atomic<std::size_t>> batches_;
  std::size_t next_worker_ = 0;
  const http::Stats* listener_ = nullptr;
  std::mutex giving_;
  bool stopping_ = false;  // Guarded by giving_.
  DeskStats stats_;
};

}  // namespace watchwheel::app
