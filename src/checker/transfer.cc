// SPDX-License-Identifier: Apache-2.0
#include "checker/transfer.h"

#include <openssl/ssl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "checker/safe_text.h"
#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

// Held by every transfer under way, mostly for nothing: a page of 2 KiB is one read, one of 100 KiB 25 instead of 7.
constexpr long kReadBytes = 4096;

using core::Cause;

template <typename Value>
bool set(CURL* easy, CURLoption option, Value value) {
  return curl_easy_setopt(easy, option, value) == CURLE_OK;
}

long curl_tls_version(TlsVersion version) {
  switch (version) {
    case TlsVersion::V1_0:
      return CURL_SSLVERSION_TLSv1_0;
    case TlsVersion::V1_1:
      return CURL_SSLVERSION_TLSv1_1;
    case TlsVersion::V1_2:
      return CURL_SSLVERSION_TLSv1_2;
    case TlsVersion::V1_3:
      return CURL_SSLVERSION_TLSv1_3;
  }
  return CURL_SSLVERSION_TLSv1_2;
}

long curl_http_version(HttpVersion version, bool tls) {
  switch (version) {
    case HttpVersion::V1_0:
      return CURL_HTTP_VERSION_1_0;
    case HttpVersion::V1_1:
      return CURL_HTTP_VERSION_1_1;
    case HttpVersion::V2:
      // Without TLS there is nobody to agree with: ALPN is a part of the handshake.
      return tls ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
  }
  return CURL_HTTP_VERSION_1_1;
}

}  // namespace

Transfer::~Transfer() {
  reset();
}

bool Transfer::set_constants() {
  CURL* easy = easy_.get();
  void* self = this;
  return set(easy, CURLOPT_ERRORBUFFER, error_.data()) && set(easy, CURLOPT_NOSIGNAL, 1L) &&
         // Every check has a connection of its own, which we made; nothing is looked up, kept or proxied.
         set(easy, CURLOPT_CONNECT_TO, connect_to_) && set(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L) &&
         set(easy, CURLOPT_FRESH_CONNECT, 1L) && set(easy, CURLOPT_FORBID_REUSE, 1L) &&
         set(easy, CURLOPT_PROXY, "") && set(easy, CURLOPT_NOPROXY, "*") &&
         set(easy, CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_open) &&
         set(easy, CURLOPT_OPENSOCKETDATA, self) &&
         set(easy, CURLOPT_CLOSESOCKETFUNCTION, &Transfer::on_close) &&
         set(easy, CURLOPT_CLOSESOCKETDATA, self) &&
         // Its own limit of 300 s would end our longest checks; ours is the only deadline.
         set(easy, CURLOPT_CONNECTTIMEOUT_MS, 1'000'000L) &&
         set(easy, CURLOPT_PROTOCOLS_STR, "http,https") && set(easy, CURLOPT_HTTP09_ALLOWED, 0L) &&
         set(easy, CURLOPT_FOLLOWLOCATION, 0L) && set(easy, CURLOPT_PATH_AS_IS, 1L) &&
         set(easy, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC)) &&
         // Decoding is ours (body_decoder.h), and so is the header that asks for it (plan.cc).
         set(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L) && set(easy, CURLOPT_BUFFERSIZE, kReadBytes) &&
         set(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_header) &&
         set(easy, CURLOPT_HEADERDATA, self) &&
         set(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body) &&
         set(easy, CURLOPT_WRITEDATA, self) &&
         // Trust, names and dates are ours to check (accept_certificate); libcurl loads no certificates and keeps none.
         set(easy, CURLOPT_CAINFO, static_cast<char*>(nullptr)) &&
         set(easy, CURLOPT_CAPATH, static_cast<char*>(nullptr)) &&
         set(easy, CURLOPT_CA_CACHE_TIMEOUT, 0L) && set(easy, CURLOPT_SSL_VERIFYPEER, 1L) &&
         set(easy, CURLOPT_SSL_VERIFYHOST, 0L) && set(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L) &&
         set(easy, CURLOPT_SSL_CTX_FUNCTION, &Transfer::on_tls_context) &&
         set(easy, CURLOPT_SSL_CTX_DATA, self);
}

