// SPDX-License-Identifier: Apache-2.0
#include "http/verify_server.h"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <limits>
#include <optional>
#include <thread>
#include <utility>

#include "core/ensure.h"
#include "http/access.h"
#include "http/listening.h"
#include "http/metric_builder.h"

namespace watchwheel::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace ssl = boost::asio::ssl;
namespace wire = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr auto kAcceptRetry = std::chrono::milliseconds{100};
constexpr auto kLinger = std::chrono::seconds{1};
constexpr std::string_view kHealthPath = "/-/healthy";  // For whoever can connect.
constexpr std::size_t kToldMost = 16;                   // Of those that there is no room for.

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

// What all connections share. Outlives them.
struct Context {
  Context(const VerifyServerOptions& options, VerifyDesk& served_by)
      : limits(options.limits), token(options.token), desk(served_by) {
    stats.connections_max.set(static_cast<double>(limits.connections));
  }

  const VerifyServerLimits limits;
  std::string token;  // The http thread's, after start.
  VerifyDesk& desk;
  Stats stats;
  std::optional<ssl::context> tls;
  std::size_t served = 0;    // Open connections. The http thread's.
  std::size_t strangers = 0; // Those of them whose peers have not said who they are. The http thread's.
  bool closing = false;      // The http thread's.
  std::atomic<std::size_t> unanswered{0};
};

struct Asked {
  std::string_view method, path, authorization;
};

// As many may be unknown at once: those that are known keep room for themselves.
std::size_t strangers_most(const VerifyServerLimits& limits) {
  return std::max<std::size_t>(1, limits.connections / 2);
}

// What the head alone decides. Nothing: it is a batch of somebody whom we know, and its body is worth reading.
std::optional<Response> answer_now(Context& context, const Asked& asked) {
  const auto text = [](unsigned status, std::string body) {
    return Response{status, "text/plain; charset=utf-8", std::move(body) + "\n", {}};
  };
  if (asked.path == kHealthPath) {
    std::string why;
    if (context.closing) return text(503, "stopping");
    return context.desk.healthy(why) ? text(200, "healthy") : text(503, "not healthy: " + why);
  }
  // Who asks comes first: a stranger does not learn what exists.
  if (!context.token.empty() && !bearer_matches(asked.authorization, context.token)) {
    Response out = refusal(401,
                           "this needs the header `Authorization: Bearer TOKEN`, with the token of "
                           "verifier_server.token_file");
    out.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"watchwheel verifier\"");
    return out;
  }
  const bool batch = asked.path == "/v1/verify";
  if (!batch && asked.path != "/metrics")
    return refusal(404, "nothing is served here; there are /v1/verify /metrics /-/healthy");
  const bool fits = batch ? asked.method == "POST" : asked.method == "GET" || asked.method == "HEAD";
  if (!fits) {
    Response out = refusal(405, std::string("this path takes ") + (batch ? "POST" : "GET, HEAD"));
    out.headers.emplace_back("Allow", batch ? "POST" : "GET, HEAD");
    return out;
  }
  if (!batch) {
    return Response{200, "text/plain; version=0.0.4; charset=utf-8",
                    to_text(context.desk.collect()), {}};
  }
  if (!context.closing) return std::nullopt;
  Response out = refusal(503, "this verifier is stopping; ask another one");
  out.headers.emplace_back("Retry-After", "5");
  return out;
}

