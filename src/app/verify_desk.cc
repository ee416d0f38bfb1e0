// SPDX-License-Identifier: Apache-2.0
#include "app/verify_desk.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "app/loop_lateness.h"
#include "app/result_json.h"
#include "checker/address.h"
#include "checker/address_guard.h"
#include "core/ensure.h"
#include "core/hash.h"
#include "verify/wire.h"

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kPlansMax = 256;
constexpr core::Duration kPlanKept = 60s;  // A file that a plan has read may be another by then.
constexpr core::Duration kStuck = 15s;

core::ProbeResult not_measured(core::Cause cause, std::string detail, core::WallTime at) {
  core::ProbeResult result;
  result.cause = cause;
  result.phase = core::Phase::Dns;
  result.detail = std::move(detail);
  result.started_at = at;
  return result;
}

}  // namespace

std::string_view to_string(DeskEnd end) {
  constexpr std::array<std::string_view, kDeskEndCount> kNames{"answered", "malformed", "full",
                                                               "too_many_batches"};
  return kNames[static_cast<std::size_t>(end)];
}

// One request under way. Shared by the workers that have a part of it; the last result answers it.
struct VerifyDesk::Batch {
  Batch(std::vector<std::string> id_list, Answered answer, std::shared_ptr<std::atomic<std::size_t>> open)
      : ids(std::move(id_list)),
        results(ids.size()),
        left(ids.size()),
        answered(std::move(answer)),
        batches(std::move(open)) {
    batches->fetch_add(1);
  }
  ~Batch() { batches->fetch_sub(1); }

  // Each place once: a worker writes only the places of its own items.
  void put(std::size_t place, std::string json, const VerifyDeskSettings& settings) {
    results[place] = std::move(json);
    if (left.fetch_sub(1) > 1) return;
    std::exchange(answered, nullptr)(
        {200, "application/json",
         verify::encode_reply(settings.name, settings.region, ids, results), {}});
  }

  const std::vector<std::string> ids;
  std::vector<std::string> results;
  std::atomic<std::size_t> left;
  Answered answered;
  const std::shared_ptr<std::atomic<std::size_t>> batches;
};

struct VerifyDesk::Item {
  std::shared_ptr<Batch> batch;
  std::size_t place = 0;
  std::string url;
  core::CheckOptions options;
  core::SteadyTime deadline = core::kNoSteadyTime;
};

// One thread with its checker.
class VerifyDesk::Worker final : public checker::ResultHandler, core::Pinned {
 public:
  Worker(std::size_t number, const VerifyDesk& desk)
      : number_(number), desk_(desk), wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Worker() override {
    stop();
    if (wake_fd_ >= 0) ::close(wake_fd_);
  }

  core::Result<void> start() {
    if (wake_fd_ < 0) return core::Error{core::ErrorKind::Unavailable, "no descriptor is left"};
    checker::Settings settings = desk_.settings_.checker;
    settings.limits.in_flight_max = share();
    auto made = checker::Checker::make(settings, desk_.clock_, *this);
    if (!made) return made.error();
    checker_ = *std::move(made);
    turned_at_.store(desk_.clock_.steady().time_since_epoch().count());
    thread_ = std::thread([this] { loop(); });
    return {};
  }

  void stop() {
    if (!thread_.joinable()) return;
    stopping_.store(true);
    wake();
    thread_.join();
  }

  // Room for so many checks more, of this thread. The http thread alone asks and fills it.
  [[nodiscard]] std::size_t room() const {
    const std::size_t used = in_flight_.load();
    return used < share() ? share() - used : 0;
  }

  void give(Item item) {
    in_flight_.fetch_add(1);
    const std::lock_guard lock(mutex_);
    inbox_.push_back(std::move(item));
  }

  void wake() const {
    const std::uint64_t one = 1;
    (void)!::write(wake_fd_, &one, sizeof one);
  }

  [[nodiscard]] std::size_t in_flight() const { return in_flight_.load(); }
  [[nodiscard]] bool is_stuck(core::SteadyTime now) const {
    return now - core::SteadyTime{core::Duration{turned_at_.load()}} > kStuck;
  }

