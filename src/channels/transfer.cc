// SPDX-License-Identifier: Apache-2.0
#include "channels/transfer.h"

#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "checker/address.h"
#include "checker/address_guard.h"

namespace watchwheel::channels {
namespace {

template <typename Value>
bool set(CURL* easy, CURLoption option, Value value) {
  return curl_easy_setopt(easy, option, value) == CURLE_OK;
}

// Our own machine's, not the way's and not the receiver's.
bool is_ours(long os_errno) {
  switch (os_errno) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EADDRNOTAVAIL:
    case ENETUNREACH:
    case ENETDOWN:
      return true;
    default:
      return false;
  }
}

bool is_ours(CURLcode code) {
  switch (code) {
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION:
    case CURLE_BAD_FUNCTION_ARGUMENT:
      return true;
    default:
      return false;
  }
}

constexpr std::string_view kRetryAfter = "retry-after:";

}  // namespace

Transfer::Transfer(void* tag, const std::vector<checker::Cidr>& allow, std::string ca_file,
                   core::Duration timeout)
    : tag_(tag),
      allow_(allow),
      ca_file_(std::move(ca_file)),
      timeout_(timeout),
      easy_(curl_easy_init()) {}

bool Transfer::append(List& list, const std::string& text) {
  curl_slist* longer = curl_slist_append(list.get(), text.c_str());
  if (longer == nullptr) return false;
  // It is the same list, with another head when it was empty.
  static_cast<void>(list.release());
  list.reset(longer);
  return true;
}

bool Transfer::set_common(const std::string& url, const char* protocols) {
  CURL* easy = easy_.get();
  if (easy == nullptr) return false;
  void* self = this;
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(timeout_).count();
  // As OpenSSL itself does; nobody changes it while we run.
  const char* machine = std::getenv("SSL_CERT_FILE");  // NOLINT(concurrency-mt-unsafe)
  const bool trusted = !ca_file_.empty() ? set(easy, CURLOPT_CAINFO, ca_file_.c_str())
                       : machine != nullptr && *machine != '\0' ? set(easy, CURLOPT_CAINFO, machine)
                                                                : true;
  return trusted && set(easy, CURLOPT_URL, url.c_str()) &&
         set(easy, CURLOPT_PROTOCOLS_STR, protocols) && set(easy, CURLOPT_PRIVATE, tag_) &&
         set(easy, CURLOPT_ERRORBUFFER, error_.data()) && set(easy, CURLOPT_NOSIGNAL, 1L) &&
         set(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(ms, 1))) &&
         // Its own limit of 300 s is above ours, and 0 would be it.
         set(easy, CURLOPT_FRESH_CONNECT, 1L) && set(easy, CURLOPT_FORBID_REUSE, 1L) &&
         set(easy, CURLOPT_DNS_CACHE_TIMEOUT, 30L) &&
         // A name that is still being looked up must not hold the thread when its time is up: the others' messages wait there.
         // With a silent name server and a timeout of 1 s it was held for 10 s.
         set(easy, CURLOPT_QUICK_EXIT, 1L) && set(easy, CURLOPT_PROXY, "") &&
         set(easy, CURLOPT_NOPROXY, "*") && set(easy, CURLOPT_FOLLOWLOCATION, 0L) &&
         set(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED)) &&
         set(easy, CURLOPT_OPENSOCKETFUNCTION, &Transfer::on_open) &&
         set(easy, CURLOPT_OPENSOCKETDATA, self) && set(easy, CURLOPT_SSL_VERIFYPEER, 1L) &&
         set(easy, CURLOPT_SSL_VERIFYHOST, 2L) &&
         set(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2)) &&
         // With a directory beside the file libcurl does not keep what it has read: 60 ms for each handshake.
         set(easy, CURLOPT_CAPATH, static_cast<char*>(nullptr)) &&
         set(easy, CURLOPT_CA_CACHE_TIMEOUT, 60L) &&
         set(easy, CURLOPT_HEADERFUNCTION, &Transfer::on_header) &&
         set(easy, CURLOPT_HEADERDATA, self) &&
         set(easy, CURLOPT_WRITEFUNCTION, &Transfer::on_body) && set(easy, CURLOPT_WRITEDATA, self);
}

bool Transfer::begin(HttpRequest request) {
  body_ = std::move(request.body);
  if (!set_common(request.url, "http,https")) return false;
  for (const std::string& header : request.headers) {
    if (!append(headers_, header)) return false;
  }
  // Without it libcurl waits a second for a word that few receivers say.
  if (!append(headers_, "Expect:")) return false;
  CURL* easy = easy_.get();
  return set(easy, CURLOPT_HTTPHEADER, headers_.get()) &&
         set(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1)) &&
         set(easy, CURLOPT_HTTP09_ALLOWED, 0L) && set(easy, CURLOPT_POST, 1L) &&
         set(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_.size())) &&
         set(easy, CURLOPT_POSTFIELDS, body_.data());
}