// One connection, plain or TLS. It keeps itself alive through the one operation that it waits for, or through the desk's answer.
template <typename Stream>
class Session : public std::enable_shared_from_this<Session<Stream>> {
 public:
  Session(Stream&& stream, Context& context)
      : context_(context),
        stream_(std::move(stream)),
        buffer_(context.limits.head_bytes + context.limits.body_bytes) {
    ++context_.served;
    ++context_.strangers;
    publish();
    error_code ignored;
    lowest().socket().set_option(tcp::no_delay(true), ignored);
  }
  ~Session() {
    --context_.served;
    if (!known_) --context_.strangers;
    publish();
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void serve() {
    if constexpr (kTls) {
      lowest().expires_after(context_.limits.stranger);
      stream_.async_handshake(ssl::stream_base::server,
                              [self = this->shared_from_this()](error_code error) {
                                if (!error && self->refused_) return self->refuse();
                                if (!error) {
                                  // A certificate was shown that we trust, or none is asked for.
                                  if (self->context_.token.empty()) self->know();
                                  return self->await_request();
                                }
                                // A client without a certificate that we trust, or no TLS at all.
                                self->context_.stats.count(error == beast::error::timeout
                                                               ? Refused::Timeout
                                                               : Refused::Malformed);
                              });
    } else {
      refused_ ? refuse() : await_request();
    }
  }

  // For which there is no room. With TLS it is told after the handshake.
  void serve_refusal() {
    refused_ = true;
    serve();
  }

 private:
  static constexpr bool kTls = !std::is_same_v<Stream, beast::tcp_stream>;

  void refuse() {
    context_.stats.count(Refused::TooManyConnections);
    Response response = refusal(503, "too many connections; try again");
    response.headers.emplace_back("Retry-After", "1");
    keep_alive_ = false;
    send(std::move(response));
  }

  beast::tcp_stream& lowest() { return beast::get_lowest_layer(stream_); }
  void publish() { context_.stats.connections.set(static_cast<double>(context_.served)); }

  void know() {
    if (!std::exchange(known_, true)) --context_.strangers;
  }

  // Between requests only idleness is limited; the clock of the request starts with its first byte. Who has not said who they
  // are has one short time for all of it.
  void await_request() {
    if (buffer_.size() > 0) return read_head();  // Sent ahead, with the one before.
    lowest().expires_after(known_ ? context_.limits.idle : context_.limits.stranger);
    stream_.async_read_some(buffer_.prepare(std::min<std::size_t>(4096, buffer_.max_size())),
                            [self = this->shared_from_this()](error_code error, std::size_t bytes) {
                              if (error) return;
                              self->buffer_.commit(bytes);
                              self->read_head();
                            });
  }

  void read_head() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(context_.limits.head_bytes));
    parser_->body_limit(std::numeric_limits<std::uint64_t>::max());  // A stranger is told nothing of it.
    lowest().expires_after(known_ ? context_.limits.request : context_.limits.stranger);
    wire::async_read_header(stream_, buffer_, *parser_,
                            [self = this->shared_from_this()](error_code error, std::size_t) {
                              self->on_head(error);
                            });
  }

  // Nothing of a body is read, and no memory taken for it, before it is known whose it is.
  void on_head(error_code error) {
    if (error) return on_bad_request(error);
    const auto& message = parser_->get();
    version_ = message.version();
    keep_alive_ = message.keep_alive() && !context_.closing;
    head_only_ = message.method() == wire::verb::head;
    const std::string_view target = view(message.target());
    const std::string_view path = target.substr(0, target.find('?'));
    auto now = answer_now(context_, {.method = view(message.method_string()),
                                     .path = path,
                                     .authorization = view(message[wire::field::authorization])});
    if (now) {
      if (now->status != 401 && path != kHealthPath) know();
      // What follows the head would be taken for the next request; and strangers are not kept.
      keep_alive_ = keep_alive_ && known_ && parser_->is_done();
      return send(*std::move(now));
    }
    know();
    if (parser_->content_length().value_or(0) > context_.limits.body_bytes)
      return on_bad_request(wire::error::body_limit);
    parser_->body_limit(context_.limits.body_bytes);
    lowest().expires_after(context_.limits.request);
    wire::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](error_code failed, std::size_t) {
                       if (failed) return self->on_bad_request(failed);
                       self->on_batch();
                     });
  }

  void on_batch() {
    // The answer is the desk's to give, whenever it has it: no clock of ours runs meanwhile.
    lowest().expires_never();
    context_.unanswered.fetch_add(1);
    // The session is given up where it lives: nothing of it stays behind on the thread that answers.
    context_.desk.verify(
        parser_->get().body(), [self = this->shared_from_this()](Response response) mutable {
          const auto executor = self->stream_.get_executor();
          asio::post(executor, [session = std::move(self), answer = std::move(response)]() mutable {
            session->counted_ = true;
            session->send(std::move(answer));
          });
        });
  }

  void on_bad_request(error_code error) {
    keep_alive_ = false;
    if (error == beast::error::timeout) {
      context_.stats.count(Refused::Timeout);  // The stream is closed already.
    } else if (error == wire::error::header_limit) {
      context_.stats.count(Refused::HeadTooLarge);
      send(refusal(431, "the request's head is larger than " +
                            std::to_string(context_.limits.head_bytes) + " bytes"));
    } else if (error == wire::error::body_limit || error == wire::error::buffer_overflow) {
      context_.stats.count(Refused::BodyTooLarge);
      send(refusal(413, "the request's body is larger than " +
                            std::to_string(context_.limits.body_bytes) +
                            " bytes; send smaller batches"));
    } else if (error.category() == make_error_code(wire::error::bad_method).category() &&
               error != wire::error::end_of_stream && error != wire::error::partial_message) {
      context_.stats.count(Refused::Malformed);
      send(refusal(400, "this is no HTTP/1.1 request: " + error.message()));
    }
    // Anything else: the peer went away, and there is nobody to answer.
  }

  void send(Response response) {
    context_.stats.answers[response.status / 100].add();
    response_.emplace();
    response_->version(version_);
    response_->result(response.status);
    response_->keep_alive(keep_alive_);
    response_->set(wire::field::content_type, response.content_type);
    response_->set(wire::field::cache_control, "no-store");
    for (const auto& [name, value] : response.headers) response_->set(name, value);
    response_->body() = std::move(response.body);
    response_->prepare_payload();
    serializer_.emplace(*response_);
    parser_.reset();
    lowest().expires_after(context_.limits.request);
    auto sent = [self = this->shared_from_this()](error_code error, std::size_t) {
      self->on_sent(error);
    };
    if (head_only_) {
      wire::async_write_header(stream_, *serializer_, std::move(sent));
    } else {
      wire::async_write(stream_, *serializer_, std::move(sent));
    }
  }

  void on_sent(error_code error) {
    serializer_.reset();
    response_.reset();
    if (std::exchange(counted_, false)) context_.unanswered.fetch_sub(1);
    if (error == beast::error::timeout) context_.stats.count(Refused::Timeout);
    if (error) return;
    if (keep_alive_) return await_request();
    // Closing with bytes unread resets the connection, and the peer may lose the answer with it: read on for a moment.
    lowest().expires_after(kLinger);
    if constexpr (!kTls) {
      error_code ignored;
      lowest().socket().shutdown(tcp::socket::shutdown_send, ignored);
    }
    read_on();
  }

  void read_on() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(std::min<std::size_t>(16 * 1024, buffer_.max_size())),
                            [self = this->shared_from_this()](error_code error, std::size_t) {
                              if (!error) return self->read_on();
                              if constexpr (kTls) {
                                if (error == asio::error::eof)
                                  self->stream_.async_shutdown([self](error_code) {});
                              }
                            });
  }

  Context& context_;
  Stream stream_;
  beast::flat_buffer buffer_;
  unsigned version_ = 11;
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool known_ = false;    // Its peer has shown a token or a certificate, where one is asked for.
  bool refused_ = false;  // There is no room for it.
  bool counted_ = false;  // Its request is one of context_.unanswered.
  std::optional<wire::request_parser<wire::string_body>> parser_;
  std::optional<wire::response<wire::string_body>> response_;
  std::optional<wire::response_serializer<wire::string_body>> serializer_;
};

