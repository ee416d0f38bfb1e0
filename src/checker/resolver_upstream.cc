// SPDX-License-Identifier: Apache-2.0
#include "checker/resolver_upstream.h"

#include <ares.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <unordered_map>
#include <vector>

#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

constexpr int kForgetAfterMs = 5000;
constexpr core::Duration kSweepEvery = std::chrono::milliseconds{500};
constexpr core::Duration kLifeSignEvery = std::chrono::seconds{1};
constexpr int kReceiveBufferBytes = 4 << 20;  // The kernel gives what net.core.rmem_max allows.
constexpr int kClassInternet = 1;

class AresUpstream;

// One c-ares channel. Pinned in memory: c-ares holds its address.
struct Channel {
  AresUpstream* upstream = nullptr;
  ares_channel ares = nullptr;
  std::size_t fresh = 0;
  std::size_t outstanding = 0;
  int last_error = 0;  // Of its sockets, newest.
};

struct Query {
  AresUpstream* upstream = nullptr;
  Channel* channel = nullptr;
  Upstream::QueryId id = 0;
  std::uint64_t tag = 0;
  bool fresh = false;
  bool counts = true;   // Not a sign of life: somebody waits for the answer.
  bool in_send = true;  // Not to be handed on yet.
  bool ended_in_send = false;
};

class AresUpstream final : public Upstream, private IoHandler, private TimerHandler {
 public:
  AresUpstream(const Endpoint& server, std::uint32_t number, Reactor& reactor,
               AnswerHandler& handler)
      : server_(server), number_(number), reactor_(reactor), handler_(handler) {}

  ~AresUpstream() override {
    closing_ = true;
    reactor_.disarm(sweep_);
    for (const auto& channel : channels_) ares_destroy(channel->ares);
  }

  [[nodiscard]] const Endpoint& endpoint() const override { return server_; }
  [[nodiscard]] core::SteadyTime heard() const override { return heard_; }

  Sent send(const std::string& name, DnsType type, std::uint64_t tag,
            core::SteadyTime now) override {
    now_ = now;
    Channel* channel = roomiest();
    if (channel == nullptr) return make_failed_ ? Sent{0, ENOMEM} : Sent{};
    return ask(*channel, name, type, tag, true);
  }

  void set_aside(QueryId query) override {
    const auto found = queries_.find(query);
    if (found != queries_.end()) no_longer_fresh(*found->second);
  }

  void ask_for_life(core::SteadyTime now) override {
    now_ = now;
    if (life_asked_ != core::kNoSteadyTime && now - life_asked_ < kLifeSignEvery) return;
    if (channels_.empty()) return;  // Nothing was asked, so nothing is silent.
    life_asked_ = now;
    ask(*channels_.front(), ".", DnsType::Ns, 0, false);
  }

 private:
  // ---- channels

  // The one with the most room; a new one when all are full; null when there can be no more.
  Channel* roomiest() {
    Channel* best = nullptr;
    for (const auto& channel : channels_) {
      if (channel->fresh >= kFreshMax || channel->outstanding >= kOutstandingMax) continue;
      if (best == nullptr || channel->fresh < best->fresh) best = channel.get();
    }
    if (best != nullptr || channels_.size() == kChannelsMax) return best;
    return add_channel();
  }

  Channel* add_channel() {
    auto channel = std::make_unique<Channel>();
    channel->upstream = this;
    ares_options options{};
    std::array<char, 2> lookups{'b', '\0'};
    std::array<char, 10> no_file{"/dev/null"};
    options.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
    options.timeout = kForgetAfterMs;
    options.tries = 1;
    options.lookups = lookups.data();
    options.resolvconf_path = no_file.data();  // The machine's own file has no say here.
    options.sock_state_cb = &AresUpstream::on_interest;
    options.sock_state_cb_data = channel.get();
    const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                     ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB;
    make_failed_ = ares_init_options(&channel->ares, &options, mask) != ARES_SUCCESS;
    if (make_failed_) return nullptr;
    ares_set_socket_functions(channel->ares, &kSocketFunctions, channel.get());
    make_failed_ = !set_server(channel->ares);
    if (make_failed_) {
      ares_destroy(channel->ares);
      return nullptr;
    }
    channels_.push_back(std::move(channel));
    return channels_.back().get();
  }

