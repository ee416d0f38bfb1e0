// SPDX-License-Identifier: Apache-2.0
#include "verify/panel_thread.h"

#include <curl/curl.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::verify {

using sideeffects::Question;
using sideeffects::SeatAnswer;
using namespace std::chrono_literals;

namespace {

constexpr core::Duration kLongestWait = 250ms;
constexpr long kConnectMs = 5000;
// Ours is the clock of a batch; libcurl's comes after it, should we not look. It would look at its clock before its sockets, and what
// came while we stood still would be thrown away.
constexpr core::Duration kCurlGrace = 30s;
constexpr core::Duration kStall = 2s;
constexpr core::Duration kAskHereEvery = 1s;

struct EasyDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct MultiDeleter {
  void operator()(CURLM* handle) const { curl_multi_cleanup(handle); }
};
struct LinesDeleter {
  void operator()(curl_slist* lines) const { curl_slist_free_all(lines); }
};

std::string endpoint_of(const std::string& url) {
  const auto host = url.find("://");
  const auto path = url.find('/', host == std::string::npos ? 0 : host + 3);
  if (path == std::string::npos) return url + std::string(kPath);
  return path + 1 == url.size() ? url.substr(0, path) + std::string(kPath) : url;
}

// One batch on the wire.
struct Transfer {
  std::size_t seat = 0;
  std::uint64_t batch = 0;
  std::string body;
  std::string answer;
  bool too_long = false;
  core::SteadyTime until;  // Then it is too late.
  std::unique_ptr<CURL, EasyDeleter> handle;
};

extern "C" std::size_t watchwheel_verify_take(char* data, std::size_t size, std::size_t count,
                                              void* into) noexcept {
  auto& transfer = *static_cast<Transfer*>(into);
  const std::size_t bytes = size * count;
  if (transfer.answer.size() + bytes > kAnswerBytesMost) {
    transfer.too_long = true;
    return 0;
  }
  transfer.answer.append(data, bytes);
  return bytes;
}

BatchEnd end_of(Transfer& transfer, CURLcode code) {
  if (code == CURLE_OK) {
    long status = 0;
    curl_off_t after_s = 0;
    curl_easy_getinfo(transfer.handle.get(), CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer.handle.get(), CURLINFO_RETRY_AFTER, &after_s);
    std::optional<core::Duration> after;
    if (after_s > 0) after = std::chrono::seconds{std::min<curl_off_t>(after_s, 3600)};
    return batch_end(static_cast<int>(status), std::move(transfer.answer), after);
  }
  BatchEnd end;
  // A smaller batch has a shorter answer.
  end.how = transfer.too_long                    ? BatchEnd::How::TooLarge
            : code == CURLE_OPERATION_TIMEDOUT ? BatchEnd::How::TimedOut
                                               : BatchEnd::How::Failed;
  end.problem = transfer.too_long ? "its answer is too long" : curl_easy_strerror(code);
  return end;
}

}  // namespace

struct PanelThread::Parts {
  class Port;

  Parts(std::vector<VerifierSettings> list, const PanelLimits& panel_limits, std::string agent,
        Panel::Say say, const core::Clock& time)
      : verifiers(std::move(list)),
        limits(panel_limits),
        user_agent(std::move(agent)),
        clock(time),
        panel(
            panel_limits, seats_of(verifiers),
            [this](std::size_t seat, std::uint64_t batch, std::string body, core::Duration timeout) {
              send(seat, batch, std::move(body), timeout);
            },
            [this](std::uint64_t asker, SeatAnswer answer) { deliver(asker, std::move(answer)); },
            std::move(say)) {
    for (const VerifierSettings& one : verifiers) seats.push_back({one.name, one.region});
    readings = panel.readings();
  }

  static std::vector<VerifierSeat> seats_of(const std::vector<VerifierSettings>& list) {
    std::vector<VerifierSeat> seats;
    for (const VerifierSettings& one : list) seats.push_back({one.name, one.region, one.url});
    return seats;
  }

  void loop() noexcept;
  [[nodiscard]] Panel::Now look();
  void take_asked(Panel::Now now);
  void take_ended(Panel::Now now);
  void end_late(Panel::Now now);
  void notice_stall(core::SteadyTime now);
  void publish();
  void wait(core::SteadyTime now);
  void send(std::size_t seat, std::uint64_t batch, std::string body, core::Duration timeout);
  [[nodiscard]] bool set_up(Transfer& transfer, core::Duration timeout) const;
  void deliver(std::uint64_t asker, SeatAnswer answer);

