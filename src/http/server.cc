// SPDX-License-Identifier: Apache-2.0
#include "http/server.h"

#include <pthread.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "core/ensure.h"
#include "http/listening.h"
#include "http/routes.h"

namespace watchwheel::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace wire = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAcceptRetry = std::chrono::milliseconds{100};
constexpr auto kLinger = std::chrono::seconds{1};
constexpr std::size_t kLingerBytesMax = 256 * 1024;

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

// What all connections share. Outlives them.
struct Context {
  Context(EngineView& engine, const ServerOptions& options, StoreDesk* desk)
      : limits(options.limits), routes(engine, options.token, desk) {
    stats.connections_max.set(static_cast<double>(limits.connections));
  }

  const ServerLimits limits;
  Stats stats;
  Routes routes;
  std::size_t served = 0;   // Open connections.
  std::size_t refused = 0;  // Connections being told 503.
};

// One connection. It keeps itself alive through the one operation that it waits for.
class Session : public std::enable_shared_from_this<Session> {
 public:
  enum class Kind { Served, Refused };

  Session(tcp::socket socket, Context& context, Kind kind)
      : context_(context),
        count_(kind == Kind::Served ? context.served : context.refused),
        stream_(std::move(socket)),
        buffer_(context.limits.head_bytes + context.limits.body_bytes) {
    ++count_;
    publish();
    error_code ignored;
    stream_.socket().set_option(tcp::no_delay(true), ignored);
  }
  ~Session() {
    --count_;
    publish();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void serve() { await_request(); }

  void refuse() {
    context_.stats.count(Refused::TooManyConnections);
    stream_.expires_after(kLinger);
    Response response = refusal(503, "too many connections; try again");
    response.headers.emplace_back("Retry-After", "1");
    send(std::move(response), {.version = 11, .head_only = false, .keep_alive = false});
  }

 private:
  struct Framing {
    unsigned version = 11;
    bool head_only = false;
    bool keep_alive = false;
  };

  void publish() { context_.stats.connections.set(static_cast<double>(context_.served)); }

  // Between requests only idleness is limited; the clock of the request starts with its first byte.
  void await_request() {
    if (buffer_.size() > 0) return read_request();  // Sent ahead, with the one before.
    stream_.expires_after(context_.limits.idle);
    stream_.async_read_some(buffer_.prepare(std::min<std::size_t>(1024, buffer_.max_size())),
                            [self = shared_from_this()](error_code error, std::size_t bytes) {
                              if (error) return;
                              self->buffer_.commit(bytes);
                              self->read_request();
                            });
  }

  void read_request() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(context_.limits.head_bytes));
    parser_->body_limit(context_.limits.body_bytes);
    stream_.expires_after(context_.limits.request);
    wire::async_read(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](error_code error, std::size_t) { self->on_request(error); });
  }

  void on_request(error_code error) {
    if (error) return on_bad_request(error);
    const auto& message = parser_->get();
    const Framing framing{.version = message.version(),
                          .head_only = message.method() == wire::verb::head,
                          .keep_alive = message.keep_alive()};
    if (message.version() >= 11 && message[wire::field::host].empty()) {
      return turn_away(Refused::Malformed, refusal(400, "the Host header is missing"));
    }
    // No clock of ours runs while somebody else makes the answer. The session is given up where it lives: nothing of it stays
    // behind on the thread that answers.
    const auto later = [self = shared_from_this(), framing](Response response) mutable {
      const auto executor = self->stream_.get_executor();
      asio::post(executor,
                 [session = std::move(self), framing, answer = std::move(response)]() mutable {
                   session->stream_.expires_after(session->context_.limits.request);
                   session->send(std::move(answer), framing);
                 });
    };
    auto now = context_.routes.answer({.method = view(message.method_string()),
                                       .target = view(message.target()),
                                       .host = view(message[wire::field::host]),
                                       .origin = view(message[wire::field::origin]),
                                       .authorization = view(message[wire::field::authorization]),
                                       .body = message.body(),
                                       .content_type = view(message[wire::field::content_type]),
                                       .idempotency_key = view(message["Idempotency-Key"])},
                                      later);
    if (now) return send(*std::move(now), framing);
    stream_.expires_never();
  }

  void on_bad_request(error_code error) {
    if (error == beast::error::timeout) {
      context_.stats.count(Refused::Timeout);  // The stream is closed already.
    } else if (error == wire::error::header_limit) {
      turn_away(Refused::HeadTooLarge,
                refusal(431, "the request's head is larger than " +
                                 std::to_string(context_.limits.head_bytes) + " bytes"));
    } else if (error == wire::error::body_limit || error == wire::error::buffer_overflow) {
      turn_away(Refused::BodyTooLarge,
                refusal(413, "the request's body is larger than " +
                                 std::to_string(context_.limits.body_bytes) + " bytes"));
    } else if (error.category() == make_error_code(wire::error::bad_method).category() &&
               error != wire::error::end_of_stream && error != wire::error::partial_message) {
      turn_away(Refused::Malformed,
                refusal(400, "this is no HTTP/1.1 request: " + error.message()));
    }
    // Anything else: the peer went away, and there is nobody to answer.
  }

  void turn_away(Refused reason, Response response) {
    context_.stats.count(reason);
    send(std::move(response), {});
  }

  void send(Response response, Framing framing) {
    context_.stats.answers[response.status / 100].add();
    response_.emplace();
    response_->version(framing.version);
    response_->result(response.status);
    response_->keep_alive(framing.keep_alive);
    response_->set(wire::field::content_type, response.content_type);
    response_->set(wire::field::cache_control, "no-store");
    response_->set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : response.headers) response_->set(name, value);
    response_->body() = std::move(response.body);
    response_->prepare_payload();
    serializer_.emplace(*response_);
    parser_.reset();

    auto sent = [self = shared_from_this(), keep = framing.keep_alive](
                    error_code error, std::size_t) { self->on_sent(error, keep); };
    if (framing.head_only) {
      wire::async_write_header(stream_, *serializer_, std::move(sent));
    } else {
      wire::async_write(stream_, *serializer_, std::move(sent));
    }
  }

  void on_sent(error_code error, bool keep_alive) {
    serializer_.reset();
    response_.reset();
    if (error == beast::error::timeout) context_.stats.count(Refused::Timeout);
    if (error) return;
    if (keep_alive) return await_request();
    // Closing with bytes unread resets the connection, and the peer may lose the answer with it: read on for a moment.
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(kLinger);
    buffer_.clear();
    linger(0);
  }

  void linger(std::size_t discarded) {
    if (discarded > kLingerBytesMax) return;
    buffer_.clear();
    stream_.async_read_some(
        buffer_.prepare(std::min<std::size_t>(4096, buffer_.max_size())),
        [self = shared_from_this(), discarded](error_code error, std::size_t bytes) {
          if (!error) self->linger(discarded + bytes);
        });
  }

  Context& context_;
  std::size_t& count_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::optional<wire::request_parser<wire::string_body>> parser_;
  std::optional<wire::response<wire::string_body>> response_;
  std::optional<wire::response_serializer<wire::string_body>> serializer_;
};