bool Transfer::prepare(const ExchangeRequest& request, ExchangeHandler& handler,
                       std::uint64_t tag) {
  ENSURE(seen_.fd == -1 && seen_.plan == nullptr, "a transfer was prepared while it is in use");
  const Target& target = *request.target;
  seen_.fd = request.fd;
  seen_.peer = request.peer;
  seen_.tls = target.tls;
  seen_.plan = request.plan;
  seen_.handler = &handler;
  seen_.tag = tag;
  seen_.head.keep_for(request.plan->content);
  error_[0] = '\0';
  if (target.tls) handshake_.begin(*request.plan, target.host, target.literal, request.at_origin);

  easy_.reset(curl_easy_init());
  CURL* easy = easy_.get();
  if (easy == nullptr || !set_constants()) return false;
  // The options' login wins over the URL's.
  const std::optional<Login>& login = request.plan->login;
  const std::string& user = login ? login->user : target.user;
  const std::string& password = login ? login->password : target.password;
  const HttpVersion version = request.no_http2 && request.plan->http == HttpVersion::V2
                                  ? HttpVersion::V1_1
                                  : request.plan->http;
  const bool log_in = request.at_origin && !(user.empty() && password.empty());
  return set(easy, CURLOPT_URL, target.url().c_str()) && set_form(request) &&
         set_tracing(request.trace) &&
         set(easy, CURLOPT_HTTPHEADER,
             (request.at_origin ? request.plan->headers : request.plan->headers_elsewhere).get()) &&
         set(easy, CURLOPT_USERNAME, log_in ? user.c_str() : nullptr) &&
         set(easy, CURLOPT_PASSWORD, log_in ? password.c_str() : nullptr) &&
         set(easy, CURLOPT_COOKIE, request.cookies.empty() ? nullptr : request.cookies.c_str()) &&
         set(easy, CURLOPT_HTTP_VERSION, curl_http_version(version, target.tls)) &&
         set(easy, CURLOPT_SSLVERSION, curl_tls_version(request.plan->tls_min));
}

bool Transfer::set_form(const ExchangeRequest& request) {
  CURL* easy = easy_.get();
  const std::string method(request.method);
  const bool sends_body = request.with_body && !request.plan->options.body.empty();
  if (!sends_body && method == "GET") return true;
  if (!sends_body && method == "HEAD") return set(easy, CURLOPT_NOBODY, 1L);
  if (!set(easy, CURLOPT_CUSTOMREQUEST, method.c_str())) return false;
  if (sends_body || method == "POST" || method == "PUT" || method == "PATCH") {
    const std::string& body = request.plan->options.body;
    seen_.sends = sends_body ? body.size() : 0;
    return set(easy, CURLOPT_POST, 1L) &&
           set(easy, CURLOPT_POSTFIELDSIZE, static_cast<long>(seen_.sends)) &&
           set(easy, CURLOPT_POSTFIELDS, sends_body ? body.c_str() : "");
  }
  return true;
}

bool Transfer::set_tracing(bool on) {
  if (!on) return true;
  seen_.tracing = std::make_unique<Tracing>();
  CURL* easy = easy_.get();
  void* self = this;
  return set(easy, CURLOPT_DEBUGFUNCTION, &Transfer::on_debug) &&
         set(easy, CURLOPT_DEBUGDATA, self) && set(easy, CURLOPT_VERBOSE, 1L);
}

void Transfer::reset() {
  if (seen_.fd != -1 && !seen_.opened) host_.close_socket(seen_.fd);
  easy_.reset();
  seen_ = Seen{};
  handshake_.reset();
}

// ---- the end ----

