// SPDX-License-Identifier: Apache-2.0
#include "checker/exchange.h"

#include <curl/curl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "checker/transfer.h"
#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

using core::SteadyTime;

constexpr std::size_t kTlsFactsMax = 1024;

class CurlExchange;

// One of the many small multi handles.
struct Multi {
  CurlExchange* owner = nullptr;
  std::size_t index = 0;
  CURLM* handle = nullptr;
  std::size_t transfers = 0;
  std::optional<SteadyTime>
      deadline;  // When libcurl wants to be run. It told us by its timer callback.
};

struct Row {
  std::unique_ptr<Transfer> transfer;  // Kept for the next check once made.
  ExchangeHandler* handler = nullptr;  // Null: the row is free.
  std::uint64_t tag = 0;
  std::uint32_t generation = 0;
  Multi* multi = nullptr;  // Null: it could not be begun.
};

class CurlExchange final : public Exchange, private IoHandler, private TransferHost {
 public:
  CurlExchange(std::size_t transfers_max, Reactor& reactor, const core::Clock& clock,
               BodyMeans& bodies, bool exact)
      : reactor_(reactor),
        clock_(clock),
        bodies_(bodies),
        exact_(exact),
        facts_(kTlsFactsMax),
        rows_(transfers_max),
        now_(clock.steady()) {
    // libcurl's own initialisation is thread-safe; it is done here so that it is not done under the first check.
    static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    ENSURE(ready, "libcurl cannot be initialised");
    free_.reserve(transfers_max);
    for (std::size_t i = transfers_max; i > 0; --i)
      free_.push_back(static_cast<std::uint32_t>(i - 1));
    // libcurl must believe that it connects somewhere, and an address needs no look-up. The transfer puts the real one in its place.
    connect_to_.reset(curl_slist_append(nullptr, "::192.0.2.1:"));
    ENSURE(connect_to_ != nullptr, "no memory at start");
  }
  ~CurlExchange() override;

  ExchangeId begin(const ExchangeRequest& request, ExchangeHandler& handler, std::uint64_t tag,
                   SteadyTime now) override;
  bool came(ExchangeId exchange) override;
  ExchangeResult expire(ExchangeId exchange, core::Duration allowed, SteadyTime now) override;
  void cancel(ExchangeId exchange, SteadyTime now) override;
  void turn(SteadyTime now) override;
  [[nodiscard]] std::optional<SteadyTime> next_deadline() const override;

 private:
  // TransferHost
  [[nodiscard]] SteadyTime now() const noexcept override {
    return exact_ ? clock_.steady() : now_;
  }
  [[nodiscard]] core::WallTime wall() const override { return clock_.wall(); }
  [[nodiscard]] TlsFactsCache& facts() noexcept override { return facts_; }
  void close_socket(int fd) noexcept override;
  [[nodiscard]] BodyMeans& bodies() noexcept override { return bodies_; }
  // IoHandler
  void on_io(int fd, std::uint32_t events, std::uint64_t tag, SteadyTime now) noexcept override;

  static int on_socket(CURL* easy, curl_socket_t fd, int what, void* multi, void* unused) noexcept;
  static int on_timer(CURLM* handle, long timeout_ms, void* multi) noexcept;

  [[nodiscard]] Multi* roomy_multi();
  void follow_socket(Multi& multi, CURL* easy, int fd, int what);
  void run(Multi& multi, int fd, int what);
  void take_done(Multi& multi);
  void flush_unwatch();
  void deliver(std::uint32_t index, ExchangeResult&& result);
  void release(std::uint32_t index);
  void break_off(std::uint32_t index);
  [[nodiscard]] std::uint32_t index_of(ExchangeId exchange) const;
  [[nodiscard]] ExchangeId id_of(std::uint32_t index) const {
    return (static_cast<ExchangeId>(rows_[index].generation) << 32U) | (index + 1);
  }

  Reactor& reactor_;
  const core::Clock& clock_;
  BodyMeans& bodies_;
  bool exact_;
  TlsFactsCache facts_;
  HeaderList connect_to_;
  std::vector<Row> rows_;
  std::vector<std::uint32_t> free_;  // Last out, first in: the warm ones.
  std::vector<std::unique_ptr<Multi>> multis_;
  std::vector<ExchangeId> broken_;  // Ended by a failure of ours, not yet told.
  SteadyTime now_;
  int unwatch_ =
      -1;  // libcurl lost interest in it; when it is closed at once, the kernel forgets it by itself.
};

