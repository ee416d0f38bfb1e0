// SPDX-License-Identifier: Apache-2.0
#include "checker/transfer.h"

#include <openssl/ssl.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <system_error>

#include "checker/safe_text.h"
#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

using core::Cause;

constexpr std::string_view kUnknownCoding = "Unrecognized content encoding";

template <typename Value>
bool set(CURL* easy, CURLoption option, Value value) {
  return curl_easy_setopt(easy, option, value) == CURLE_OK;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() &&
         (text.back() == '\r' || text.back() == '\n' || text.back() == ' ' || text.back() == '\t'))
    text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

bool same_name(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char c = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] + ('a' - 'A')) : a[i];
    if (c != lower[i]) return false;
  }
  return true;
}

// "HTTP/1.1 503 Service Unavailable" -> "Service Unavailable".
std::string reason_of(std::string_view status_line) {
  for (int field = 0; field < 2; ++field) {
    const std::size_t space = status_line.find(' ');
    if (space == std::string_view::npos) return {};
    status_line = trimmed(status_line.substr(space));
  }
  return printable(status_line, 64);
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

}  // namespace

std::unique_ptr<Transfer> Transfer::make(TransferHost& host, curl_slist* connect_to) {
  std::unique_ptr<Transfer> transfer(new Transfer(host));
  transfer->easy_.reset(curl_easy_init());
  if (!transfer->easy_ || !transfer->set_constants(connect_to)) return nullptr;
  return transfer;
}

Transfer::~Transfer() {
  reset();
}

bool Transfer::set_constants(curl_slist* connect_to) {
  CURL* easy = easy_.get();
  void* self = this;
  return set(easy, CURLOPT_ERRORBUFFER, error_.data()) && set(easy, CURLOPT_NOSIGNAL, 1L) &&
         // Every check has a connection of its own, which we made; nothing is looked up, kept or proxied.
         set(easy, CURLOPT_CONNECT_TO, connect_to) && set(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L) &&
         set(easy, CURLOPT_FRESH_CONNECT, 1L) && set(easy, CURLOPT_FORBID_REUSE, 1L) &&
         set(easy, CURLOPT_PROXY, "") && set(easy, CURLOPT_NOPROXY, "*") &&
         set(easy, CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_open) &&
         set(easy, CURLOPT_OPENSOCKETDATA, self) &&
         set(easy, CURLOPT_CLOSESOCKETFUNCTION, &Transfer::on_close) &&
         set(easy, CURLOPT_CLOSESOCKETDATA, self) &&
         // Its own limit of 300 s would end our longest checks; ours is the only deadline.
         set(easy, CURLOPT_CONNECTTIMEOUT_MS, 1'000'000L) &&
         set(easy, CURLOPT_PROTOCOLS_STR, "http,https") &&
         set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1)) &&
         set(easy, CURLOPT_HTTP09_ALLOWED, 0L) && set(easy, CURLOPT_FOLLOWLOCATION, 0L) &&
         set(easy, CURLOPT_PATH_AS_IS, 1L) &&
         set(easy, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC)) &&
         // Whatever comes compressed is decoded; we ask for what costs little memory (brotli and zstd windows: up to 16 MiB and more).
         set(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate") &&
         set(easy, CURLOPT_BUFFERSIZE, 16384L) &&
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
  error_[0] = '\0';
  if (target.tls) handshake_.begin(*request.plan, target.host, target.literal);

  CURL* easy = easy_.get();
  const bool log_in = request.at_origin && !(target.user.empty() && target.password.empty());
  return set(easy, CURLOPT_URL, target.url().c_str()) && set_form(request) &&
         set(easy, CURLOPT_HTTPHEADER,
             (request.at_origin ? request.plan->headers : request.plan->headers_elsewhere).get()) &&
         set(easy, CURLOPT_USERNAME, log_in ? target.user.c_str() : nullptr) &&
         set(easy, CURLOPT_PASSWORD, log_in ? target.password.c_str() : nullptr) &&
         set(easy, CURLOPT_SSLVERSION, curl_tls_version(request.plan->tls_min));
}