Stage Transfer::stage(CURLcode code) const {
  if (!seen_.opened || (code == CURLE_COULDNT_CONNECT && !seen_.asks_again))
    return Stage::Connected;
  if (seen_.tls && !handshake_.done()) return Stage::Tls;
  if (seen_.head.complete()) return Stage::Body;
  if (seen_.head.bytes() > 0) return Stage::Head;
  long request_bytes = 0;
  curl_off_t sent = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_REQUEST_SIZE, &request_bytes);
  curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_UPLOAD_T, &sent);
  if (request_bytes == 0 || static_cast<std::size_t>(sent) < seen_.sends) return Stage::Request;
  return Stage::Head;
}

TransferEnd Transfer::describe_end(CURLcode code) const {
  TransferEnd end;
  end.curl_code = static_cast<int>(code);
  end.error_text = !handshake_.problem().empty() ? std::string_view(handshake_.problem())
                   : error_[0] != '\0'           ? std::string_view(error_.data())
                                                 : std::string_view(curl_easy_strerror(code));
  // libcurl keeps the number of any call that failed, also one that it got over; it is the end's when the text speaks of it.
  long os_errno = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &os_errno);
  if (os_errno != 0 && end.error_text.find(std::generic_category().message(
                           static_cast<int>(os_errno))) != std::string_view::npos) {
    end.os_errno = static_cast<int>(os_errno);
  }
  end.stage = stage(code);
  end.tls = seen_.tls;
  end.http2 = handshake_.http2();
  end.asks_again = seen_.asks_again;
  end.alert = handshake_.alert();
  end.client = handshake_.client_asked();
  end.certificate = handshake_.certificate();
  end.head_bytes = seen_.head.bytes();
  curl_off_t first_read_us = 0;  // Of bytes, or of the connection's end.
  curl_easy_getinfo(easy_.get(), CURLINFO_STARTTRANSFER_TIME_T, &first_read_us);
  end.answer_begun = end.head_bytes > 0 || (code == CURLE_OPERATION_TIMEDOUT && first_read_us > 0);
  curl_off_t bytes = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_SIZE_DOWNLOAD_T, &bytes);
  end.body_bytes = static_cast<std::uint64_t>(bytes);
  curl_off_t expected = -1;
  curl_easy_getinfo(easy_.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &expected);
  end.body_expected = expected;
  return end;
}

ExchangeResult Transfer::facts_so_far() {
  ExchangeResult result;
  result.head_complete = seen_.head.complete();
  result.head = std::move(seen_.head.head());
  result.body = seen_.body.take_scan();
  result.body_cut = seen_.body.cut();
  result.body_opaque = seen_.body.opaque();
  result.tls_done = handshake_.done();
  result.first_byte = seen_.first_byte;
  result.tls = handshake_.facts();
  if (seen_.tracing) {
    TraceLines sent;
    sent.add(seen_.tracing->request);
    result.request_lines = sent.take();
    result.response_lines = seen_.tracing->response.take();
  }
  return result;
}

std::optional<Verdict> Transfer::judge_stop() const {
  switch (seen_.stop) {
    case Stop::HeadBad:
      if (seen_.head.complete())  // The trailers.
        return Verdict{Cause::BodyMalformed, core::Phase::Body, seen_.head.problem()};
      return Verdict{Cause::HttpMalformed, core::Phase::FirstByte, seen_.head.problem()};
    case Stop::Body:
      return seen_.body.judge_stop();
    case Stop::HeadEnough:
      return Verdict{};  // We ended it ourselves, whatever libcurl calls that.
    case Stop::None:
      break;
  }
  return std::nullopt;
}

ExchangeResult Transfer::finish(CURLcode code) {
  Verdict verdict = judge_stop().value_or(Verdict{});
  bool wants_http1 = false;
  if (seen_.stop == Stop::None) {
    const TransferEnd end = describe_end(code);
    verdict = judge_end(end);
    wants_http1 = is_refused_stream(end);
    if (verdict.cause == Cause::Ok) verdict = seen_.body.judge_end();
  }
  ExchangeResult result = facts_so_far();
  result.wants_http1 = wants_http1;
  result.cause = verdict.cause;
  result.phase = verdict.phase;
  result.detail = std::move(verdict.detail);
  return result;
}

