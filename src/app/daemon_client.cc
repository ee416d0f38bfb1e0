// SPDX-License-Identifier: Apache-2.0
#include "app/daemon_client.h"

#include <curl/curl.h>

#include <array>
#include <cstdio>
#include <memory>

#include "checker/address.h"
#include "http/access.h"

namespace watchwheel::app {
namespace {

constexpr std::size_t kAnswerBytesMax = 16 * 1024 * 1024;

struct Answer {
  std::string body;
  long status = 0;
};

std::size_t on_body(char* data, std::size_t, std::size_t bytes, void* user) noexcept {
  auto& answer = *static_cast<Answer*>(user);
  if (answer.body.size() + bytes > kAnswerBytesMax) return 0;
  try {
    answer.body.append(data, bytes);
  } catch (...) {
    return 0;
  }
  return bytes;
}

struct CurlCleanup {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

core::Result<Answer> get(const std::string& url, const std::string& token, core::Duration timeout) {
  const std::unique_ptr<CURL, CurlCleanup> easy(curl_easy_init());
  if (!easy) return core::Error{core::ErrorKind::Unavailable, "no memory for an HTTP request"};
  Answer answer;
  std::unique_ptr<curl_slist, CurlCleanup> headers;
  if (!token.empty())
    headers.reset(curl_slist_append(nullptr, ("Authorization: Bearer " + token).c_str()));
  std::array<char, CURL_ERROR_SIZE> why{};
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(
      easy.get(), CURLOPT_PROXY,
      "");  // The daemon is here; a proxy of the environment would be asked for *its* loopback.
  curl_easy_setopt(easy.get(), CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(
      easy.get(), CURLOPT_TIMEOUT_MS,
      static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(timeout).count()));
  curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, why.data());
  const CURLcode code = curl_easy_perform(easy.get());
  if (code != CURLE_OK) {
    return core::Error{core::ErrorKind::Unavailable,
                       "no daemon answers at " + url + " (" +
                           (why[0] != '\0' ? why.data() : curl_easy_strerror(code)) +
                           "); is it running, and is http.listen of this configuration its own?"};
  }
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

core::Error refused(const std::string& url, long status) {
  if (status == 401 || status == 403) {
    return {core::ErrorKind::Unavailable,
            "the daemon at " + url + " wants another token (HTTP " + std::to_string(status) +
                "); use the configuration with its http.token_file, as a user who may read that"};
  }
  return {core::ErrorKind::Unavailable, "what answers at " + url +
                                            " is no watchwheel that can tell its status (HTTP " +
                                            std::to_string(status) + ")"};
}

}  // namespace

core::Result<std::string> fetch_status(const HttpConfig& http, core::Duration timeout) {
  const auto url = status_url(http.listen);
  if (!url) return url.error();
  std::string token;
  if (!http.token_file.empty()) {
    auto read = http::load_token(http.token_file);
    if (!read) return core::Error{core::ErrorKind::Unavailable, read.error().message};
    token = *std::move(read);
  }
  auto answer = get(*url, token, timeout);
  if (!answer) return answer.error();
  if (answer->status != 200) return refused(*url, answer->status);
  return std::move(answer->body);
}

core::Result<std::string> status_url(std::string_view listen) {
  const auto endpoint = checker::parse_endpoint(listen, 9464);
  if (!endpoint) return endpoint.error();
  if (endpoint->port == 0) {
    return core::Error{core::ErrorKind::Unavailable,
                       "http.listen has port 0, a different one at each start; the daemon logs it "
                       "(listening address=…)"};
  }
  checker::Endpoint at = *endpoint;
  if (at.ip == *checker::parse_ip("0.0.0.0")) at.ip = *checker::parse_ip("127.0.0.1");
  if (at.ip == *checker::parse_ip("::")) at.ip = *checker::parse_ip("::1");
  return "http://" + checker::to_string(at) + "/api/v1/status";
}

}  // namespace watchwheel::app