  void add_to(DeskReading& sum) const {
    for (std::size_t i = 0; i < sum.outcomes.size(); ++i) sum.outcomes[i] += outcomes_[i].value();
    sum.late += late_.value();
    if (number_ == 0) {
      sum.took = took_.read();
    } else {
      sum.took.merge(took_.read());
    }
  }

  void on_result(checker::ProbeToken token, core::ProbeResult&& result) noexcept override {
    const auto found = asked_.find(token);
    ENSURE(found != asked_.end(), "a result came for a check that nobody asked");
    finish(found->second, std::move(result));
    asked_.erase(found);
    in_flight_.fetch_sub(1);
  }

 private:
  struct Plan {
    checker::PlanRef ready;
    core::SteadyTime made = core::kNoSteadyTime;
  };

  [[nodiscard]] std::size_t share() const {
    const VerifyDeskSettings& s = desk_.settings_;
    return std::max<std::size_t>(1, s.in_flight_max / s.threads);
  }

  void loop() noexcept {
    const std::string name = "check-" + std::to_string(number_);
    pthread_setname_np(pthread_self(), name.c_str());
    checker_->warm_up();
    core::SteadyTime meant = desk_.clock_.steady();
    while (!stopping_.load()) {
      const core::SteadyTime now = desk_.clock_.steady();
      turned_at_.store(now.time_since_epoch().count());
      lateness_.note(std::max(now - meant, core::Duration::zero()), now);
      const checker::ReactorWaits waits = checker_->answers_wait();
      lateness_.note(waits.ended, now);
      lateness_.note_waiting(waits.since, now);
      take(now);
      checker_->turn(now);
      expire(now);
      const core::SteadyTime after = desk_.clock_.steady();
      lateness_.note(after - now, after);
      meant = after + wait(after);
    }
    const core::SteadyTime now = desk_.clock_.steady();
    take(now);
    checker_->cancel_all(now);
    checker_->turn(now);
  }

  // Returns how long it meant to wait at most.
  core::Duration wait(core::SteadyTime now) const {
    core::SteadyTime until = now + 100ms;  // Deadlines of batches are looked at so often.
    if (const auto deadline = checker_->next_deadline()) until = std::min(until, *deadline);
    const core::Duration most = std::max(until - now, core::Duration::zero());
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(most);
    std::array<pollfd, 2> ready{pollfd{checker_->descriptor(), POLLIN, 0},
                                pollfd{wake_fd_, POLLIN, 0}};
    (void)::poll(ready.data(), ready.size(), static_cast<int>(ms.count()));
    std::uint64_t woken = 0;
    (void)!::read(wake_fd_, &woken, sizeof woken);
    // Woken early is not late.
    return std::max<core::Duration>(ms, core::Duration::zero());
  }

  void take(core::SteadyTime now) {
    {
      const std::lock_guard lock(mutex_);
      taken_.swap(inbox_);
    }
    for (Item& item : taken_) start_check(std::move(item), now);
    taken_.clear();
  }

  void start_check(Item&& item, core::SteadyTime now) {
    const auto plan = plan_of(item.options, now);
    const core::WallTime wall = desk_.clock_.wall();
    if (now >= item.deadline) {
      // Nobody waits for it any more: others need its room.
      late_.add();
      finish(item, not_measured(core::Cause::Cancelled, "the deadline of the request came first", wall));
    } else if (!plan) {
      finish(item, not_measured(core::Cause::TargetInvalid, plan.error().message, wall));
    } else if (checker_->start(++token_, item.url, *plan, now) != checker::Start::Started) {
      finish(item, not_measured(core::Cause::LocalOverload, "the verifier has no room", wall));
    } else {
      asked_.emplace(token_, std::move(item));
      return;
    }
    in_flight_.fetch_sub(1);
  }

  core::Result<checker::PlanRef> plan_of(const core::CheckOptions& options, core::SteadyTime now) {
    std::string key = core::fingerprint(options);
    const auto known = plans_.find(key);
    if (known != plans_.end() && now - known->second.made < kPlanKept) return known->second.ready;
    auto made = checker_->prepare(options);
    if (!made) return made.error();
    if (plans_.size() >= kPlansMax) plans_.clear();
    plans_.insert_or_assign(std::move(key), Plan{*made, now});
    return *made;
  }