  const std::vector<VerifierSettings> verifiers;
  const PanelLimits limits;
  const std::string user_agent;
  const core::Clock& clock;
  std::vector<sideeffects::Seat> seats;
  std::vector<std::unique_ptr<Port>> ports;
  std::vector<std::unique_ptr<curl_slist, LinesDeleter>> lines;  // By seat.
  std::unique_ptr<CURLM, MultiDeleter> multi;
  std::thread thread;
  std::atomic<bool> stopping{false};
  std::atomic<std::size_t> depth{0};  // Asked and neither answered by all nor dropped, the inbox included.
  std::atomic<std::uint64_t> refused{0};

  // The thread's.
  Panel panel;
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> transfers;
  struct Ended {
    std::size_t seat = 0;
    std::uint64_t batch = 0;
    BatchEnd end;
  };
  std::vector<Ended> ended;  // Without a word of libcurl's.
  std::vector<bool> to_wake;  // By port.
  core::SteadyTime awake_by = core::kNoSteadyTime;  // We meant to wait no longer.
  bool is_well_here = false;
  core::SteadyTime asked_here = core::kNoSteadyTime;
  std::function<bool()> well_here;  // Constant after start.

  struct Asked {
    std::size_t port = 0;
    bool is_drop = false;
    Question question;  // Of a drop only its id.
  };
  mutable std::mutex mutex;
  std::vector<Asked> inbox;               // Guarded by mutex. Questions within limits.questions_max.
  std::vector<VerifierReading> readings;  // Guarded by mutex.
  std::optional<std::vector<std::string>> new_canaries;  // Guarded by mutex.
};

class PanelThread::Parts::Port final : public sideeffects::VerifierPanel {
 public:
  Port(Parts& parts, std::size_t number, std::function<void()> wake)
      : wake_(std::move(wake)), parts_(parts), number_(number) {}

  const std::vector<sideeffects::Seat>& seats() const override { return parts_.seats; }

  Asked ask(Question question) override {
    if (!bound_to_here(*question.subject.options).empty() ||
        !can_be_sent(question.subject.url, *question.subject.options))
      return Asked::Bound;
    {
      const std::lock_guard lock(parts_.mutex);
      if (parts_.inbox.size() >= parts_.limits.questions_max ||
          parts_.depth.load() >= parts_.limits.questions_max) {
        parts_.refused.fetch_add(1);
        return Asked::Full;
      }
      parts_.inbox.push_back({.port = number_, .is_drop = false, .question = std::move(question)});
      parts_.depth.fetch_add(1);
    }
    curl_multi_wakeup(parts_.multi.get());
    return Asked::Taken;
  }

  void drop(std::uint64_t id) override {
    const std::lock_guard lock(parts_.mutex);
    Question gone;
    gone.id = id;
    parts_.inbox.push_back({.port = number_, .is_drop = true, .question = std::move(gone)});
  }

  void take(std::vector<SeatAnswer>& into) override {
    const std::lock_guard lock(mutex_);
    for (SeatAnswer& answer : answers_) into.push_back(std::move(answer));
    answers_.clear();
  }

  void put(SeatAnswer answer) {
    const std::lock_guard lock(mutex_);
    answers_.push_back(std::move(answer));
  }
  void wake() const { wake_(); }

 private:
  const std::function<void()> wake_;
  Parts& parts_;
  const std::size_t number_;
  std::mutex mutex_;
  std::vector<SeatAnswer> answers_;  // Guarded by mutex_. One a question and seat.
};

void PanelThread::Parts::loop() noexcept {
  pthread_setname_np(pthread_self(), "verify");
  to_wake.assign(ports.size(), false);
  while (!stopping.load()) {
    const Panel::Now now = look();
    notice_stall(now.steady);
    int running = 0;
    curl_multi_perform(multi.get(), &running);
    take_ended(now);
    end_late(now);
    take_asked(now);
    panel.turn(now);
    publish();
    for (std::size_t port = 0; port < ports.size(); ++port) {
      if (to_wake[port]) ports[port]->wake();
      to_wake[port] = false;
    }
    wait(clock.steady());
  }
  for (auto& [handle, transfer] : transfers) curl_multi_remove_handle(multi.get(), handle);
  transfers.clear();
}