  bool set_server(ares_channel ares) const {
    ares_addr_port_node node{};
    node.family = server_.ip.v6 ? AF_INET6 : AF_INET;
    node.udp_port = node.tcp_port = server_.port;
    void* into =
        server_.ip.v6 ? static_cast<void*>(&node.addr.addr6) : static_cast<void*>(&node.addr.addr4);
    std::copy_n(server_.ip.bytes.begin(), server_.ip.v6 ? 16 : 4, static_cast<std::uint8_t*>(into));
    return ares_set_servers_ports(ares, &node) == ARES_SUCCESS;
  }

  // ---- queries

  Sent ask(Channel& channel, const std::string& name, DnsType type, std::uint64_t tag,
           bool counts) {
    auto owned = std::make_unique<Query>();
    Query& query = *owned;
    query.upstream = this;
    query.channel = &channel;
    query.id = ++last_query_;
    query.tag = tag;
    query.fresh = query.counts = counts;
    channel.fresh += counts ? 1 : 0;
    ++channel.outstanding;
    channel.last_error = 0;
    queries_.emplace(query.id, std::move(owned));
    ares_query(channel.ares, name.c_str(), kClassInternet, static_cast<int>(type),
               &AresUpstream::on_ares, &query);
    if (query.ended_in_send) {
      const int error = channel.last_error != 0 ? channel.last_error : ECONNREFUSED;
      end(query);
      return {0, error};
    }
    query.in_send = false;
    if (sweep_ == 0) sweep_ = reactor_.arm(now_ + kSweepEvery, *this, 0);
    return {query.id, 0};
  }

  static void no_longer_fresh(Query& query) {
    if (!query.fresh) return;
    query.fresh = false;
    --query.channel->fresh;
  }

  void end(Query& query) {
    no_longer_fresh(query);
    --query.channel->outstanding;
    queries_.erase(query.id);
  }

  // ---- called by c-ares

  static void on_ares(void* arg, int status, int, unsigned char* message, int length) noexcept {
    Query& query = *static_cast<Query*>(arg);
    if (query.in_send) {
      query.ended_in_send = true;
      return;
    }
    query.upstream->on_end(query, status, message, length);
  }

  void on_end(Query& query, int status, const unsigned char* message, int length) {
    const Query ended = query;
    end(query);
    if (closing_ || !ended.counts) return;
    if (message != nullptr && length > 0) {
      handler_.on_answer(ended.tag, number_, {message, static_cast<std::size_t>(length)}, 0, now_);
    } else if (status != ARES_ETIMEOUT) {
      const int error = ended.channel->last_error != 0 ? ended.channel->last_error : ECONNREFUSED;
      handler_.on_answer(ended.tag, number_, {}, error, now_);
    }
  }

  static void on_interest(void* data, ares_socket_t fd, int readable, int writable) noexcept {
    Channel& channel = *static_cast<Channel*>(data);
    AresUpstream& self = *channel.upstream;
    if (readable == 0 && writable == 0) {
      self.reactor_.forget(fd);  // c-ares closes it next.
      return;
    }
    const std::uint32_t events = (readable != 0 ? std::uint32_t{EPOLLIN} : 0U) |
                                 (writable != 0 ? std::uint32_t{EPOLLOUT} : 0U);
    const auto number = std::find_if(self.channels_.begin(), self.channels_.end(),
                                     [&channel](const auto& c) { return c.get() == &channel; }) -
                        self.channels_.begin();
    // Refused by the kernel: then nothing is heard, and the resolver calls that our trouble.
    const auto watched = self.reactor_.watch(fd, events, self, static_cast<std::uint64_t>(number));
    if (!watched) channel.last_error = ENOBUFS;
  }