using PlainSession = Session<beast::tcp_stream>;
using TlsSession = Session<ssl::stream<beast::tcp_stream>>;

core::Error unusable(const std::string& key, const std::string& file, const error_code& error) {
  return {core::ErrorKind::Invalid,
          key + ": " + file + " cannot be used: " + error.message() + "; give a readable PEM file"};
}

core::Result<void> load_tls(std::optional<ssl::context>& into, const VerifyServerOptions& options) {
  if (options.cert_file.empty()) return {};
  ssl::context& tls = into.emplace(ssl::context::tls_server);
  error_code error;
  tls.set_options(ssl::context::no_compression | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1,
                  error);
  tls.use_certificate_chain_file(options.cert_file, error);
  if (error) return unusable("verifier_server.cert_file", options.cert_file, error);
  const std::string& key = options.key_file.empty() ? options.cert_file : options.key_file;
  tls.use_private_key_file(key, ssl::context::pem, error);
  if (error) return unusable("verifier_server.key_file", key, error);
  if (options.client_ca_file.empty()) return {};
  // Without it a client that comes back with its session would be refused, fatally.
  constexpr std::array<unsigned char, 10> kSessions{'w', 'a', 't', 'c', 'h', 'w', 'h', 'e', 'e', 'l'};
  if (SSL_CTX_set_session_id_context(tls.native_handle(), kSessions.data(), kSessions.size()) != 1)
    return core::Error{core::ErrorKind::Unavailable, "the TLS library refuses its settings"};
  tls.load_verify_file(options.client_ca_file, error);
  if (error) return unusable("verifier_server.client_ca_file", options.client_ca_file, error);
  tls.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert, error);
  return {};
}

// The sockets. Its end closes them all: the connections that are left live in handlers that `io` holds.
struct Loop {
  asio::io_context io{1};
  // While nobody connects and all that is asked is the desk's to answer, the loop has nothing to wait for, and would end.
  asio::executor_work_guard<asio::io_context::executor_type> until_stopped{io.get_executor()};
  tcp::acceptor acceptor{io};
  asio::steady_timer accept_retry{io};

  explicit Loop(Context& shared) : context(shared) {}

