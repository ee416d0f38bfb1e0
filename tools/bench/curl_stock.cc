// SPDX-License-Identifier: Apache-2.0
// watchwheel-bench-curl: libcurl as a careful user would drive it, without anything of ours: small multi handles on one epoll
// descriptor (one big one is quadratic in what is in flight), pooled easy handles, the address by CONNECT_TO, one trust store
// for all, no session cache. What the engine's checker is measured against where the floor is not a fair measure.
#include <curl/curl.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/load.h"

namespace {

using watchwheel::bench::dotted;
using watchwheel::bench::Load;
using watchwheel::bench::now_s;
using watchwheel::bench::Progress;

constexpr std::size_t kEventsMax = 512;
constexpr std::size_t kTransfersPerMulti = 200;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "watchwheel-bench-curl: %s\n", what);
  std::exit(3);
}

struct Multi {
  CURLM* handle = nullptr;
  std::size_t index = 0;
  std::size_t transfers = 0;
  std::optional<double> due;
  class Client* client = nullptr;
};

struct Row {
  CURL* easy = nullptr;
  curl_slist* connect_to = nullptr;
  Multi* multi = nullptr;
};

class Client {
 public:
  explicit Client(const Load& load) : load_(load), progress_(load), rows_(load.in_flight) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) fail("libcurl cannot be initialised");
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) fail("epoll_create1");
    for (std::uint32_t i = load.in_flight; i > 0; --i) free_.push_back(i - 1);
    headers_ = curl_slist_append(nullptr, "Connection: close");
    if (!load.https) return;
    store_ = X509_STORE_new();
    if (X509_STORE_load_file(store_, load.ca_file.c_str()) != 1)
      fail("the CA file cannot be read");
  }
  ~Client() {
    for (const Row& row : rows_) {
      if (row.multi != nullptr) curl_multi_remove_handle(row.multi->handle, row.easy);
      curl_easy_cleanup(row.easy);
      curl_slist_free_all(row.connect_to);
    }
    for (const auto& multi : multis_) curl_multi_cleanup(multi->handle);
    curl_slist_free_all(headers_);
    X509_STORE_free(store_);
    ::close(epoll_);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  int run() {
    std::array<epoll_event, kEventsMax> events{};
    while (!progress_.done()) {
      const double now = now_s();
      if (progress_.overdue(now)) break;
      for (std::uint64_t n = progress_.may_start(in_flight(), now); n > 0; --n) start();
      const int count = ::epoll_wait(epoll_, events.data(), kEventsMax, wait_ms(now));
      if (count < 0 && errno != EINTR) fail("epoll_wait");
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        const int fd = static_cast<int>(event.data.u64 & 0xffff'ffffU);
        const int what = ((event.events & EPOLLIN) != 0 ? CURL_CSELECT_IN : 0) |
                         ((event.events & EPOLLOUT) != 0 ? CURL_CSELECT_OUT : 0) |
                         ((event.events & (EPOLLERR | EPOLLHUP)) != 0 ? CURL_CSELECT_ERR : 0);
        act(*multis_[event.data.u64 >> 32U], fd, what);
      }
      const double later = now_s();
      for (const auto& multi : multis_) {
        if (!multi->due || *multi->due > later) continue;
        multi->due.reset();
        act(*multi, CURL_SOCKET_TIMEOUT, 0);
      }
    }
    return progress_.report();
  }

 private:
  [[nodiscard]] std::uint64_t in_flight() const { return rows_.size() - free_.size(); }

  [[nodiscard]] int wait_ms(double now) const {
    double wait = 1;
    const double next = progress_.next_start(in_flight());
    if (next > 0) wait = std::min(wait, next - now);
    for (const auto& multi : multis_) {
      if (multi->due) wait = std::min(wait, *multi->due - now);
    }
    return wait <= 0 ? 0 : static_cast<int>(wait * 1e3) + 1;
  }

  Multi& roomy_multi() {
    for (const auto& multi : multis_) {
      if (multi->transfers < kTransfersPerMulti) return *multi;
    }
    auto made = std::make_unique<Multi>();
    made->handle = curl_multi_init();
    if (made->handle == nullptr) fail("no memory for a multi handle");
    made->index = multis_.size();
    made->client = this;
    curl_multi_setopt(made->handle, CURLMOPT_SOCKETFUNCTION, &Client::on_socket);
    curl_multi_setopt(made->handle, CURLMOPT_SOCKETDATA, static_cast<void*>(made.get()));
    curl_multi_setopt(made->handle, CURLMOPT_TIMERFUNCTION, &Client::on_timer);
    curl_multi_setopt(made->handle, CURLMOPT_TIMERDATA, static_cast<void*>(made.get()));
    multis_.push_back(std::move(made));
    return *multis_.back();
  }

  static int on_socket(CURL*, curl_socket_t fd, int what, void* place, void* known) {
    auto* multi = static_cast<Multi*>(place);
    if (what == CURL_POLL_REMOVE) {
      ::epoll_ctl(multi->client->epoll_, EPOLL_CTL_DEL, fd, nullptr);
      return 0;
    }
    epoll_event event{};
    event.events = ((what & CURL_POLL_IN) != 0 ? EPOLLIN : 0U) |
                   ((what & CURL_POLL_OUT) != 0 ? EPOLLOUT : 0U);
    event.data.u64 = (static_cast<std::uint64_t>(multi->index) << 32U) |
                     static_cast<std::uint32_t>(fd);
    const int operation = known == nullptr ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    if (::epoll_ctl(multi->client->epoll_, operation, fd, &event) != 0 && errno == EEXIST)
      ::epoll_ctl(multi->client->epoll_, EPOLL_CTL_MOD, fd, &event);
    curl_multi_assign(multi->handle, fd, static_cast<void*>(multi));
    return 0;
  }

  static int on_timer(CURLM*, long timeout_ms, void* place) {
    auto* multi = static_cast<Multi*>(place);
    if (timeout_ms < 0) {
      multi->due.reset();
    } else {
      multi->due = now_s() + static_cast<double>(timeout_ms) / 1e3;
    }
    return 0;
  }

  static std::size_t on_body(char*, std::size_t size, std::size_t count, void*) {
    return size * count;
  }

  static CURLcode on_context(CURL*, void* context, void* self) {
    SSL_CTX_set1_cert_store(static_cast<SSL_CTX*>(context), static_cast<Client*>(self)->store_);
    return CURLE_OK;
  }

  [[nodiscard]] CURL* make_easy() {
    CURL* easy = curl_easy_init();
    if (easy == nullptr) fail("no memory for an easy handle");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 60'000L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 60'000L);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "watchwheel-bench");
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &Client::on_body);
    if (!load_.https) return easy;
    curl_easy_setopt(easy, CURLOPT_CAINFO, static_cast<char*>(nullptr));
    curl_easy_setopt(easy, CURLOPT_CAPATH, static_cast<char*>(nullptr));
    curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, &Client::on_context);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, static_cast<void*>(this));
    return easy;
  }

  void start() {
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Row& row = rows_[index];
    if (row.easy == nullptr) row.easy = make_easy();
    const std::uint32_t site = load_.site_of(progress_.started());
    const std::string to = "::" + dotted(load_.address(site)) + ":" + std::to_string(load_.port);
    curl_slist_free_all(row.connect_to);
    row.connect_to = curl_slist_append(nullptr, to.c_str());
    curl_easy_setopt(row.easy, CURLOPT_CONNECT_TO, row.connect_to);
    curl_easy_setopt(row.easy, CURLOPT_URL, load_.url(site).c_str());
    curl_easy_setopt(row.easy, CURLOPT_PRIVATE, static_cast<void*>(&row));
    row.multi = &roomy_multi();
    ++row.multi->transfers;
    progress_.on_start();
    if (curl_multi_add_handle(row.multi->handle, row.easy) != CURLM_OK) fail("add_handle");
  }

  void act(Multi& multi, curl_socket_t fd, int what) {
    int running = 0;
    curl_multi_socket_action(multi.handle, fd, what, &running);
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi.handle, &left)) {
      if (message->msg == CURLMSG_DONE) finish(message->easy_handle, message->data.result);
    }
  }

  void finish(CURL* easy, CURLcode code) {
    void* place = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &place);
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    auto* row = static_cast<Row*>(place);
    curl_multi_remove_handle(row->multi->handle, easy);
    --row->multi->transfers;
    row->multi = nullptr;
    free_.push_back(static_cast<std::uint32_t>(row - rows_.data()));
    progress_.on_result(code == CURLE_OK && status == 200);
  }

  const Load load_;
  Progress progress_;
  int epoll_ = -1;
  curl_slist* headers_ = nullptr;
  X509_STORE* store_ = nullptr;
  std::vector<Row> rows_;
  std::vector<std::uint32_t> free_;
  std::vector<std::unique_ptr<Multi>> multis_;
};

}  // namespace

int main(int argc, char** argv) {
  const Load load = watchwheel::bench::read_load("watchwheel-bench-curl", argc, argv);
  return Client(load).run();
}
