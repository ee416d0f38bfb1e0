// SPDX-License-Identifier: Apache-2.0
// The servers that most of the web and its names run on, as they come, healthy and with what goes wrong with them in practice.
#include <string>

#include "cases/check_case.h"
#include "support/nginx.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;

class ServerCases : public CaseArea {
 public:
  ServerCases()
      : nginx_(1, [](const TempDir&, const RealServer::Ports& ports) {
          return "server {\nlisten 127.0.0.1:" + std::to_string(ports[0]) +
                 ";\nlocation = / { return 200 \"<h1>Hello</h1>\"; }\n"
                 "location = /gone { return 404; }\nlocation = /closed { return 444; }\n}\n";
        }) {}

  [[nodiscard]] std::vector<CheckCase> cases() const override {
    const std::string root = "http://127.0.0.1:" + std::to_string(nginx_.port());
    std::vector<CheckCase> all;
    all.push_back({.name = "server/nginx_page", .url = root + "/", .options = on_loopback()});
    all.push_back({.name = "server/nginx_404",
                   .url = root + "/gone",
                   .options = on_loopback(),
                   .cause = Cause::HttpStatus,
                   .phase = Phase::FirstByte,
                   .http_status = 404});
    all.push_back({.name = "server/nginx_444",
                   .url = root + "/closed",
                   .options = on_loopback(),
                   .cause = Cause::HttpClosed,
                   .phase = Phase::FirstByte});
    return all;
  }

 private:
  Nginx nginx_;
};

}  // namespace

std::unique_ptr<CaseArea> server_cases() {
  return std::make_unique<ServerCases>();
}

}  // namespace watchwheel::testing