ExchangeResult Transfer::finish_expired(core::Duration allowed) {
  Verdict verdict = judge_timeout(describe_end(CURLE_OPERATION_TIMEDOUT), allowed);
  ExchangeResult result = facts_so_far();
  result.cause = verdict.cause;
  result.phase = verdict.phase;
  result.detail = std::move(verdict.detail);
  return result;
}

// ---- the socket ----

curl_socket_t Transfer::on_open(void* self, curlsocktype /*purpose*/,
                                curl_sockaddr* address) noexcept {
  auto& seen = static_cast<Transfer*>(self)->seen_;
  if (seen.opened) seen.asks_again = true;
  if (seen.fd == -1 || seen.opened) return CURL_SOCKET_BAD;
  seen.opened = true;
  sockaddr_storage peer{};
  const socklen_t length = to_sockaddr(seen.peer, peer);
  address->family = peer.ss_family;
  address->addrlen = static_cast<unsigned int>(length);
  // The member is declared as a plain sockaddr; libcurl keeps room for a sockaddr_storage there and says so.
  std::memcpy(reinterpret_cast<char*>(address) + offsetof(curl_sockaddr, addr), &peer, length);
  return seen.fd;
}

int Transfer::on_close(void* self, curl_socket_t fd) noexcept {
  auto* transfer = static_cast<Transfer*>(self);
  transfer->seen_.fd = -1;
  transfer->host_.close_socket(fd);
  return 0;
}

// ---- header and body ----

std::size_t Transfer::on_header(char* data, std::size_t size, std::size_t count,
                                void* self) noexcept {
  auto* transfer = static_cast<Transfer*>(self);
  return transfer->take_head_line({data, size * count});
}

std::size_t Transfer::take_head_line(std::string_view line) {
  seen_.came = true;
  if (!seen_.first_byte) seen_.first_byte = host_.now();
  if (seen_.tracing) seen_.tracing->response.add(line);
  switch (seen_.head.take(line)) {
    case HeadCheck::Step::More:
      return line.size();
    case HeadCheck::Step::Complete:
      return end_of_head() ? line.size() : CURL_WRITEFUNC_ERROR;
    case HeadCheck::Step::Bad:
      break;
  }
  seen_.stop = Stop::HeadBad;
  return CURL_WRITEFUNC_ERROR;
}

int Transfer::on_debug(CURL* /*easy*/, curl_infotype kind, char* data, std::size_t size,
                       void* self) noexcept {
  Tracing* tracing = static_cast<Transfer*>(self)->seen_.tracing.get();
  if (kind != CURLINFO_HEADER_OUT || tracing == nullptr) return 0;
  const std::size_t room = kTraceBytesMax - tracing->request.size();
  tracing->request.append(data, std::min(size, room));
  return 0;
}

// False: nothing more is wanted.
bool Transfer::end_of_head() {
  const ResponseHead& head = seen_.head.head();
  if (seen_.handler->on_head(seen_.tag, head) == HeadAnswer::Enough) {
    seen_.stop = Stop::HeadEnough;
    return false;
  }
  seen_.body.begin(*seen_.plan, host_.bodies(), head);
  return true;
}

std::size_t Transfer::on_body(char* data, std::size_t size, std::size_t count,
                              void* self) noexcept {
  auto* transfer = static_cast<Transfer*>(self);
  return transfer->take_body({data, size * count});
}

std::size_t Transfer::take_body(std::string_view piece) {
  seen_.came = true;
  if (seen_.body.take(piece)) return piece.size();
  seen_.stop = Stop::Body;
  return CURL_WRITEFUNC_ERROR;
}

// ---- TLS ----

CURLcode Transfer::on_tls_context(CURL* /*easy*/, void* context, void* self) noexcept {
  auto installed = static_cast<Transfer*>(self)->handshake_.install(static_cast<SSL_CTX*>(context));
  return installed ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
}

}  // namespace watchwheel::checker