  // Of a batch that was answered already nothing is said.
  void finish(Item& item, core::ProbeResult&& result) {
    if (!item.batch) return;
    judge(item.options, result);
    outcomes_[static_cast<std::size_t>(result.outcome())].add();
    took_.observe(result.timings.total);
    std::exchange(item.batch, nullptr)
        ->put(item.place, result_json(item.url, result), desk_.settings_);
  }

  // What is ours of a failure is no word about the site.
  void judge(const core::CheckOptions& options, core::ProbeResult& result) const {
    if (result.outcome() != core::Outcome::Down) return;
    const core::VantageState vantage = desk_.gate_.read().state;
    if (our_share(result, options, lateness_) != OurShare::None) {
      result.detail = "the verifier was too late to tell; it looked like " +
                      std::string(core::to_string(result.cause));
      result.cause = core::Cause::LocalOverload;
    } else if (vantage == core::VantageState::Fault || vantage == core::VantageState::Doubt) {
      result.detail = "the verifier's own canaries fail; it looked like " +
                      std::string(core::to_string(result.cause));
      result.cause = core::Cause::LocalNetwork;
    }
  }

  void expire(core::SteadyTime now) {
    for (auto& [token, item] : asked_) {
      if (!item.batch || now < item.deadline) continue;
      late_.add();
      finish(item, not_measured(core::Cause::Cancelled, "the deadline of the request came first",
                                desk_.clock_.wall()));
    }
  }

  const std::size_t number_;
  const VerifyDesk& desk_;
  const int wake_fd_;
  std::unique_ptr<checker::Checker> checker_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::size_t> in_flight_{0};
  std::atomic<std::int64_t> turned_at_{0};

  std::mutex mutex_;
  std::vector<Item> inbox_;  // Guarded by mutex_. Within the share of this thread.

  // The thread's.
  std::vector<Item> taken_;
  std::unordered_map<checker::ProbeToken, Item> asked_;
  checker::ProbeToken token_ = 0;
  std::unordered_map<std::string, Plan> plans_;
  LoopLateness lateness_;
  std::array<core::Counter, 3> outcomes_;
  core::Counter late_;
  core::Histogram took_;
};

VerifyDesk::VerifyDesk(const VerifyDeskSettings& settings, const core::VantageGate& gate,
                       const core::Clock& clock)
    : settings_(settings),
      gate_(gate),
      clock_(clock),
      batches_(std::make_shared<std::atomic<std::size_t>>(0)) {
  ENSURE(settings.threads > 0, "a verifier needs a thread");
  for (std::size_t i = 0; i < settings.threads; ++i)
    workers_.push_back(std::make_unique<Worker>(i, *this));
}

VerifyDesk::~VerifyDesk() {
  stop();
}

core::Result<void> VerifyDesk::start() {
  for (auto& worker : workers_) {
    if (auto started = worker->start(); !started) return started;
  }
  return {};
}

void VerifyDesk::stop() {
  {
    const std::lock_guard lock(giving_);
    stopping_ = true;
  }
  for (auto& worker : workers_) worker->stop();
}

// The options asked for on top of what is this machine's to say.
core::Result<core::CheckOptions> VerifyDesk::options_for(const core::SiteOptions& asked) const {
  for (const auto& [name, text] : asked) {
    if (std::find(verify::kNotSent.begin(), verify::kNotSent.end(), name) != verify::kNotSent.end())
      return core::Error{core::ErrorKind::Invalid,
                         "option " + name + " is the verifier's own and cannot be asked for"};
  }
  core::CheckOptions own;
  own.resolvers = settings_.own.resolvers;  // A site's own may replace them: see blocked_resolver().
  own.allow = settings_.own.allow;
  own.allow_private = settings_.own.allow_private;
  own.ca_file = settings_.own.ca_file;
  own.user_agent = settings_.own.user_agent;
  return core::merge_options(own, asked);
}

// A site may bring the name servers that alone know its name. Asking them is reaching an address like any other.
std::string VerifyDesk::blocked_resolver(const core::SiteOptions& asked) const {
  const auto named = std::find_if(asked.begin(), asked.end(),
                                  [](const auto& option) { return option.first == "resolver"; });
  core::CheckOptions wanted;
  if (named == asked.end() || !core::apply_option(wanted, named->first, named->second)) return {};
  std::vector<checker::Cidr> allowed;
  for (const std::string& text : settings_.own.allow) {
    if (const auto cidr = checker::parse_cidr(text)) allowed.push_back(*cidr);
  }
  for (const std::string& text : wanted.resolvers) {
    const auto at = checker::parse_endpoint(text, 53);
    if (!at) continue;  // Refused with the other options.
    const auto verdict = checker::guard(at->ip, allowed, settings_.own.allow_private);
    if (!verdict.allowed)
      return "resolver " + text + " is " + std::string(verdict.reason) + ", not allowed here";
  }
  return {};
}