  static Channel& channel_of(void* data) { return *static_cast<Channel*>(data); }

  static ares_socket_t open_socket(int family, int type, int protocol, void* data) noexcept {
    const int fd = ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0) {
      channel_of(data).last_error = errno;
    } else if (type == SOCK_DGRAM) {
      ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &kReceiveBufferBytes, sizeof kReceiveBufferBytes);
    }
    return fd;
  }

  static int close_socket(ares_socket_t fd, void*) noexcept { return ::close(fd); }

  static int connect_socket(ares_socket_t fd, const sockaddr* address, ares_socklen_t length,
                            void* data) noexcept {
    const int result = ::connect(fd, address, length);
    if (result != 0 && errno != EINPROGRESS) channel_of(data).last_error = errno;
    return result;
  }

  static ares_ssize_t receive(ares_socket_t fd, void* into, std::size_t size, int flags,
                              sockaddr* from, ares_socklen_t* from_length, void* data) noexcept {
    const ssize_t got = ::recvfrom(fd, into, size, flags, from, from_length);
    Channel& channel = channel_of(data);
    if (got > 0) {
      channel.upstream->heard_ = channel.upstream->now_;
    } else if (got < 0 && errno != EAGAIN && errno != EINTR) {
      channel.last_error = errno;
    }
    return got;
  }

  static ares_ssize_t send_parts(ares_socket_t fd, const iovec* parts, int count,
                                 void* data) noexcept {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = static_cast<std::size_t>(count);
    const ssize_t sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) channel_of(data).last_error = errno;
    return sent;
  }

  static constexpr ares_socket_functions kSocketFunctions{&open_socket, &close_socket,
                                                          &connect_socket, &receive, &send_parts};

  // ---- called by the reactor

  void on_io(int fd, std::uint32_t events, std::uint64_t tag,
             core::SteadyTime now) noexcept override {
    now_ = now;
    constexpr std::uint32_t kTrouble = EPOLLERR | EPOLLHUP;
    const bool readable = (events & (EPOLLIN | kTrouble)) != 0;
    const bool writable = (events & (EPOLLOUT | kTrouble)) != 0;
    ares_process_fd(channels_[tag]->ares, readable ? fd : ARES_SOCKET_BAD,
                    writable ? fd : ARES_SOCKET_BAD);
  }

  // Lets c-ares forget what nobody answered.
  void on_timer(std::uint64_t, core::SteadyTime now) noexcept override {
    now_ = now;
    sweep_ = 0;
    for (const auto& channel : channels_) {
      if (channel->outstanding > 0)
        ares_process_fd(channel->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    if (!queries_.empty()) sweep_ = reactor_.arm(now + kSweepEvery, *this, 0);
  }

  Endpoint server_;
  std::uint32_t number_;
  Reactor& reactor_;
  AnswerHandler& handler_;
  std::vector<std::unique_ptr<Channel>> channels_;
  std::unordered_map<QueryId, std::unique_ptr<Query>> queries_;
  QueryId last_query_ = 0;
  TimerId sweep_ = 0;
  core::SteadyTime now_ = core::kNoSteadyTime;  // Of the call that is under way.
  core::SteadyTime heard_ = core::kNoSteadyTime;
  core::SteadyTime life_asked_ = core::kNoSteadyTime;
  bool make_failed_ = false;
  bool closing_ = false;
};

}  // namespace

std::unique_ptr<Upstream> Upstream::make(const Endpoint& server, std::uint32_t number,
                                         Reactor& reactor, AnswerHandler& handler) {
  return std::make_unique<AresUpstream>(server, number, reactor, handler);
}

}  // namespace watchwheel::checker