bool Transfer::begin(MailRequest request) {
  mail_ = true;
  body_ = *request.mail;
  if (!set_common(request.url, "smtp,smtps")) return false;
  if (!append(recipient_, "<" + request.to + ">")) return false;
  CURL* easy = easy_.get();
  const std::string from = "<" + request.from + ">";
  const bool login =
      request.user.empty() || (set(easy, CURLOPT_USERNAME, request.user.c_str()) &&
                               set(easy, CURLOPT_PASSWORD, request.password.c_str()));
  return login && set(easy, CURLOPT_MAIL_FROM, from.c_str()) &&
         set(easy, CURLOPT_MAIL_RCPT, recipient_.get()) &&
         // How far it got is told to nobody else.
         set(easy, CURLOPT_DEBUGFUNCTION, &Transfer::on_debug) &&
         set(easy, CURLOPT_DEBUGDATA, static_cast<void*>(this)) &&
         set(easy, CURLOPT_VERBOSE, 1L) &&
         set(easy, CURLOPT_USE_SSL,
             static_cast<long>(request.starttls ? CURLUSESSL_ALL : CURLUSESSL_NONE)) &&
         set(easy, CURLOPT_UPLOAD, 1L) &&
         set(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(body_.size())) &&
         set(easy, CURLOPT_READFUNCTION, &Transfer::on_read) &&
         set(easy, CURLOPT_READDATA, static_cast<void*>(this));
}

// ---- the end ----

// We ended it ourselves because there was too much of an answer, whose head said all.
bool Transfer::is_enough(CURLcode code) const {
  return code == CURLE_WRITE_ERROR && !mail_ && answer_bytes_ > kAnswerBytesMax;
}

TransferEnd Transfer::end(CURLcode code) const {
  TransferEnd end;
  long status = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
  end.status = static_cast<int>(status);
  end.retry_after = retry_after_;
  end.said = said_;
  if (code == CURLE_OK || is_enough(code)) return end;
  end.failed = true;
  end.of_recipient = recipient_asked_ && end.status >= 400 && end.status != 421;
  end.timed_out = code == CURLE_OPERATION_TIMEDOUT;
  long os_errno = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &os_errno);
  end.our_trouble = is_ours(code) || (code == CURLE_COULDNT_CONNECT && is_ours(os_errno));
  if (code == CURLE_COULDNT_CONNECT && !blocked_.empty()) {
    end.our_trouble = false;
    end.error = blocked_;
    return end;
  }
  end.error =
      error_[0] != '\0' ? std::string(error_.data()) : std::string(curl_easy_strerror(code));
  return end;
}

// ---- callbacks ----

curl_socket_t Transfer::on_open(void* self, curlsocktype /*purpose*/,
                                curl_sockaddr* address) noexcept {
  auto* transfer = static_cast<Transfer*>(self);
  try {
    const auto endpoint = checker::from_sockaddr(&address->addr, address->addrlen);
    const checker::GuardVerdict verdict =
        endpoint ? checker::guard(endpoint->ip, transfer->allow_, /*allow_private=*/false)
                 : checker::GuardVerdict{.allowed = false, .reason = "no internet address"};
    if (!verdict.allowed) {
      transfer->blocked_ = "the address " + (endpoint ? checker::to_string(endpoint->ip) : "") +
                           " is not asked (" + std::string(verdict.reason) +
                           "); what is internal stands in the target's allow";
      return CURL_SOCKET_BAD;
    }
  } catch (...) {
    return CURL_SOCKET_BAD;
  }
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

std::size_t Transfer::on_header(char* data, std::size_t size, std::size_t count,
                                void* self) noexcept {
  static_cast<Transfer*>(self)->take_header({data, size * count});
  return size * count;
}

void Transfer::take_header(std::string_view line) noexcept {
  try {
    if (mail_) {
      line = line.substr(0, kSaidBytesMax);
      if (line.starts_with("221")) return;  // Its good-bye.
      said_.assign(line);
      return;
    }
    // A response after an interim one begins anew.
    if (line.starts_with("HTTP/")) retry_after_.clear();
    if (line.size() > kRetryAfter.size() &&
        ::strncasecmp(line.data(), kRetryAfter.data(), kRetryAfter.size()) == 0) {
      std::string_view value = line.substr(kRetryAfter.size(), 100);
      while (!value.empty() && (value.back() == '\n' || value.back() == '\r'))
        value.remove_suffix(1);
      retry_after_.assign(value);
    }
  } catch (...) {
    // Without memory for it the answer is told without.
  }
}

std::size_t Transfer::on_body(char* data, std::size_t size, std::size_t count,
                              void* self) noexcept {
  auto* transfer = static_cast<Transfer*>(self);
  const std::size_t bytes = size * count;
  transfer->answer_bytes_ += bytes;
  try {
    if (transfer->said_.size() < kSaidBytesMax)
      transfer->said_.append(data, std::min(bytes, kSaidBytesMax - transfer->said_.size()));
  } catch (...) {
    return CURL_WRITEFUNC_ERROR;
  }
  return transfer->answer_bytes_ > kAnswerBytesMax ? CURL_WRITEFUNC_ERROR : bytes;
}

int Transfer::on_debug(CURL* /*easy*/, curl_infotype type, char* data, std::size_t size,
                       void* self) noexcept {
  if (type == CURLINFO_HEADER_OUT && std::string_view(data, size).starts_with("RCPT "))
    static_cast<Transfer*>(self)->recipient_asked_ = true;
  return 0;
}

std::size_t Transfer::on_read(char* into, std::size_t size, std::size_t count,
                              void* self) noexcept {
  auto* transfer = static_cast<Transfer*>(self);
  const std::size_t bytes = std::min(size * count, transfer->body_.size() - transfer->sent_);
  std::memcpy(into, transfer->body_.data() + transfer->sent_, bytes);
  transfer->sent_ += bytes;
  return bytes;
}

}  // namespace watchwheel::channels
