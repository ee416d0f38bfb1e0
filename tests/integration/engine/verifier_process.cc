// SPDX-License-Identifier: Apache-2.0
#include "verifier_process.h"

#include <curl/curl.h>

#include "core/ensure.h"
#include "daemon.h"
#include "support/eventually.h"

namespace watchwheel::testing {
namespace {

std::size_t take(char* data, std::size_t size, std::size_t count, void* into) {
  static_cast<std::string*>(into)->append(data, size * count);
  return size * count;
}

}  // namespace

HttpAnswer ask_http(const HttpAsk& ask) {
  HttpAnswer answer;
  CURL* const curl = curl_easy_init();
  ENSURE(curl != nullptr, "no curl handle");
  curl_slist* lines = nullptr;
  curl_easy_setopt(curl, CURLOPT_URL, ask.url.c_str());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 120'000L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &take);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer.body);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &take);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer.headers);
  if (!ask.body.empty()) {
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, static_cast<long>(ask.body.size()));
    curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, ask.body.c_str());
    lines = curl_slist_append(lines, "Content-Type: application/json");
  }
  if (!ask.token.empty())
    lines = curl_slist_append(lines, ("Authorization: Bearer " + ask.token).c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
  if (ask.share != nullptr) curl_easy_setopt(curl, CURLOPT_SHARE, ask.share);
  if (!ask.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, ask.ca_file.c_str());
  if (!ask.client_cert.empty()) {
    curl_easy_setopt(curl, CURLOPT_SSLCERT, ask.client_cert.c_str());
    curl_easy_setopt(curl, CURLOPT_SSLKEY, ask.client_key.c_str());
  }
  if (curl_easy_perform(curl) == CURLE_OK) {
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    answer.status = static_cast<int>(status);
  }
  curl_slist_free_all(lines);
  curl_easy_cleanup(curl);
  return answer;
}

VerifierUnderTest::VerifierUnderTest(const std::string& server, const std::string& checks, bool tls)
    : tls_(tls) {
  const std::string listen = "127.0.0.1:" + std::to_string(free_port());
  url_ = (tls ? "https://" : "http://") + listen;
  config_file_ = dir_.write("verifier.toml", "[verifier_server]\nlisten = \"" + listen + "\"\n" +
                                                 server + "[checks]\nallow = [\"127.0.0.0/8\"]\n" +
                                                 checks + "[engine]\nlanes = 2\n");
}

void VerifierUnderTest::start() {
  process_ = std::make_unique<ChildProcess>(std::vector<std::string>{
      "setpriv", "--pdeathsig", "KILL", watchwheel_binary(), "verifier", "--config", config_file_});
  // With TLS nobody but a client with the right papers is heard: that it is there is seen in its log.
  const bool is_up = eventually([this] {
    return tls_ ? process_->err().find(" ready ") != std::string::npos
                : ask_http({.url = url_ + "/-/healthy"}).status == 200;
  });
  ENSURE(is_up, "the verifier did not start: " + process_->err());
}

nlohmann::json VerifierUnderTest::verify(const nlohmann::json& checks, int deadline_ms) const {
  const nlohmann::json body{{"deadline_ms", deadline_ms}, {"checks", checks}};
  const HttpAnswer answer = ask_http({.url = url_ + "/v1/verify", .body = body.dump()});
  ENSURE(answer.status == 200, "the verifier said " + std::to_string(answer.status) + answer.body);
  return nlohmann::json::parse(answer.body);
}

}  // namespace watchwheel::testing