  void accept() {
    acceptor.async_accept([this](error_code error, tcp::socket socket) {
      if (context.closing) return;
      if (error) {
        // No descriptor left, or the peer was gone before its turn. Trying at once would spin.
        context.stats.accept_errors.add();
        accept_retry.expires_after(kAcceptRetry);
        accept_retry.async_wait([this](error_code cancelled) {
          if (!cancelled && !context.closing) accept();
        });
        return;
      }
      close_on_exec(socket.native_handle());
      admit(std::move(socket));
      accept();
    });
  }

  void admit(tcp::socket socket) {
    // Beyond the limit a few are told, so that whoever has a right to ask hears that it is overload and no failure.
    const std::size_t strangers_max = strangers_most(context.limits);
    const bool full =
        context.served >= context.limits.connections || context.strangers >= strangers_max;
    if (full && (context.served >= context.limits.connections + kToldMost ||
                 context.strangers >= strangers_max + kToldMost)) {
      context.stats.count(Refused::TooManyConnections);
      return;
    }
    beast::tcp_stream stream(std::move(socket));
    if (context.tls) {
      auto session = std::make_shared<TlsSession>(
          ssl::stream<beast::tcp_stream>(std::move(stream), *context.tls), context);
      return full ? session->serve_refusal() : session->serve();
    }
    auto session = std::make_shared<PlainSession>(std::move(stream), context);
    full ? session->serve_refusal() : session->serve();
  }

  void run() noexcept {
    pthread_setname_np(pthread_self(), "http");
    io.run();
  }

  Context& context;
};

}  // namespace

struct VerifyServer::Impl {
  Impl(const VerifyServerOptions& options, VerifyDesk& desk)
      : context(options, desk), loop(std::in_place, context), has_token(!options.token.empty()) {}

  Context context;  // Outlives the loop, and with it the connections.
  std::optional<Loop> loop;
  const bool has_token;
  std::uint16_t port = 0;
  std::thread thread;
};

core::Result<std::unique_ptr<VerifyServer>> VerifyServer::open(const VerifyServerOptions& options,
                                                               VerifyDesk& desk) {
  auto impl = std::make_unique<Impl>(options, desk);
  if (auto loaded = load_tls(impl->context.tls, options); !loaded) return loaded.error();
  const auto listening = listen_at(options.listen, "verifier_server.listen");
  if (!listening) return listening.error();
  impl->loop->acceptor.assign(listening->v6 ? tcp::v6() : tcp::v4(), listening->fd);
  impl->port = impl->loop->acceptor.local_endpoint().port();
  return std::unique_ptr<VerifyServer>(new VerifyServer(std::move(impl)));
}

VerifyServer::VerifyServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

VerifyServer::~VerifyServer() {
  stop();
}

void VerifyServer::start() {
  ENSURE(impl_->loop && !impl_->thread.joinable(), "the verifier's listener was started twice");
  impl_->loop->accept();
  impl_->thread = std::thread([loop = &*impl_->loop] { loop->run(); });
}

core::Result<void> VerifyServer::renew(const VerifyServerOptions& options) {
  if (!impl_->loop) return {};
  if (options.cert_file.empty() != !impl_->context.tls.has_value() ||
      options.token.empty() != !impl_->has_token)
    return core::Error{core::ErrorKind::Invalid, "whether there is a certificate or a token is not changed while it runs"};
  auto tls = std::make_shared<std::optional<ssl::context>>();
  if (auto loaded = load_tls(*tls, options); !loaded) return loaded.error();
  // Open connections keep what they began with: each holds its own share of it.
  asio::post(impl_->loop->io, [&context = impl_->context, tls, token = options.token] {
    if (tls->has_value()) context.tls = std::move(*tls);
    context.token = token;
  });
  return {};
}

void VerifyServer::close_admission() {
  if (!impl_->loop) return;
  asio::post(impl_->loop->io, [&loop = *impl_->loop] {
    loop.context.closing = true;
    error_code ignored;
    loop.acceptor.close(ignored);
    loop.accept_retry.cancel();
  });
}

void VerifyServer::stop() noexcept {
  if (!impl_->loop) return;
  impl_->loop->io.stop();
  if (impl_->thread.joinable()) impl_->thread.join();
  impl_->loop.reset();  // The thread is gone, so what it owned is ours to end.
}

std::uint16_t VerifyServer::local_port() const noexcept {
  return impl_->port;
}

const Stats& VerifyServer::stats() const noexcept {
  return impl_->context.stats;
}

std::size_t VerifyServer::unanswered() const noexcept {
  return impl_->context.unanswered.load();
}

}  // namespace watchwheel::http
