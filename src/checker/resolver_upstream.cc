// SPDX-License-Identifier: Apache-2.0
#include "checker/resolver_upstream.h"

#include <ares.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <unordered_map>
#include <vector>

#include "checker/resolver_answer.h"
#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

constexpr int kForgetAfterMs = 5000;
constexpr core::Duration kSweepEvery = std::chrono::milliseconds{500};
constexpr core::Duration kLifeSignEvery = std::chrono::seconds{1};
constexpr int kReceiveBufferBytes = 4 << 20;  // The kernel gives what net.core.rmem_max allows.
constexpr int kClassInternet = 1;
constexpr std::size_t kEdnsBytes = 1232;
constexpr std::size_t kPlainBytes = 512;  // That an answer may have without EDNS.
constexpr unsigned kFormerr = 1;
constexpr unsigned kNotimp = 4;

// Query ids nobody can foretell; some hundred for one system call.
class RandomIds {
 public:
  std::uint16_t next() {
    if (at_ == ids_.size()) {
      const auto got = ::getrandom(ids_.data(), sizeof ids_, 0);
      ENSURE(got == sizeof ids_, "the kernel gives no random bytes");
      at_ = 0;
    }
    return ids_[at_++];
  }

 private:
  std::array<std::uint16_t, 128> ids_{};  // 256 bytes: getrandom gives that many whole.
  std::size_t at_ = ids_.size();
};

class AresUpstream;

// One c-ares channel. Pinned in memory: c-ares holds its address.
struct Channel {
  AresUpstream* upstream = nullptr;
  ares_channel ares = nullptr;
  std::uint64_t number = 0;
  bool tcp = false;
  bool worn = false;  // Has asked enough: only finishes.
  bool cuts =
      false;  // c-ares hands over no more than 512 bytes of an answer: see look_at_header().
  std::size_t asked = 0;
  std::size_t fresh = 0;
  std::size_t outstanding = 0;
  int last_error = 0;  // Of its sockets, newest.
};

struct Query {
  AresUpstream* upstream = nullptr;
  Channel* channel = nullptr;
  Upstream::QueryId id = 0;
  std::uint64_t tag = 0;
  std::string name;
  DnsType type = DnsType::A;
  bool edns = false;
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
  [[nodiscard]] core::SteadyTime served() const override { return served_; }
  [[nodiscard]] bool is_asked_for_life() const override { return life_open_ > 0; }

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

  [[nodiscard]] bool over_tcp(QueryId query) const override {
    const auto found = queries_.find(query);
    return found != queries_.end() && found->second->channel->tcp;
  }

  void ask_for_life(core::SteadyTime now) override {
    if (!life_asked_lately(now)) ask_life(now);
  }

  void ask_for_service(core::SteadyTime now) override {
    // One that was asked long ago and is silent may have been lost.
    if (life_open_ == 0 || !life_asked_lately(now)) ask_life(now);
  }

 private:
  // ---- signs of life

  [[nodiscard]] bool life_asked_lately(core::SteadyTime now) const {
    return life_asked_ != core::kNoSteadyTime && now - life_asked_ < kLifeSignEvery;
  }

  void ask_life(core::SteadyTime now) {
    now_ = now;
    if (channels_.empty()) return;  // Nothing was asked, so nothing is silent.
    Channel* channel = roomiest();
    if (channel == nullptr) channel = udp_channel_in_use();
    if (channel == nullptr) return;
    life_asked_ = now;
    if (ask(*channel, ".", DnsType::Ns, 0, false).query != 0) ++life_open_;
  }

  // ---- channels

  static bool takes_udp(const Channel& channel) { return !channel.tcp && !channel.worn; }

  // The one with the most room; a new one when all are full; null when there can be no more.
  Channel* roomiest() {
    Channel* best = nullptr;
    std::size_t in_use = 0;
    for (const auto& channel : channels_) {
      if (!takes_udp(*channel)) continue;
      ++in_use;
      if (channel->fresh >= kFreshMax || channel->outstanding >= kOutstandingMax) continue;
      if (best == nullptr || channel->fresh < best->fresh) best = channel.get();
    }
    if (best != nullptr || in_use == kChannelsMax) return best;
    return add_channel(false);
  }

  Channel* udp_channel_in_use() {
    const auto found = std::find_if(channels_.begin(), channels_.end(),
                                    [](const auto& c) { return takes_udp(*c); });
    return found == channels_.end() ? nullptr : found->get();
  }

  // One for each question: a server that closes the connection after one answer, or after none, must not take the answers to
  // others with it. Null: there are too many.
  Channel* tcp_channel() {
    const auto open =
        std::count_if(channels_.begin(), channels_.end(), [](const auto& c) { return c->tcp; });
    return static_cast<std::size_t>(open) < kTcpMax ? add_channel(true) : nullptr;
  }