CurlExchange::~CurlExchange() {
  for (std::uint32_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].handler != nullptr) release(i);
  }
  rows_.clear();
  for (const auto& multi : multis_) curl_multi_cleanup(multi->handle);
}

// ---- beginning and ending ----

ExchangeId CurlExchange::begin(const ExchangeRequest& request, ExchangeHandler& handler,
                               std::uint64_t tag, SteadyTime now) {
  ENSURE(!free_.empty(), "more exchanges than the table has rows");
  now_ = now;
  const std::uint32_t index = free_.back();
  free_.pop_back();
  Row& row = rows_[index];
  row.handler = &handler;
  row.tag = tag;
  row.generation = (row.generation + 1) & kExchangeUsesMask;
  TransferHost& host = *this;
  if (!row.transfer) row.transfer = std::make_unique<Transfer>(host, connect_to_.get());
  void* place = &row;
  Multi* multi = row.transfer->prepare(request, handler, tag) ? roomy_multi() : nullptr;
  if (multi == nullptr ||
      curl_easy_setopt(row.transfer->easy(), CURLOPT_PRIVATE, place) != CURLE_OK ||
      curl_multi_add_handle(multi->handle, row.transfer->easy()) != CURLM_OK) {
    break_off(index);
    return id_of(index);
  }
  row.multi = multi;
  ++multi->transfers;
  return id_of(index);
}

bool CurlExchange::came(ExchangeId exchange) {
  const Row& row = rows_[index_of(exchange)];
  return row.multi != nullptr && row.transfer->came();
}

ExchangeResult CurlExchange::expire(ExchangeId exchange, core::Duration allowed, SteadyTime now) {
  now_ = now;
  const std::uint32_t index = index_of(exchange);
  ExchangeResult result;
  if (rows_[index].multi == nullptr) {
    result.cause = core::Cause::LocalResources;
    result.detail = "no memory for the transfer";
  } else {
    result = rows_[index].transfer->finish_expired(allowed);
  }
  release(index);
  return result;
}

void CurlExchange::cancel(ExchangeId exchange, SteadyTime now) {
  now_ = now;
  release(index_of(exchange));
}

