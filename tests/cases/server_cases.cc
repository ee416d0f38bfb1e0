// SPDX-License-Identifier: Apache-2.0
// The servers that most of the web and its names run on, as they come, healthy and with what goes wrong with them in practice.
#include <openssl/pem.h>

#include <array>
#include <cstdio>
#include <stdexcept>

#include "cases/check_case.h"
#include "cases/server_parts.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;

class ServerCases : public CaseArea {
 public:
  [[nodiscard]] std::vector<CheckCase> cases() const override {
    std::vector<CheckCase> all;
    for (const auto& part : parts_)
      for (CheckCase& one : part->cases()) all.push_back(std::move(one));
    return all;
  }

 private:
  std::array<std::unique_ptr<CaseArea>, 4> parts_{nginx_cases(), apache_cases(), haproxy_cases(),
                                                  name_server_cases()};
};

}  // namespace

CheckCase healthy(std::string_view name, std::string url, core::SiteOptions options) {
  return {.name = "server/" + std::string(name),
          .url = std::move(url),
          .options = on_loopback(std::move(options))};
}

CheckCase failing(std::string_view name, std::string url, Cause cause, Phase phase,
                  core::SiteOptions options) {
  CheckCase one = healthy(name, std::move(url), std::move(options));
  one.cause = cause;
  one.phase = phase;
  return one;
}

CheckCase answers_status(std::string_view name, std::string url, std::uint16_t status,
                         core::SiteOptions options) {
  CheckCase one =
      failing(name, std::move(url), Cause::HttpStatus, Phase::FirstByte, std::move(options));
  one.http_status = status;
  one.detail = std::to_string(status);
  return one;
}

void write_server_pem(const Certificate& certificate, const std::string& path) {
  write_pem(certificate, path);
  std::FILE* file = std::fopen(path.c_str(), "a");
  const bool written = file != nullptr && PEM_write_PrivateKey(file, certificate.key.get(), nullptr,
                                                               nullptr, 0, nullptr, nullptr) == 1;
  if (file != nullptr) std::fclose(file);
  if (!written) throw std::runtime_error("cannot write a key to " + path);
}

std::unique_ptr<CaseArea> server_cases() {
  return std::make_unique<ServerCases>();
}

}  // namespace watchwheel::testing
