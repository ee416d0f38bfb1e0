// SPDX-License-Identifier: Apache-2.0
// app/store_reader.h - answers what the HTTP endpoint is asked of the store, on a thread of its own: the http thread has 50 ms for each
// request and waits for no store.
//
// To serve more: write src/app/api_<area>.{h,cc} with a function that gives its ApiRoutes, and name that in api_routes.cc. The routes
// are in the published description by what they say of themselves (http::StoreRoute::operation). A handler makes what it needs of
// the store for each request (`store.make_delivery_log()`): a session lives for one answer, so none is held open and none grows
// stale. It reads at most a page of bounded size. What it cannot do it returns as an error: Invalid is 400, NotFound 404,
// Unavailable and Unknown 503 with Retry-After, any other 500.
//
// Owns     the thread "store-read", and a store of its own, opened with the first question.
// Thread   ask(): the http thread. The handlers: its own, one at a time. start(), stop(): the owner's. reading(): any. One mutex, held
//          to put in and to take out.
// Bounded  kWaitingMax questions wait; one more is answered 503 with Retry-After.
// Time     one that has waited for kPatience is not put to the store any more: 503. What a store takes to answer has its deadlines.
// Fails    a store that is away: 503 with Retry-After, and the next question tries again.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"
#include "core/stats.h"
#include "db/store.h"
#include "http/store_desk_api.h"

namespace watchwheel::app {

struct ApiContext {
  db::Store& store;
  core::WallTime now;
};

struct ApiRoute {
  http::StoreRoute route{};
  std::function<core::Result<http::Response>(const http::StoreRequest&, const ApiContext&)>
      answer{};
};

// What of a request is a number: absent, it is `usual`; Invalid when it is none, or is not within the two.
struct NumberRange {
  std::uint64_t least = 0;
  std::uint64_t most = 0;
  std::uint64_t usual = 0;
};
[[nodiscard]] core::Result<std::uint64_t> number_in(const http::StoreRequest& request,
                                                    std::string_view name,
                                                    const NumberRange& range);
// The text of a parameter; "" when it is absent.
[[nodiscard]] std::string text_in(const http::StoreRequest& request, std::string_view name);
// "true" or "false"; absent is false.
[[nodiscard]] core::Result<bool> flag_in(const http::StoreRequest& request, std::string_view name);
// One of the path, from 1.
[[nodiscard]] core::Result<std::uint64_t> id_in(const http::StoreRequest& request,
                                                std::size_t index = 0);

struct StoreReaderStats {
  core::Counter answered;  // Whatever the answer.
  core::Counter refused;   // For want of room.
  core::Counter expired;   // Waited too long.
};

class StoreReader final : public http::StoreDesk, core::Pinned {
 public:
  static constexpr std::size_t kWaitingMax = 32;
  static constexpr core::Duration kPatience = std::chrono::seconds{10};
  using OpenStore = std::function<core::Result<std::unique_ptr<db::Store>>()>;

  // `open`: called on its thread.
  StoreReader(OpenStore open, std::vector<ApiRoute> routes, const core::Clock& clock);
  ~StoreReader() override;  // As stop().

  void start();  // Once.
  // Every question that is still there is answered 503, and so is each that comes after. Joins.
  void stop();

  [[nodiscard]] const std::vector<http::StoreRoute>& routes() const override { return routes_; }
  void ask(std::size_t route, http::StoreRequest request, Answered answered) override;

  [[nodiscard]] const StoreReaderStats& stats() const { return stats_; }
  [[nodiscard]] std::size_t waiting() const;

 private:
  struct Question {
    std::size_t route = 0;
    http::StoreRequest request;
    Answered answered;
    core::SteadyTime at = core::kNoSteadyTime;
  };

  void run() noexcept;
  [[nodiscard]] std::optional<Question> next();
  [[nodiscard]] http::Response answer(const Question& question);

  const OpenStore open_;
  const std::vector<ApiRoute> handlers_;
  std::vector<http::StoreRoute> routes_;
  const core::Clock& clock_;
  std::unique_ptr<db::Store> store_;  // The thread's.
  mutable std::mutex mutex_;
  std::condition_variable condition_;
  std::deque<Question> waiting_;  // Guarded by mutex_.
  bool stopping_ = false;         // Guarded by mutex_.
  std::thread thread_;
  StoreReaderStats stats_;
};

}  // namespace watchwheel::app