std::uint32_t CurlExchange::index_of(ExchangeId exchange) const {
  const auto index = static_cast<std::uint32_t>(exchange & 0xffff'ffffU) - 1;
  ENSURE(index < rows_.size() && rows_[index].handler != nullptr && id_of(index) == exchange,
         "an exchange that has ended");
  return index;
}

void CurlExchange::release(std::uint32_t index) {
  Row& row = rows_[index];
  if (row.multi != nullptr) {
    curl_multi_remove_handle(row.multi->handle, row.transfer->easy());
    flush_unwatch();
    --row.multi->transfers;
    row.multi = nullptr;
  }
  if (row.transfer) row.transfer->reset();
  row.handler = nullptr;
  free_.push_back(index);
}

void CurlExchange::break_off(std::uint32_t index) {
  broken_.push_back(id_of(index));
}

void CurlExchange::deliver(std::uint32_t index, ExchangeResult&& result) {
  ExchangeHandler* handler = rows_[index].handler;
  const std::uint64_t tag = rows_[index].tag;
  release(index);
  handler->on_exchanged(tag, std::move(result), now());
}

Multi* CurlExchange::roomy_multi() {
  for (const auto& multi : multis_) {
    if (multi->transfers < kTransfersPerMulti) return multi.get();
  }
  auto made = std::make_unique<Multi>();
  made->handle = curl_multi_init();
  if (made->handle == nullptr) return nullptr;
  made->owner = this;
  made->index = multis_.size();
  void* place = made.get();
  curl_multi_setopt(made->handle, CURLMOPT_SOCKETFUNCTION, &CurlExchange::on_socket);
  curl_multi_setopt(made->handle, CURLMOPT_SOCKETDATA, place);
  curl_multi_setopt(made->handle, CURLMOPT_TIMERFUNCTION, &CurlExchange::on_timer);
  curl_multi_setopt(made->handle, CURLMOPT_TIMERDATA, place);
  curl_multi_setopt(made->handle, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  multis_.push_back(std::move(made));
  return multis_.back().get();
}

// ---- libcurl's sockets and timers ----

int CurlExchange::on_socket(CURL* easy, curl_socket_t fd, int what, void* multi,
                            void* /*unused*/) noexcept {
  auto* place = static_cast<Multi*>(multi);
  place->owner->follow_socket(*place, easy, fd, what);
  return 0;  // Anything else would end every transfer of this multi handle.
}

int CurlExchange::on_timer(CURLM* /*handle*/, long timeout_ms, void* multi) noexcept {
  auto* place = static_cast<Multi*>(multi);
  if (timeout_ms < 0) {
    place->deadline.reset();
  } else {
    place->deadline = place->owner->now_ + std::chrono::milliseconds{timeout_ms};
  }
  return 0;
}

void CurlExchange::follow_socket(Multi& multi, CURL* easy, int fd, int what) {
  if (unwatch_ != -1 && unwatch_ != fd) flush_unwatch();
  if (what == CURL_POLL_REMOVE || what == CURL_POLL_NONE) {
    unwatch_ = fd;
    return;
  }
  unwatch_ = -1;
  const std::uint32_t events =
      ((what & CURL_POLL_IN) != 0 ? static_cast<std::uint32_t>(EPOLLIN) : 0U) |
      ((what & CURL_POLL_OUT) != 0 ? static_cast<std::uint32_t>(EPOLLOUT) : 0U);
  if (reactor_.watch(fd, events, *this, multi.index)) return;
  void* row = nullptr;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, &row);
  break_off(static_cast<std::uint32_t>(static_cast<Row*>(row) - rows_.data()));
}

void CurlExchange::flush_unwatch() {
  if (unwatch_ != -1) reactor_.unwatch(unwatch_);
  unwatch_ = -1;
}

void CurlExchange::close_socket(int fd) noexcept {
  if (unwatch_ == fd) unwatch_ = -1;
  reactor_.forget(fd);
  ::close(fd);
}

void CurlExchange::on_io(int fd, std::uint32_t events, std::uint64_t tag, SteadyTime now) noexcept {
  now_ = now;
  int what = 0;
  // Never CURL_CSELECT_ERR: libcurl then gives up without asking the socket what happened, and a reset looks like any error.
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0) what |= CURL_CSELECT_IN;
  if ((events & (EPOLLOUT | EPOLLERR)) != 0) what |= CURL_CSELECT_OUT;
  run(*multis_[tag], fd, what);
}

void CurlExchange::run(Multi& multi, int fd, int what) {
  int running = 0;
  curl_multi_socket_action(multi.handle, fd, what, &running);
  flush_unwatch();
  take_done(multi);
}

void CurlExchange::take_done(Multi& multi) {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi.handle, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    void* place = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &place);
    auto* row = static_cast<Row*>(place);
    ExchangeResult result = row->transfer->finish(message->data.result);
    deliver(static_cast<std::uint32_t>(row - rows_.data()), std::move(result));
  }
}

void CurlExchange::turn(SteadyTime now) {
  now_ = now;
  // Handlers may begin exchanges, which may add a multi handle: no iterators here.
  for (std::size_t i = 0; i < multis_.size(); ++i) {
    Multi& multi = *multis_[i];
    if (!multi.deadline || *multi.deadline > now) continue;
    multi.deadline.reset();
    run(multi, CURL_SOCKET_TIMEOUT, 0);
  }
  std::vector<ExchangeId> broken;
  broken.swap(broken_);
  for (const ExchangeId exchange : broken) {
    const auto index = static_cast<std::uint32_t>(exchange & 0xffff'ffffU) - 1;
    if (rows_[index].handler == nullptr || id_of(index) != exchange) continue;  // Ended meanwhile.
    ExchangeResult result;
    result.cause = core::Cause::LocalResources;
    result.phase = core::Phase::Request;
    result.detail = "no memory or no watch for the transfer";
    deliver(index, std::move(result));
  }
}

std::optional<SteadyTime> CurlExchange::next_deadline() const {
  if (!broken_.empty()) return now_;
  std::optional<SteadyTime> next;
  for (const auto& multi : multis_) {
    if (multi->deadline && (!next || *multi->deadline < *next)) next = multi->deadline;
  }
  return next;
}

}  // namespace

std::unique_ptr<Exchange> Exchange::make(std::size_t transfers_max, Reactor& reactor,
                                         const core::Clock& clock, BodyMeans& bodies,
                                         bool exact) {
  return std::make_unique<CurlExchange>(transfers_max, reactor, clock, bodies, exact);
}

}  // namespace watchwheel::checker