// The sockets. Its end closes them all: the connections that are left live in handlers that `io` holds.
struct Loop {
  asio::io_context io{1};
  tcp::acceptor acceptor{io};
  asio::steady_timer accept_retry{io};

  explicit Loop(Context& shared) : context(shared) {}

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (error) {
        // No descriptor left, or the peer was gone before its turn. Trying at once would spin.
        context.stats.accept_errors.add();
        accept_retry.expires_after(kAcceptRetry);
        accept_retry.async_wait([this](error_code cancelled) {
          if (!cancelled) accept();
        });
        return;
      }
      close_on_exec(socket.native_handle());
      admit(std::move(socket));
      accept();
    });
  }

  void admit(tcp::socket socket) {
    if (context.served < context.limits.connections) {
      std::make_shared<Session>(std::move(socket), context, Session::Kind::Served)->serve();
    } else if (context.refused < Server::kBeingRefusedMax) {
      std::make_shared<Session>(std::move(socket), context, Session::Kind::Refused)->refuse();
    } else {
      context.stats.count(Refused::TooManyConnections);
    }
  }

  void run() noexcept {
    pthread_setname_np(pthread_self(), "http");
    io.run();
  }

  Context& context;
};

}  // namespace

struct Server::Impl {
  Impl(const ServerOptions& options, EngineView& engine, StoreDesk* desk)
      : context(engine, options, desk), loop(std::in_place, context) {}

  Context context;  // Outlives the loop, and with it the connections.
  std::optional<Loop> loop;
  std::uint16_t port = 0;
  std::thread thread;
};

core::Result<std::unique_ptr<Server>> Server::open(const ServerOptions& options, EngineView& engine,
                                                   StoreDesk* desk) {
  auto impl = std::make_unique<Impl>(options, engine, desk);
  const auto listening = listen_at(options.listen, "http.listen");
  if (!listening) return listening.error();
  impl->loop->acceptor.assign(listening->v6 ? tcp::v6() : tcp::v4(), listening->fd);
  impl->port = impl->loop->acceptor.local_endpoint().port();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
  stop();
}

void Server::start() {
  ENSURE(impl_->loop && !impl_->thread.joinable(), "the HTTP listener was started twice");
  impl_->loop->accept();
  impl_->thread = std::thread([loop = &*impl_->loop] { loop->run(); });
}

void Server::stop() noexcept {
  if (!impl_->loop) return;
  impl_->loop->io.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->loop.reset();  // The thread is gone, so what it owned is ours to end.
}

std::uint16_t Server::local_port() const noexcept {
  return impl_->port;
}

const Stats& Server::stats() const noexcept {
  return impl_->context.stats;
}

}  // namespace watchwheel::http