  Channel* add_channel(bool tcp) {
    auto channel = std::make_unique<Channel>();
    channel->upstream = this;
    channel->number = ++last_channel_;
    channel->tcp = channel->worn = tcp;
    ares_options options{};
    std::array<char, 2> lookups{'b', '\0'};
    std::array<char, 10> no_file{"/dev/null"};
    // EDNS and IGNTC: an answer of up to 1232 bytes is handed over as it is, and truncated ones too.
    options.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES |
                    ARES_FLAG_EDNS | ARES_FLAG_IGNTC | (tcp ? ARES_FLAG_USEVC : 0);
    options.ednspsz = static_cast<int>(kEdnsBytes);
    options.timeout = kForgetAfterMs;
    options.tries = 1;
    options.lookups = lookups.data();
    options.resolvconf_path = no_file.data();  // The machine's own file has no say here.
    options.sock_state_cb = &AresUpstream::on_interest;
    options.sock_state_cb_data = channel.get();
    const int mask = ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                     ARES_OPT_LOOKUPS | ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB;
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

  // With as many worn ones as may be, it goes on: an answer is worth more than a fresh port.
  void wear(Channel& channel) {
    if (channel.tcp || ++channel.asked < kQueriesPerSocket) return;
    const auto worn = std::count_if(channels_.begin(), channels_.end(),
                                    [](const auto& c) { return c->worn && !c->tcp; });
    channel.worn = static_cast<std::size_t>(worn) < kWornMax;
  }

  // ---- queries

  Sent ask(Channel& channel, const std::string& name, DnsType type, std::uint64_t tag,
           bool counts) {
    auto owned = std::make_unique<Query>();
    Query& query = *owned;
    query.upstream = this;
    query.id = ++last_query_;
    query.tag = tag;
    query.name = name;
    query.type = type;
    query.fresh = query.counts = counts;
    queries_.emplace(query.id, std::move(owned));
    if (!transmit(query, channel)) {
      const int error = channel.last_error != 0 ? channel.last_error : ECONNREFUSED;
      end(query);
      return {0, error};
    }
    if (sweep_ == 0) sweep_ = reactor_.arm(now_ + kSweepEvery, *this, 0);
    return {query.id, 0};
  }

  // Enters the query with the channel and sends it. False: it has ended already.
  bool transmit(Query& query, Channel& channel) {
    query.channel = &channel;
    query.edns = edns_ && query.counts;
    query.in_send = true;
    query.ended_in_send = false;
    channel.fresh += query.fresh ? 1 : 0;
    ++channel.outstanding;
    channel.last_error = 0;
    wear(channel);
    unsigned char* message = nullptr;
    int length = 0;
    const int made = ares_create_query(query.name.c_str(), kClassInternet,
                                       static_cast<int>(query.type), ids_.next(), 1, &message,
                                       &length, query.edns ? static_cast<int>(kEdnsBytes) : 0);
    if (made != ARES_SUCCESS) {
      channel.last_error = EINVAL;
      return false;
    }
    ares_send(channel.ares, message, length, &AresUpstream::on_ares, &query);
    ares_free_string(message);
    query.in_send = false;
    return !query.ended_in_send;
  }

  static void no_longer_fresh(Query& query) {
    if (!query.fresh) return;
    query.fresh = false;
    --query.channel->fresh;
  }

  static void leave_channel(Query& query) {
    query.channel->fresh -= query.fresh ? 1 : 0;
    --query.channel->outstanding;
  }

  void end(Query& query) {
    leave_channel(query);
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
    const std::span<const std::uint8_t> answer{
        message, message == nullptr ? 0 : static_cast<std::size_t>(length)};
    if (!closing_ && ask_differently(query, answer)) return;
    if (!answer.empty()) learn_of_edns(query);
    const std::uint64_t tag = query.tag;
    const bool counts = query.counts;
    const QueryId id = query.id;
    QueryError error{query.channel->last_error, query.channel->tcp};
    end(query);
    if (closing_) return;
    if (!counts) {
      --life_open_;
      if (shows_service(answer)) served_ = now_;
      handler_.on_life(number_, now_);
    } else if (!answer.empty()) {
      handler_.on_answer(tag, number_, id, answer, {}, now_);
    } else if (status != ARES_ETIMEOUT) {
      if (error.number == 0) error.number = ECONNREFUSED;
      handler_.on_answer(tag, number_, id, {}, error, now_);
    }
  }

  // Something on the way may drop what it does not know. A sign of life is asked for without EDNS: when that is answered and no
  // question with it ever was, the rest go without: until one is answered late. (Where c-ares cuts it has asked again itself, so
  // that nobody can tell which of the two the answer is for.)
  void learn_of_edns(const Query& answered) {
    if (answered.edns && !answered.channel->cuts) edns_ = edns_answered_ = true;
    if (!answered.counts && !edns_answered_) edns_ = false;
  }

  // Over TCP after truncation, without EDNS for a server that does not know it. False: the answer stands as it is.
  bool ask_differently(Query& query, std::span<const std::uint8_t> answer) {
    constexpr std::size_t kFlagsEnd = 4;
    if (answer.size() < kFlagsEnd || !query.counts) return false;
    const unsigned rcode = answer[3] & 0x0fU;
    Channel* next = nullptr;
    if (query.edns && (rcode == kFormerr || rcode == kNotimp)) {
      edns_ = false;
      next = query.channel;
    } else if (is_truncated(*query.channel, answer)) {
      next = tcp_channel();
    } else {
      return false;
    }
    QueryError error{EAGAIN, true};
    leave_channel(query);
    if (next != nullptr) {
      if (transmit(query, *next)) return true;
      error = {next->last_error != 0 ? next->last_error : ECONNREFUSED, next->tcp};
      leave_channel(query);
    }
    const std::uint64_t tag = query.tag;
    const QueryId id = query.id;
    queries_.erase(id);
    handler_.on_answer(tag, number_, id, {}, error, now_);
    return true;
  }

  // By its own word, or because c-ares has cut it.
  static bool is_truncated(const Channel& channel, std::span<const std::uint8_t> answer) {
    if (channel.tcp) return false;
    const bool cut = answer.size() == kEdnsBytes || (channel.cuts && answer.size() == kPlainBytes);
    return cut || (answer[2] & 0x02U) != 0;
  }

  // Old servers say FORMERR or NOTIMP to EDNS. With a header alone c-ares drops that, as it repeats no question; the next try is
  // without EDNS. After a whole FORMERR c-ares asks again without EDNS, and from then on cuts what comes through this channel to
  // 512 bytes, whoever of the queries under way it belongs to.
  static void look_at_header(Channel& channel, std::span<const std::uint8_t> message) {
    constexpr std::size_t kHeaderBytes = 12;
    if (message.size() < kHeaderBytes) return;
    const bool bare = message[4] == 0 && message[5] == 0;
    const unsigned rcode = message[3] & 0x0fU;
    if (rcode == kFormerr || (rcode == kNotimp && bare)) channel.upstream->edns_ = false;
    channel.cuts = channel.cuts || (rcode == kFormerr && !bare);
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
    // Refused by the kernel: then nothing is heard, and the resolver calls that our trouble.
    const auto watched = self.reactor_.watch(fd, events, self, channel.number);
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
      if (!channel.tcp) {
        look_at_header(channel,
                       {static_cast<const std::uint8_t*>(into), static_cast<std::size_t>(got)});
      }
    } else if (got < 0 && errno != EAGAIN && errno != EINTR) {
      channel.last_error = errno;
    } else if (got == 0 && channel.tcp) {
      channel.last_error = ECONNRESET;  // Closed before the answer was complete.
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
    const auto found = std::find_if(channels_.begin(), channels_.end(),
                                    [tag](const auto& c) { return c->number == tag; });
    if (found == channels_.end()) return;
    ares_process_fd((*found)->ares, readable ? fd : ARES_SOCKET_BAD,
                    writable ? fd : ARES_SOCKET_BAD);
  }

  // Lets c-ares forget what nobody answered.
  void on_timer(std::uint64_t, core::SteadyTime now) noexcept override {
    now_ = now;
    sweep_ = 0;
    for (std::size_t i = 0; i < channels_.size(); ++i) {  // An answer's handler may add channels.
      if (channels_[i]->outstanding > 0)
        ares_process_fd(channels_[i]->ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    }
    std::erase_if(channels_, [](const auto& channel) {
      if (!channel->worn || channel->outstanding > 0) return false;
      ares_destroy(channel->ares);
      return true;
    });
    if (!queries_.empty()) sweep_ = reactor_.arm(now + kSweepEvery, *this, 0);
  }

  Endpoint server_;
  std::uint32_t number_;
  Reactor& reactor_;
  AnswerHandler& handler_;
  std::vector<std::unique_ptr<Channel>> channels_;
  std::unordered_map<QueryId, std::unique_ptr<Query>> queries_;
  QueryId last_query_ = 0;
  std::uint64_t last_channel_ = 0;
  RandomIds ids_;
  bool edns_ = true;  // Until the server shows that it does not know it.
  bool edns_answered_ = false;
  TimerId sweep_ = 0;
  core::SteadyTime now_ = core::kNoSteadyTime;  // Of the call that is under way.
  core::SteadyTime heard_ = core::kNoSteadyTime;
  core::SteadyTime served_ = core::kNoSteadyTime;
  std::size_t life_open_ = 0;  // Questions for life under way.
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