Panel::Now PanelThread::Parts::look() {
  const core::SteadyTime now = clock.steady();
  if (well_here && now - asked_here >= kAskHereEvery) {
    is_well_here = well_here();
    asked_here = now;
  }
  return {now, clock.wall(), is_well_here};
}

void PanelThread::Parts::take_asked(Panel::Now now) {
  std::vector<Asked> asked;
  {
    const std::lock_guard lock(mutex);
    asked.swap(inbox);
    if (new_canaries) panel.set_canaries(*std::exchange(new_canaries, std::nullopt));
  }
  for (const Asked& one : asked) {
    if (one.is_drop) {
      panel.drop(one.port, one.question.id);
    } else if (!panel.ask(one.port, one.question, now)) {
      refused.fetch_add(1);  // Its time will run out where it was asked.
    }
  }
}

void PanelThread::Parts::take_ended(Panel::Now now) {
  int left = 0;
  while (CURLMsg* const message = curl_multi_info_read(multi.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode code = message->data.result;
    const auto found = transfers.find(message->easy_handle);
    ENSURE(found != transfers.end(), "a transfer ended that was not begun");
    const std::unique_ptr<Transfer> transfer = std::move(found->second);
    transfers.erase(found);
    curl_multi_remove_handle(multi.get(), transfer->handle.get());
    panel.on_end(transfer->seat, transfer->batch, end_of(*transfer, code), now);
  }
}

// It was not the verifiers who said nothing meanwhile.
void PanelThread::Parts::notice_stall(core::SteadyTime now) {
  const core::Duration late = now - awake_by;
  if (awake_by == core::kNoSteadyTime || late < kStall) return;
  panel.stalled(late);
  for (auto& [handle, transfer] : transfers) transfer->until += late;
}

void PanelThread::Parts::end_late(Panel::Now now) {
  for (auto one = transfers.begin(); one != transfers.end();) {
    if (one->second->until > now.steady) {
      ++one;
      continue;
    }
    const std::unique_ptr<Transfer> transfer = std::move(one->second);
    one = transfers.erase(one);
    curl_multi_remove_handle(multi.get(), transfer->handle.get());
    ended.push_back({transfer->seat,
                     transfer->batch,
                     {.how = BatchEnd::How::TimedOut, .problem = "it did not answer in time"}});
  }
  // Told when all are gone: each may send others.
  for (Ended& one : std::exchange(ended, {}))
    panel.on_end(one.seat, one.batch, std::move(one.end), now);
}

void PanelThread::Parts::publish() {
  auto newest = panel.readings();
  const std::lock_guard lock(mutex);
  readings = std::move(newest);
  const auto waiting = std::count_if(inbox.begin(), inbox.end(),
                                     [](const Asked& one) { return !one.is_drop; });
  depth.store(panel.questions() + static_cast<std::size_t>(waiting));
}

void PanelThread::Parts::wait(core::SteadyTime now) {
  core::Duration most = kLongestWait;
  if (const auto next = panel.next()) most = std::clamp<core::Duration>(*next - now, 1ms, most);
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(most);
  awake_by = now + ms;
  curl_multi_poll(multi.get(), nullptr, 0, static_cast<int>(ms.count()), nullptr);
}

void PanelThread::Parts::send(std::size_t seat, std::uint64_t batch, std::string body,
                              core::Duration timeout) {
  auto transfer = std::make_unique<Transfer>();
  transfer->seat = seat;
  transfer->batch = batch;
  transfer->body = std::move(body);
  transfer->until = clock.steady() + timeout;
  transfer->handle.reset(curl_easy_init());
  ENSURE(transfer->handle != nullptr, "libcurl gives no handle");
  if (!set_up(*transfer, timeout + kCurlGrace)) {
    // As it is called from within the panel it is told later.
    ended.push_back({seat,
                     batch,
                     {.how = BatchEnd::How::Failed, .problem = "libcurl does not take its settings"}});
    return;
  }
  CURL* const handle = transfer->handle.get();
  transfers.emplace(handle, std::move(transfer));
  curl_multi_add_handle(multi.get(), handle);
}

bool PanelThread::Parts::set_up(Transfer& transfer, core::Duration timeout) const {
  const VerifierSettings& verifier = verifiers[transfer.seat];
  CURL* const handle = transfer.handle.get();
  const auto set = [handle](CURLoption option, auto value) {
    return curl_easy_setopt(handle, option, value) == CURLE_OK;
  };
  const auto ms = core::duration_cast<std::chrono::milliseconds>(timeout).count();
  const std::string url = endpoint_of(verifier.url);
  const std::string& key = verifier.client_key.empty() ? verifier.client_cert : verifier.client_key;
  return set(CURLOPT_URL, url.c_str()) && set(CURLOPT_PROTOCOLS_STR, "http,https") &&
         set(CURLOPT_NOSIGNAL, 1L) &&
         // A name that is still looked up when its time is over must not hold the thread, on which the answers of all others wait.
         set(CURLOPT_QUICK_EXIT, 1L) && set(CURLOPT_NOPROXY, "*") &&
         set(CURLOPT_TIMEOUT_MS, static_cast<long>(ms)) &&
         set(CURLOPT_CONNECTTIMEOUT_MS, kConnectMs) &&
         set(CURLOPT_USERAGENT, user_agent.c_str()) &&
         set(CURLOPT_HTTPHEADER, lines[transfer.seat].get()) &&
         set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(transfer.body.size())) &&
         set(CURLOPT_POSTFIELDS, transfer.body.c_str()) &&
         set(CURLOPT_WRITEFUNCTION, &watchwheel_verify_take) &&
         set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer)) &&
         (verifier.ca_file.empty() || set(CURLOPT_CAINFO, verifier.ca_file.c_str())) &&
         (verifier.client_cert.empty() ||
          (set(CURLOPT_SSLCERT, verifier.client_cert.c_str()) && set(CURLOPT_SSLKEY, key.c_str())));
}

