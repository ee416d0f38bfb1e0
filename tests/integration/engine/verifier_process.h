// SPDX-License-Identifier: Apache-2.0
// verifier_process.h - the built verifier on loopback, as a test drives it.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/child_process.h"
#include "support/temp_dir.h"

namespace watchwheel::testing {

struct HttpAnswer {
  int status = 0;  // 0: none came.
  std::string body{};
  std::string headers;
};

// How a request is made; empty texts are left out.
struct HttpAsk {
  std::string url{};
  std::string body{};  // POST where there is one.
  std::string token{};
  std::string ca_file{};
  std::string client_cert{};
  std::string client_key{};
  void* share = nullptr;  // A CURLSH: what is kept of one request for the next.
};
[[nodiscard]] HttpAnswer ask_http(const HttpAsk& ask);

class VerifierUnderTest {
 public:
  // `server`: lines of [verifier_server] beside `listen`; `checks`: lines of [checks].
  explicit VerifierUnderTest(const std::string& server = "", const std::string& checks = "",
                             bool tls = false);

  void start();
  // "http://127.0.0.1:PORT", or https with the name that `tls` certificates are for.
  [[nodiscard]] const std::string& url() const { return url_; }
  [[nodiscard]] ChildProcess& process() { return *process_; }
  [[nodiscard]] nlohmann::json verify(const nlohmann::json& checks, int deadline_ms = 20'000) const;
  [[nodiscard]] const std::string& config_file() const { return config_file_; }

 private:
  TempDir dir_;
  std::string url_;
  bool tls_ = false;
  std::string config_file_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace watchwheel::testing