void VerifyDesk::verify(const std::string& body, Answered answered) {
  const auto count = [this](DeskEnd end) { stats_.requests[static_cast<std::size_t>(end)].add(); };
  auto request = verify::decode_request(body, settings_.batch_max);
  if (!request) {
    count(DeskEnd::Malformed);
    return answered(http::refusal(400, request.error().message));
  }
  if (batches_->load() >= settings_.batches_max) {
    count(DeskEnd::TooManyBatches);
    stats_.refused.add(request->checks.size());
    http::Response full = http::refusal(429, "too many requests are under way; try again");
    full.headers.emplace_back("Retry-After", "1");
    return answered(std::move(full));
  }
  std::size_t room = 0;
  for (const auto& worker : workers_) room += worker->room();
  if (room == 0) {
    count(DeskEnd::Full);
    stats_.refused.add(request->checks.size());
    http::Response full = http::refusal(503, "this verifier has no room for a check; try again");
    full.headers.emplace_back("Retry-After", "1");
    return answered(std::move(full));
  }
  // What a thread that has ended is given would never be answered.
  const std::lock_guard lock(giving_);
  if (stopping_) {
    count(DeskEnd::Full);
    http::Response gone = http::refusal(503, "this verifier is stopping; ask another one");
    gone.headers.emplace_back("Retry-After", "5");
    return answered(std::move(gone));
  }
  count(DeskEnd::Answered);

  const core::SteadyTime deadline = clock_.steady() + request->deadline;
  const core::WallTime wall = clock_.wall();
  std::vector<std::string> ids;
  for (const verify::Ask& ask : request->checks) ids.push_back(ask.id);
  const auto batch = std::make_shared<Batch>(std::move(ids), std::move(answered), batches_);
  const auto refuse = [&](std::size_t place, const std::string& url, core::Cause cause,
                          std::string why) {
    batch->put(place, result_json(url, not_measured(cause, std::move(why), wall)), settings_);
  };
  for (std::size_t place = 0; place < request->checks.size(); ++place) {
    verify::Ask& ask = request->checks[place];
    if (std::string blocked = blocked_resolver(ask.options); !blocked.empty()) {
      refuse(place, ask.url, core::Cause::AddressBlocked, std::move(blocked));
      continue;
    }
    auto options = options_for(ask.options);
    if (!options) {
      refuse(place, ask.url, core::Cause::TargetInvalid, options.error().message);
      continue;
    }
    // The same host on the same thread, while that has room: its names and chains are known there.
    Worker* chosen = workers_[core::stable_hash(ask.url) % workers_.size()].get();
    for (std::size_t i = 0; i < workers_.size() && chosen->room() == 0; ++i)
      chosen = workers_[i].get();
    if (chosen->room() == 0) {
      stats_.refused.add();
      refuse(place, ask.url, core::Cause::LocalOverload, "the verifier has no room");
      continue;
    }
    chosen->give({.batch = batch,
                  .place = place,
                  .url = std::move(ask.url),
                  .options = *std::move(options),
                  .deadline = deadline});
  }
  for (const auto& worker : workers_) worker->wake();
}

bool VerifyDesk::healthy(std::string& why) {
  const core::SteadyTime now = clock_.steady();
  for (std::size_t i = 0; i < workers_.size(); ++i) {
    if (!workers_[i]->is_stuck(now)) continue;
    why = fmt::format("thread check-{} makes no progress", i);
    return false;
  }
  return true;
}

std::size_t VerifyDesk::in_flight() const {
  std::size_t sum = 0;
  for (const auto& worker : workers_) sum += worker->in_flight();
  return sum;
}

DeskReading VerifyDesk::reading() const {
  DeskReading sum;
  for (const auto& worker : workers_) worker->add_to(sum);
  return sum;
}

}  // namespace watchwheel::app