void PanelThread::Parts::deliver(std::uint64_t asker, SeatAnswer answer) {
  const auto port = static_cast<std::size_t>(asker);
  ports[port]->put(std::move(answer));
  to_wake[port] = true;
}

PanelThread::PanelThread(std::vector<VerifierSettings> verifiers, const PanelLimits& limits,
                         std::string user_agent, Panel::Say say, const core::Clock& clock)
    : parts_(std::make_unique<Parts>(std::move(verifiers), limits, std::move(user_agent),
                                     std::move(say), clock)) {
  for (const VerifierSettings& one : parts_->verifiers) {
    // A secret does not go on a command line nor into a log; libcurl drops it when a redirect leads elsewhere, and follows none.
    curl_slist* list = curl_slist_append(nullptr, "Content-Type: application/json");
    list = curl_slist_append(list, "Expect:");
    if (!one.token.empty())
      list = curl_slist_append(list, ("Authorization: Bearer " + one.token).c_str());
    parts_->lines.emplace_back(list);
  }
  parts_->multi.reset(curl_multi_init());
  ENSURE(parts_->multi != nullptr, "libcurl gives no multi handle");
}

PanelThread::~PanelThread() {
  stop();
}

sideeffects::VerifierPanel& PanelThread::port(std::function<void()> wake) {
  ENSURE(!parts_->thread.joinable(), "a port is made before the thread is started");
  auto& ports = parts_->ports;
  ports.push_back(std::make_unique<Parts::Port>(*parts_, ports.size(), std::move(wake)));
  return *ports.back();
}

core::Result<void> PanelThread::start() {
  parts_->thread = std::thread([parts = parts_.get()] { parts->loop(); });
  return {};
}

void PanelThread::stop() {
  if (!parts_->thread.joinable()) return;
  parts_->stopping.store(true);
  curl_multi_wakeup(parts_->multi.get());
  parts_->thread.join();
}

void PanelThread::set_canaries(std::vector<std::string> urls) {
  const std::lock_guard lock(parts_->mutex);
  parts_->new_canaries = std::move(urls);
}

void PanelThread::set_well_here(std::function<bool()> well_here) {
  ENSURE(!parts_->thread.joinable(), "what is well here is asked from the start on");
  parts_->well_here = std::move(well_here);
}

std::size_t PanelThread::seats() const {
  return parts_->verifiers.size();
}
const VerifierStats& PanelThread::stats(std::size_t seat) const {
  return parts_->panel.stats(seat);
}
std::vector<VerifierReading> PanelThread::readings() const {
  const std::lock_guard lock(parts_->mutex);
  return parts_->readings;
}
std::size_t PanelThread::depth() const {
  return parts_->depth.load();
}
std::size_t PanelThread::capacity() const {
  return parts_->limits.questions_max;
}
std::uint64_t PanelThread::refused() const {
  return parts_->refused.load();
}

}  // namespace watchwheel::verify