bool Transfer::set_form(const ExchangeRequest& request) {
  CURL* easy = easy_.get();
  const std::string method(request.method);
  const bool sends_body = request.with_body && !request.plan->options.body.empty();
  const Form form = sends_body         ? Form::Other
                    : method == "GET"  ? Form::Get
                    : method == "HEAD" ? Form::Head
                                       : Form::Other;
  if (form == form_ && form != Form::Other) return true;
  form_ = form;
  // Naming a body makes a request a POST; HTTPGET undoes that, and NOBODY.
  if (!set(easy, CURLOPT_POSTFIELDS, static_cast<char*>(nullptr)) ||
      !set(easy, CURLOPT_POSTFIELDSIZE, -1L) || !set(easy, CURLOPT_HTTPGET, 1L) ||
      !set(easy, CURLOPT_CUSTOMREQUEST, static_cast<char*>(nullptr))) {
    return false;
  }
  if (form == Form::Get) return true;
  if (form == Form::Head) return set(easy, CURLOPT_NOBODY, 1L);
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

void Transfer::reset() {
  if (seen_.fd != -1 && !seen_.opened) ::close(seen_.fd);
  seen_ = Seen{};
  handshake_.reset();
}

// ---- the end ----

Stage Transfer::stage(CURLcode code) const {
  if (!seen_.opened || code == CURLE_COULDNT_CONNECT) return Stage::Connected;
  if (seen_.tls && !handshake_.done()) return Stage::Tls;
  if (seen_.head_complete) return Stage::Body;
  if (seen_.head_bytes > 0) return Stage::Head;
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
                   : error_[0] != '\0'          ? std::string_view(error_.data())
                                                : std::string_view(curl_easy_strerror(code));
  // libcurl keeps the number of an earlier check's error; it is this one's when the text speaks of it.
  long os_errno = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &os_errno);
  if (os_errno != 0 && end.error_text.find(std::generic_category().message(
                           static_cast<int>(os_errno))) != std::string_view::npos) {
    end.os_errno = static_cast<int>(os_errno);
  }
  end.stage = stage(code);
  end.tls = seen_.tls;
  end.alert = handshake_.alert();
  end.certificate = handshake_.certificate();
  end.head_bytes = seen_.head_bytes;
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
  result.head_complete = seen_.head_complete;
  result.head = std::move(seen_.head);
  result.body = std::move(seen_.body);
  result.body_cut = seen_.stop == Stop::BodyCap;
  result.tls_done = handshake_.done();
  result.first_byte = seen_.first_byte;
  result.tls = handshake_.facts();
  return result;
}

ExchangeResult Transfer::finish(CURLcode code) {
  const TransferEnd end = describe_end(code);
  ExchangeResult result = facts_so_far();
  switch (seen_.stop) {
    case Stop::HeadEnough:
    case Stop::BodyCap:
      return result;  // We ended it ourselves, whatever libcurl calls that.
    case Stop::HeadTooLong:
      result.cause = Cause::HttpMalformed;
      result.phase = core::Phase::FirstByte;
      result.detail = "the response header is longer than " + std::to_string(kHeadBytesMax / 1024) +
                      " KiB or " + std::to_string(kHeadLinesMax) + " lines";
      return result;
    case Stop::None:
      break;
  }
  if (code == CURLE_BAD_CONTENT_ENCODING &&
      end.error_text.substr(0, kUnknownCoding.size()) == kUnknownCoding &&
      end.stage == Stage::Body) {
    result.body_opaque =
        true;  // Browsers show it as it is. What we cannot decode is no failure of the site.
    return result;
  }
  Verdict verdict = judge_end(end);
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
  if (!seen_.first_byte) seen_.first_byte = host_.now();
  seen_.head_bytes += line.size();
  ++seen_.head_lines;
  if (seen_.head_bytes > kHeadBytesMax || seen_.head_lines > kHeadLinesMax) {
    seen_.stop = Stop::HeadTooLong;
    return CURL_WRITEFUNC_ERROR;
  }
  if (seen_.head_complete) return line.size();  // A trailer.
  if (!seen_.in_head) {
    seen_.in_head = true;
    seen_.head = ResponseHead{};
    seen_.head.reason = reason_of(trimmed(line));
  } else if (trimmed(line).empty()) {
    if (!end_of_head()) return CURL_WRITEFUNC_ERROR;
  } else {
    take_header(trimmed(line));
  }
  return line.size();
}

void Transfer::take_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = trimmed(line.substr(0, colon));
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (same_name(name, "location")) {
    if (!seen_.head.location)
      seen_.head.location = std::string(value.substr(0, kLocationBytesMax + 1));
  } else if (same_name(name, "content-type")) {
    seen_.head.content_type = printable(value, 128);
  }
}

// False: nothing more is wanted.
bool Transfer::end_of_head() {
  seen_.in_head = false;
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  if (status >= 100 && status < 200 && status != 101)
    return true;  // Interim; the real one follows.
  seen_.head.status = static_cast<std::uint16_t>(status);
  seen_.head_complete = true;
  if (seen_.handler->on_head(seen_.tag, seen_.head) == HeadAnswer::Enough) {
    seen_.stop = Stop::HeadEnough;
    return false;
  }
  seen_.body.emplace(seen_.plan->body_rules);
  return true;
}

std::size_t Transfer::on_body(char* data, std::size_t size, std::size_t count,
                              void* self) noexcept {
  auto* transfer = static_cast<Transfer*>(self);
  return transfer->take_body({data, size * count});
}

std::size_t Transfer::take_body(std::string_view piece) {
  if (!seen_.body) return piece.size();
  const std::uint64_t room = seen_.plan->options.max_body_bytes - seen_.body->bytes();
  if (piece.size() <= room) {
    seen_.body->feed(piece);
    return piece.size();
  }
  seen_.body->feed(piece.substr(0, static_cast<std::size_t>(room)));
  seen_.stop = Stop::BodyCap;
  return CURL_WRITEFUNC_ERROR;
}

// ---- TLS ----

CURLcode Transfer::on_tls_context(CURL* /*easy*/, void* context, void* self) noexcept {
  auto installed = static_cast<Transfer*>(self)->handshake_.install(static_cast<SSL_CTX*>(context));
  return installed ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
}

}  // namespace watchwheel::checker
